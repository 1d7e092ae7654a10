"""Opening hours by weekday, as an agent's YAML states them: `mon-fri: 08:00-17:00`. Pure functions."""

import re
from datetime import datetime, time
from typing import Annotated, Any

from pydantic import BeforeValidator

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAYS = re.compile(rf"({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))?")
_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_DAY_S = 24 * 60

Minutes = tuple[int, int]  # of a day, from and to; 1440 is its end


def spans_of(days: str, hours: str) -> list[tuple[int, Minutes]]:
    """The weekdays (Monday is 0) with their spans; one over midnight becomes two. ValueError says what is allowed."""
    found = _DAYS.fullmatch(days)
    if not found:
        raise ValueError(f"{days!r} is neither a day ({', '.join(DAYS)}) nor some, such as mon-fri")
    first = DAYS.index(found[1])
    count = (DAYS.index(found[2]) - first) % 7 + 1 if found[2] else 1
    parts = [_minutes(part.strip()) for part in hours.split(",")]
    spans: list[tuple[int, Minutes]] = []
    for day in range(first, first + count):
        for start, end in parts:
            if start < end:
                spans.append((day % 7, (start, end)))
            else:
                spans += [(day % 7, (start, _DAY_S)), ((day + 1) % 7, (0, end))]
    return spans


def is_within(hours: dict[str, str], moment: datetime) -> bool:
    """Whether a moment, in the agent's own time zone, lies in these hours. The last minute of a span is outside."""
    return covers(hours, moment.weekday(), moment.time())


def covers(hours: dict[str, str], weekday: int | None, at: time) -> bool:
    """Whether a time of a weekday (None: of any) lies in these hours."""
    minute = at.hour * 60 + at.minute
    return any(
        weekday in (None, day) and start <= minute < end
        for days, spans in hours.items()
        for day, (start, end) in spans_of(days, spans)
    )


def _minutes(span: str) -> Minutes:
    found = _SPAN.fullmatch(span)
    numbers = [int(number) for number in found.groups()] if found else []
    if not numbers or numbers[1] > 59 or numbers[3] > 59:
        raise ValueError(f'{span!r} is no span of time, such as 08:00-17:00, or "08:00-12:00, 13:00-17:00"')
    start, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    if start >= _DAY_S or end > _DAY_S or start == end:
        raise ValueError(f"{span!r} is no span within a day: from 00:00 to 24:00, and not empty")
    return start, end


def _checked(given: Any) -> Any:
    if isinstance(given, dict):
        for days, spans in given.items():
            if not isinstance(days, str) or not isinstance(spans, str):
                raise ValueError('days and spans are text, such as mon-fri: "08:00-17:00"')
            spans_of(days, spans)
    return given


Hours = Annotated[dict[str, str], BeforeValidator(_checked)]
