"""Who calls whom, as reported by the carrier, what is known of the call, and how much of a number the log shows."""

import re
import unicodedata
from collections.abc import Container
from typing import Any, Literal

import msgspec

Numbers = Literal["full", "masked", "off"]

MAX_CHARS = 128  # of each; longer ones are not accepted
FIELDS = ("caller", "called", "caller_name", "forwarded_from")  # {caller} and the like in an agent's file
UNKNOWN = "unknown"
SHOWN = 3  # digits of a masked number

_FIELD = re.compile(r"\{([^{}]*)\}")
_USER = re.compile(r"((?:sips?|tel):)?([^@]*)(@.*)?", re.DOTALL)


class Parties(msgspec.Struct, frozen=True, omit_defaults=True):
    """Unknown fields are empty. Made by `parties`, which refuses anything that cannot be a number or a name."""

    caller: str = ""  # a number, or a SIP address
    called: str = ""
    caller_name: str = ""
    forwarded_from: str = ""  # who was called first
    verified: bool = False  # reported by a trusted carrier, not only by the caller
    ids: dict[str, str] = {}  # the carrier's own ids, by its names for them
    variables: dict[str, str] = {}  # the agent's own, as hooks.before_call has filled them, else their defaults

    def fill(self, text: str) -> str:
        """A text with its {caller} and so on filled in, and the agent's variables. What is filled in is not filled
        again."""
        values = self.variables | {field: getattr(self, field) or UNKNOWN for field in FIELDS}
        return _FIELD.sub(lambda field: values.get(field[1], field[0]), text)

    def record(self) -> dict[str, str | bool]:
        """For records of a call, such as a booking; empty if nothing is known."""
        known: dict[str, str | bool] = {field: value for field in FIELDS if (value := getattr(self, field))}
        return known | {"verified": self.verified} if known else {}

    def known(self, numbers: Numbers) -> "Parties":
        """The fields that may be shown: all, only numbers with most digits masked, or none. Variables are not among
        them."""
        if numbers == "full":
            return msgspec.structs.replace(self, variables={}) if self.variables else self
        if numbers == "off":
            return NOBODY
        return Parties(masked(self.caller), masked(self.called), "", masked(self.forwarded_from), self.verified)

    def shown(self, numbers: Numbers) -> dict[str, str]:
        """The fields for the log."""
        known = self.known(numbers)
        return {field: value for field in FIELDS if (value := getattr(known, field))}


NOBODY = Parties()  # nothing is known


def parties(*, verified: bool, ids: dict[str, str] | None = None, **told: str) -> Parties:
    """Made from what a carrier reports. Fields that are too long or contain control characters are dropped."""
    known = {name: value for name, value in (ids or {}).items() if is_plain(value)}
    fields: dict[str, Any] = {name: value.strip() for name, value in told.items() if is_plain(value)}
    return Parties(**fields, verified=verified, ids=known)


def masked(number: str) -> str:
    """A number without most of its digits; the host of an address stays."""
    match = _USER.fullmatch(number)
    assert match is not None  # it matches anything
    scheme, user, host = match[1] or "", match[2], match[3] or ""
    shown = user[-SHOWN:] if len(user) > 2 * SHOWN else ""
    return f"{scheme}{'*' * (len(user) - len(shown))}{shown}{host}"


def is_filled(text: str, variables: Container[str] = ()) -> bool:
    """Whether a text contains a field that differs from call to call, or one of an agent's variables."""
    return any(name in FIELDS or name in variables for name in _FIELD.findall(text))


def is_plain(value: str, longest: int = MAX_CHARS) -> bool:
    """Whether it is a text that may stand anywhere: not empty, not too long, without control characters."""
    return 0 < len(value) <= longest and not any(unicodedata.category(each).startswith("C") for each in value)
