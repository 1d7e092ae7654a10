"""Times of day as callers say them: "half past ten", "three in the afternoon", "fourteen thirty". Pure functions.

`PHRASES` are all ways to say one; `times_of` tells which times may be meant: both, where nobody says which half of the
day.
"""

import re
from collections.abc import Iterable
from datetime import time

from agent.engine.embedded.numerals import ONES, TEENS, TENS
from config.phrase import Choice, parse_phrase

HOURS = [*ONES[1:], *TEENS[:3]]
LATE_HOURS = [*TEENS[3:], "twenty", "twenty one", "twenty two", "twenty three"]
FIXED = {"noon": time(12), "midday": time(12), "midnight": time(0)}
MORNING = ("a m", "am", "in the morning", "this morning")
AFTERNOON = ("p m", "pm", "in the afternoon", "this afternoon")
EVENING = ("in the evening", "this evening", "at night", "tonight")

_MINUTES = {f"oh {ONES[n]}": n for n in range(1, 10)} | {TEENS[n - 10]: n for n in range(10, 20)}
_MINUTES |= {f"{TENS[n // 10 - 2]} {ONES[n % 10]}".removesuffix(" zero"): n for n in range(20, 60)}
_PAST = {"half": 30, "quarter": 15, "a quarter": 15, "five": 5, "ten": 10, "twenty": 20, "twenty five": 25}


def _any(words: Iterable[str]) -> str:
    return f"({' | '.join(words)})"


_HALF = f"[{' | '.join((*MORNING, *AFTERNOON, *EVENING))}]"
PHRASES: tuple[Choice, ...] = tuple(
    parse_phrase(text)
    for text in (
        f"{_any(HOURS)} [o'clock] {_HALF}",
        f"{_any(HOURS)} {_any(_MINUTES)} {_HALF}",
        f"half {_any(HOURS)} {_HALF}",
        f"{_any(_PAST)} [minutes] (past | passed | to) {_any(HOURS)} {_HALF}",
        f"{_any(LATE_HOURS)} [{' | '.join(_MINUTES)} | hundred [hours]]",
        f"[twelve] {_any(FIXED)}",
    )
)


# How Moonshine writes what can only be a time where one was asked for: "445", "twenty-six" for twenty to six, and words
# that sound alike.
_HOUR = f"{'|'.join([*ONES[4:], *TEENS[:3]])}|[4-9]|1[0-2]"
_OF_HOUR = r"(?= ?(?:[ap]\.?m|o'clock|thirty|fifteen|[1-5]\d\b))"  # stands behind an hour
_ALIKE: tuple[tuple[str, str], ...] = (
    (r"\b(?:a|eh) ?(?=[1-5]\d ?[ap]\.?m\b)", "8:"),
    (r"(?<!\d)(?<!\d[ :.])\b(?:1[3-9]|[2-5]\d) ?a\.?m\b", "a.m"),  # its hour was not heard: no 15:00
    (rf"\b(?:twenty[- ](?:two|too|2)[- ]?|22)({_HOUR})\b", r"twenty to \1"),
    (r"\b([1-9]|1[0-2])([0-5]\d)\b", r"\1:\2"),
    (r"\b(1\d|2[0-3])([0-5][05])\b", r"\1:\2"),
    (rf"(^|\bat )(?:twenty[ -]|2)({_HOUR})\b(?! (?:minutes )?(?:past|to)\b)", r"\1twenty to \2"),
    (r"\b(?:passed|parts?|perst|parst)\b", "past"),
    (r"\b(?:dirty|thirsty)\b", "thirty"),
    (rf"\bfor{_OF_HOUR}", "four"),
    (rf"(?<!twenty )(?<!quarter )(?<!ten )(?<!five )(?<!minutes )\b(?:to|too){_OF_HOUR}", "two"),
    (r"(?<=to )fourth\b|(?<=past )fourth\b|(?<=half )fourth\b", "four"),
    (r"\bate\b", "eight"),
    (r"\bpleas\b", "please"),
)
_REPAIRS = [(re.compile(pattern, re.IGNORECASE), meant) for pattern, meant in _ALIKE]


def as_times(transcript: str) -> str:
    """A transcript in which a time is expected, with what can be nothing else as such: 445 as 4:45."""
    for pattern, meant in _REPAIRS:
        transcript = pattern.sub(meant, transcript)
    return transcript


def _group(name: str, words: Iterable[str]) -> str:
    return f"(?P<{name}>{'|'.join(sorted(words, key=len, reverse=True))})"


_TIME = re.compile(
    rf"(?:half |{_group('past', _PAST)}(?: minutes)? (?P<way>past|passed|to) )?{_group('hour', HOURS)}(?: o'clock)?"
    rf"(?: {_group('minute', _MINUTES)})?(?: {_group('part', (*MORNING, *AFTERNOON, *EVENING))})?"
)
_LATE = re.compile(rf"{_group('hour', LATE_HOURS)}(?: {_group('minute', _MINUTES)}| hundred(?: hours)?)?")


def times_of(words: str) -> tuple[time, ...]:
    """The times that may be meant by words that one of PHRASES has matched, the earlier one first."""
    for name, fixed in FIXED.items():
        if words.removeprefix("twelve ") == name:
            return (fixed,)
    if found := _LATE.fullmatch(words):
        return (time(13 + LATE_HOURS.index(found["hour"]), _MINUTES.get(found["minute"] or "", 0)),)
    found = _TIME.fullmatch(words)
    if found is None:
        return ()
    minutes = (HOURS.index(found["hour"]) + 1) % 12 * 60 + _MINUTES.get(found["minute"] or "", 0)
    past = 30 if words.startswith("half ") else _PAST.get(found["past"] or "", 0)
    minutes += -past if found["way"] == "to" else past
    minutes %= 720
    morning, later = time(minutes // 60, minutes % 60), time(minutes // 60 + 12, minutes % 60)
    part = found["part"]
    if part in MORNING:
        return (morning,)
    if part in EVENING and not minutes >= 5 * 60:
        return (morning,) if part == "at night" and minutes < 5 * 60 else (later,)
    return (later,) if part in (*AFTERNOON, *EVENING) else (morning, later)


def spoken(at: time) -> str:
    """A time as the agent says it: "ten thirty in the morning"."""
    if (at.hour, at.minute) in ((0, 0), (12, 0)):
        return "midnight" if at.hour == 0 else "noon"
    minute = next((word for word, number in _MINUTES.items() if number == at.minute), "")
    hour = HOURS[at.hour % 12 - 1]
    part = "in the morning" if at.hour < 12 else "in the afternoon" if at.hour < 18 else "in the evening"
    return " ".join(filter(None, (hour, minute, "at night" if at.hour >= 22 or at.hour < 4 else part)))
