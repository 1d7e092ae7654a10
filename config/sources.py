"""Where settings come from, and which source a wrong one is blamed on: the file, the environment, a credential, or
--set."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import reduce
from typing import Any, get_args

import msgspec
from pydantic import BaseModel, ValidationError

Values = dict[str, Any]
Path = tuple[str | int, ...]

SECRETS = ("auth_token", "metrics_token", "api_key", "password")
SECRET_GROUPS = (
    "sip.users",
    "twilio.shared_keys",
    "records.url",
    "console.users",
    "traces.header",
    "hooks.before_call",
    "hooks.after_call",
    "hooks.secret",
)


class SettingsSource(msgspec.Struct, frozen=True):
    """Values in groups, and the name of their source; `prefix` and `joint` spell a key as that source does."""

    name: str
    values: Values
    prefix: str = ""
    joint: str = "."
    secret: bool = False  # all its values

    def has(self, path: Path) -> bool:
        """Whether it has a value there."""
        inner: Any = self.values
        for part in path:
            if not isinstance(inner, dict) or part not in inner:
                return False
            inner = inner[part]
        return True

    def called(self, path: Path) -> str:
        """The key as this source spells it."""
        key = self.joint.join(map(str, path))
        return self.prefix + key.upper() if self.prefix else key


def nested(dotted: Mapping[str, Any]) -> Values:
    """{"server.port": 0} as {"server": {"port": 0}}."""
    values: Values = {}
    for key, value in dotted.items():
        values = merged(values, reduce(lambda inner, part: {part: inner}, reversed(key.split(".")), value))
    return values


def merged(values: Values, over: Values) -> Values:
    """`values` with `over` laid over it, group by group."""
    result = dict(values)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def describe(error: ValidationError, model: type[BaseModel], sources: Sequence[SettingsSource]) -> str:
    """For each wrong key: the last source that has it, the key, what is wrong, and the value unless it is secret."""
    return "; ".join(_line(detail, model, sources) for detail in error.errors())


def _line(detail: Any, model: type[BaseModel], sources: Sequence[SettingsSource]) -> str:
    path: Path = detail["loc"]
    message = detail["msg"].removeprefix("Value error, ")
    key = ".".join(map(str, path))
    if not path:  # values that do not fit together; such a message begins with the key it is about
        path = tuple(message.partition(":")[0].split("."))
    source = next((source for source in reversed(sources) if source.has(path)), None)
    source = source or next((source for source in reversed(sources) if source.has(path[:-1])), sources[0])
    if detail["type"] == "extra_forbidden":
        message = f"there is no such setting; {_valid(model, path)}"
    secret = source.secret or key.endswith(SECRETS) or key.startswith(SECRET_GROUPS)
    whole = isinstance(detail["input"], dict) or detail["type"] == "model_type"  # a group, which may hold secrets
    shown = "" if secret or whole else f" (got {detail['input']!r})"
    said = f"{source.name}: {source.called(detail['loc'])}" if key else source.name
    return f"{said}: {message}{shown}"


def _valid(model: type[BaseModel], path: Path) -> str:
    """The valid keys in place of the path's last part, similar ones first."""
    inner: Any = model
    for part in path[:-1]:
        inner = _type_of(inner, part)
    keys = [field.alias or name for name, field in inner.model_fields.items()]
    hint = "".join(f"did you mean {near}? " for near in get_close_matches(str(path[-1]), keys, n=1))
    return f"{hint}there are {', '.join(keys)}"


def _type_of(outer: Any, part: str | int) -> Any:
    """Of a model's field by its name or alias, or of a mapping's values."""
    if isinstance(outer, type) and issubclass(outer, BaseModel):
        return next(field.annotation for name, field in outer.model_fields.items() if part in (name, field.alias))
    return get_args(outer)[-1]
