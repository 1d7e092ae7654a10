"""Every setting, its value, and where that came from; some can be changed.

Of secrets it only says whether they are set.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import yaml
from pydantic import BaseModel, SecretStr
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from config import strict_yaml
from config.exceptions import SettingsError
from config.schema import comments
from config.settings import DEFAULT_FILE
from config.sources import SECRET_GROUPS, SECRETS, SettingsSource
from telephony.console.pages import Form, Pages
from telephony.console.words import plain
from telephony.server.runtime_settings import CHANGEABLE, RuntimeSettings
from telephony.server.sign_in.person import Person, Role

PATH = "/console/settings"
CHANGED = "changed at run time"
MAX_VALUE = 100  # characters

Key = tuple[str, ...]


class Setting(msgspec.Struct, frozen=True):
    """One of them, as it is shown."""

    key: str
    value: str
    source: str  # empty: the default
    explained: str
    changeable: bool = False
    was: str = ""  # at the start, where it has been changed since


class SettingsPage:
    """Of one server. Those of the groups CHANGEABLE hold for calls that begin after a change."""

    def __init__(self, pages: Pages, runtime: RuntimeSettings, sources: Sequence[SettingsSource]) -> None:
        self._pages = pages
        self._runtime = runtime
        explained = comments(DEFAULT_FILE.read_text(encoding="utf-8"))
        self._groups: dict[str, list[Setting]] = {}  # as they were at the start
        for key, value in _leaves(runtime.begun_with, ()):
            text = explained.get(key) or explained.get(key[:2], "")
            found = Setting(".".join(key), value, _source(key, sources), text, key[0] in CHANGEABLE)
            self._groups.setdefault(key[0] if len(key) > 1 else "other", []).append(found)

    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            self._pages.page(PATH, self._page),
            self._pages.form(f"{PATH}/change", self._change, Role.ADMIN),
            self._pages.form(f"{PATH}/reset", self._reset, Role.ADMIN),
        ]

    async def _page(self, request: Request, person: Person) -> Response:
        return await self._show(request, person)

    async def _show(self, request: Request, person: Person, status: int = 200, error: str = "") -> Response:
        groups = self._groups | {name: self._now(name) for name in CHANGEABLE}
        values = {"groups": groups, "changes": sorted(self._runtime.changes), "error": error}
        return await self._pages.show(request, person, "settings.html", status, **values)

    def _now(self, group: str) -> list[Setting]:
        """A group whose settings may have been changed."""
        values = {".".join(key): value for key, value in _leaves(getattr(self._runtime.now, group), (group,))}
        return [self._as_now(setting, values[setting.key]) for setting in self._groups[group]]

    def _as_now(self, setting: Setting, value: str) -> Setting:
        if setting.key not in self._runtime.changes:
            return setting
        source = f"{CHANGED}, kept" if setting.key in self._runtime.kept else CHANGED
        return msgspec.structs.replace(
            setting, value=value, source=source, was="" if value == setting.value else setting.value
        )

    async def _change(self, request: Request, person: Person, form: Form) -> Response:
        key = form.get("key", "")
        try:
            self._runtime.change({key: _value(key, form.get("value", ""))}, person.name, keep="keep" in form)
        except SettingsError as error:
            return await self._show(request, person, 422, f"Nothing was changed. {error}")
        except OSError as error:
            text = f"It is changed until the server ends; it cannot be kept: {error.strerror}"
            return await self._show(request, person, 507, text)
        return RedirectResponse(f"{PATH}#{key}", 303)  # a key that there is: it has been changed

    async def _reset(self, request: Request, person: Person, _: Form) -> Response:
        try:
            self._runtime.reset(person.name)
        except OSError as error:
            text = f"It is as at the start until the server ends; what was kept cannot be forgotten: {error.strerror}"
            return await self._show(request, person, 507, text)
        return RedirectResponse(PATH, 303)


def _value(key: str, text: str) -> Any:
    """What was typed, read as in the file. Raises SettingsError."""
    if len(text) > MAX_VALUE:
        raise SettingsError(f"{key[:80]!r}: at most {MAX_VALUE} characters are wanted")
    try:
        value = strict_yaml.load(text)
    except (yaml.YAMLError, ValueError):
        raise SettingsError(f"{key[:80]!r}: this is no value: {text!r}") from None
    if not isinstance(value, str | int | float):
        raise SettingsError(f"{key[:80]!r}: one number, word, true or false is wanted")
    return value


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
