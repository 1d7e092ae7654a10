"""Who calls whom, as reported by the carrier, and how much of a number the log shows."""

import re
import unicodedata
from typing import Literal

import msgspec

Numbers = Literal["full", "masked", "off"]

MAX_CHARS = 128  # of each; longer ones are not accepted
FIELDS = ("caller", "called", "caller_name", "forwarded_from")  # {caller} and the like in an agent's file
UNKNOWN = "unknown"
SHOWN = 3  # digits of a masked number

_USER = re.compile(r"((?:sips?|tel):)?([^@]*)(@.*)?", re.DOTALL)


class Parties(msgspec.Struct, frozen=True, omit_defaults=True):
    """Unknown fields are empty. Made by `parties`, which refuses anything that cannot be a number or a name."""

    caller: str = ""  # a number, or a SIP address
    called: str = ""
    caller_name: str = ""
    forwarded_from: str = ""  # who was called first
    verified: bool = False  # reported by a trusted carrier, not only by the caller
    ids: dict[str, str] = {}  # the carrier's own ids, by its names for them

    def fill(self, text: str) -> str:
        """A text with its {caller} and so on filled in."""
        for field in FIELDS:
            text = text.replace(f"{{{field}}}", getattr(self, field) or UNKNOWN)
        return text

    def record(self) -> dict[str, str | bool]:
        """For records of a call, such as a booking; empty if nothing is known."""
        known: dict[str, str | bool] = {field: value for field in FIELDS if (value := getattr(self, field))}
        return known | {"verified": self.verified} if known else {}

    def known(self, numbers: Numbers) -> "Parties":
        """The fields that may be shown: all, only numbers with most digits masked, or none."""
        if numbers == "full":
            return self
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
    known = {name: value for name, value in (ids or {}).items() if _is_plain(value)}
    return Parties(
        **{name: value.strip() for name, value in told.items() if _is_plain(value)}, verified=verified, ids=known
    )


def masked(number: str) -> str:
    """A number without most of its digits; the host of an address stays."""
    match = _USER.fullmatch(number)
    assert match is not None  # it matches anything
    scheme, user, host = match[1] or "", match[2], match[3] or ""
    shown = user[-SHOWN:] if len(user) > 2 * SHOWN else ""
    return f"{scheme}{'*' * (len(user) - len(shown))}{shown}{host}"


def is_filled(text: str) -> bool:
    """Whether a text contains a field that differs from call to call."""
    return any(f"{{{field}}}" in text for field in FIELDS)


def _is_plain(value: str) -> bool:
    return 0 < len(value) <= MAX_CHARS and not any(unicodedata.category(each).startswith("C") for each in value)
