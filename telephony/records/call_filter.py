"""Which calls are wanted: what a query says, checked."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from telephony.records import call_id
from telephony.records.call_record import DIRECTIONS, STATUSES
from telephony.records.terms import words
from telephony.records.text import clean

MAX_CHARS = 200  # of a value
MAX_WORDS = 16
MAX_PAGE = 200
USUAL_PAGE = 50
EQUAL = ("agent", "line", "trunk", "direction", "status", "outcome", "ended_by", "caller", "called", "call")
KEYS = ("q", *EQUAL, "since", "until", "min_latency_ms", "min_barge_ins", "before", "limit")


class FilterError(ValueError):
    """A value of a query is wrong; the message names its key and what is allowed."""


class CallFilter(msgspec.Struct, frozen=True):
    """Calls that meet all of this, the latest first, and how many of them."""

    words: tuple[str, ...] = ()  # all of them, in any order: of the transcript, numbers, names, end
    equal: dict[str, str] = {}  # by field
    since: int | None = None  # the lowest id
    until: int | None = None  # an id above all that are wanted
    min_latency_ms: int = 0  # of the worst turn
    min_barge_ins: int = 0
    limit: int = USUAL_PAGE


def parse(values: Mapping[str, str]) -> CallFilter:
    """The filter that a query asks for. Empty values count as absent. Raises FilterError."""
    given = {key: value for key, value in values.items() if value != ""}
    for key, value in given.items():
        if key not in KEYS:
            raise FilterError(f"there is no filter {clean(key)[:40]!r}; there are {', '.join(KEYS)}")
        if len(value) > MAX_CHARS or clean(value) != value:
            raise FilterError(f"{key}: at most {MAX_CHARS} characters of text are allowed")
    searched = tuple(dict.fromkeys(words(given.get("q", ""))))
    if "q" in given and not 0 < len(searched) <= MAX_WORDS:
        raise FilterError(f"q: 1 to {MAX_WORDS} words are wanted")
    _check_choice(given, "direction", DIRECTIONS)
    _check_choice(given, "status", STATUSES)
    ends = [_time(given["until"], "until")] if "until" in given else []
    return CallFilter(
        words=searched,
        equal={key: given[key] for key in EQUAL if key in given},
        since=_time(given["since"], "since") if "since" in given else None,
        until=min([*ends, *_before(given)], default=None),
        min_latency_ms=_number(given, "min_latency_ms", 0, 3_600_000, 0),
        min_barge_ins=_number(given, "min_barge_ins", 0, 100_000, 0),
        limit=_number(given, "limit", 1, MAX_PAGE, USUAL_PAGE),
    )


def _check_choice(given: Mapping[str, str], key: str, choices: tuple[str, ...]) -> None:
    if key in given and given[key] not in choices:
        raise FilterError(f"{key}: {' or '.join(choices)} is wanted, not {given[key]!r}")


def _number(given: Mapping[str, str], key: str, least: int, most: int, usual: int) -> int:
    text = given.get(key)
    if text is None:
        return usual
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise FilterError(f"{key}: a whole number from {least} to {most} is wanted, not {text!r}")
    return int(text)


def _before(given: Mapping[str, str]) -> list[int]:
    if "before" not in given:
        return []
    number = call_id.parse(given["before"])
    if number is None:
        raise FilterError(f"before: the id of a call is wanted, 16 hex digits, not {given['before']!r}")
    return [number]


def _time(text: str, key: str) -> int:
    """The first id of a time; UTC where it names no zone."""
    try:
        when = datetime.fromisoformat(text)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return call_id.first_id(round(1000 * when.timestamp()))
    except (ValueError, OverflowError):
        raise FilterError(f"{key}: a date or time is wanted, such as 2026-05-01T09:00:00Z, not {text!r}") from None
