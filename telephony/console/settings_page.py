"""Every setting, its value, and where that came from. Of secrets it only says whether they are set."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from pydantic import BaseModel, SecretStr
from starlette.requests import Request
from starlette.responses import Response

from config.schema import comments
from config.settings import DEFAULT_FILE, Settings
from config.sources import SECRET_GROUPS, SECRETS, SettingsSource
from telephony.console.pages import Pages
from telephony.console.words import plain
from telephony.server.sign_in.person import Person

Key = tuple[str, ...]


class Setting(msgspec.Struct, frozen=True):
    """One of them, as it is shown."""

    key: str
    value: str
    source: str  # empty: the default
    explained: str


class SettingsPage:
    """Of one server, whose settings do not change while it runs."""

    def __init__(self, pages: Pages, settings: Settings, sources: Sequence[SettingsSource]) -> None:
        self._pages = pages
        explained = comments(DEFAULT_FILE.read_text(encoding="utf-8"))
        self._groups: dict[str, list[Setting]] = {}
        for key, value in _leaves(settings, ()):
            text = explained.get(key) or explained.get(key[:2], "")
            found = Setting(".".join(key), value, _source(key, sources), text)
            self._groups.setdefault(key[0] if len(key) > 1 else "other", []).append(found)

    async def page(self, request: Request, person: Person) -> Response:
        """See above."""
        return await self._pages.show(request, person, "settings.html", groups=self._groups)


def _leaves(value: Any, key: Key) -> Iterator[tuple[Key, str]]:
    """Each single value, as text. Mappings of models (trunks, users) are gone into, so that their secrets are seen."""
    dotted = ".".join(key)
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from _leaves(getattr(value, name), (*key, field.alias or name))
    elif isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*key, str(name)))
    elif isinstance(value, SecretStr) or dotted.endswith(SECRETS) or (value and dotted.startswith(SECRET_GROUPS)):
        hidden = value.get_secret_value() if isinstance(value, SecretStr) else value
        is_role = dotted.startswith("console.users") and dotted.endswith(".role")
        yield key, str(value) if is_role else "set" if hidden else "not set"
    elif isinstance(value, tuple):
        yield key, plain([str(item) for item in value])
    elif value is None:
        yield key, ""
    else:
        yield key, plain(value if isinstance(value, str | int | float | bool) else str(value))


def _source(key: Key, sources: Sequence[SettingsSource]) -> str:
    """The last source that has it; empty where it is the default."""
    source = next((source for source in reversed(sources) if source.has(key)), None)
    return "" if source is None or source.name == str(DEFAULT_FILE) else source.name
