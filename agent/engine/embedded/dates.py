"""Dates as callers say them: "next Friday", "the third", "December the fourth, twenty twenty seven". Pure functions.

`PHRASES` are all ways to say one; `date_of` tells which day is meant. A bare weekday is the next one after today; "next
Friday" is that of the next week, which begins on Monday; a day without its month or year is the next such day.
"""

import re
from collections.abc import Iterable
from datetime import date, timedelta

from agent.engine.embedded.numerals import ONES, ORDINALS, TEENS, TENS
from config.phrase import Choice, parse_phrase

WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "january february march april may june july august september october november december".split()
COUNTS = dict(zip("a one two three four five six seven eight nine ten".split(), (1, *range(1, 11)), strict=True))
RELATIVE = {"today": 0, "tonight": 0, "tomorrow": 1, "the day after tomorrow": 2, "yesterday": -1}
RELATIVE |= {"this morning": 0, "this afternoon": 0, "this evening": 0, "day after tomorrow": 2}
PARTS = ("morning", "afternoon", "evening", "night")  # of a day
YEARS_AHEAD = 8  # in which the next 29 February is found


def _cardinals(last: int) -> list[str]:
    ones, tens = [*ONES, *TEENS], TENS
    words = [
        ones[n] if n < 20 else f"{tens[n // 10 - 2]} {ones[n % 10]}".removesuffix(" zero") for n in range(last + 1)
    ]
    return words[1:]


def _ordinal(cardinal: str) -> str:
    *before, last = cardinal.split()
    return " ".join([*before, ORDINALS.get(last, f"{last}th")])


_CARDINALS = {word: number for number, word in enumerate(_cardinals(99), 1)}
_ORDINALS = {_ordinal(word): number for word, number in list(_CARDINALS.items())[:31]}
_DAYS = {word: number for word, number in _CARDINALS.items() if number <= 31}


def _any(words: Iterable[str]) -> str:
    return f"({' | '.join(words)})"


_WEEKDAY, _MONTH, _ORDINAL, _DAY = map(_any, (WEEKDAYS, MONTHS, _ORDINALS, _DAYS))
_TWO = f"({' | '.join(w for w, n in _CARDINALS.items() if n > 9)} | oh {_any(ONES[1:])})"
_YEAR = (
    f"[in] ((nineteen | twenty) {_TWO} | two thousand [[and] {_any(_CARDINALS)}]"
    f" | (one nine | two zero) {_any(ONES)} {_any(ONES)})"
)
_COUNT, _UNIT = _any(COUNTS), "(day | days | week | weeks)"

PHRASES: tuple[Choice, ...] = tuple(
    parse_phrase(text)
    for text in (
        _any(word for word in RELATIVE if word != "tomorrow"),
        f"tomorrow [{' | '.join(PARTS)}]",
        f"[this | this coming | the coming | next | last] {_WEEKDAY} [{' | '.join(PARTS)}]",
        f"a week [from | on] ({_WEEKDAY} | today | tomorrow)",
        f"{_WEEKDAY} [of] (next | this) week",
        f"next week [on] {_WEEKDAY}",
        f"[{_WEEKDAY}] [the] {_ORDINAL} [of] {_MONTH} [{_YEAR}]",
        f"[{_WEEKDAY}] {_DAY} {_MONTH} [{_YEAR}]",
        f"[{_WEEKDAY}] {_MONTH} [the] ({_ORDINAL} | {_DAY}) [{_YEAR}]",
        f"[{_WEEKDAY}] the {_ORDINAL} [of this month | of next month]",
        f"in {_COUNT} {_UNIT}",
        f"{_COUNT} {_UNIT} from (now | today | tomorrow | {_WEEKDAY})",
    )
)


# "The ten" is what is heard of the tenth, where a date was asked for.
_CUT_SHORT = re.compile(rf"\b(?<=the )({'|'.join(sorted(_DAYS, key=len, reverse=True))})(?=\W*$)", re.IGNORECASE)


def as_dates(transcript: str) -> str:
    """A transcript in which a date is expected, with what can be nothing else as such."""
    return _CUT_SHORT.sub(lambda found: _ordinal(found[1].lower()), transcript.replace("Today's", "Today"))


def _group(name: str, words: Iterable[str]) -> str:
    return f"(?P<{name}>{'|'.join(sorted(words, key=len, reverse=True))})"


_NEAR = re.compile(rf"(?:(?P<which>this coming|this|the coming|next|last) )?{_group('day', WEEKDAYS)}")
_OF_WEEK = re.compile(
    rf"{_group('day', WEEKDAYS)}(?: of)? (?P<which>next|this) week"
    rf"|next week(?: on)? {_group('day2', WEEKDAYS)}"
)
_FROM = re.compile(
    rf"(?:in )?{_group('count', COUNTS)} (?P<unit>day|week)s?"
    rf"(?: from (?:now|today|(?P<tomorrow>tomorrow)|{_group('day', WEEKDAYS)}))?"
)
_CALENDAR = re.compile(
    rf"(?:{_group('weekday', WEEKDAYS)} ?)?(?:the )?"
    rf"(?:{_group('month1', MONTHS)} (?:the )?)?{_group('number', [*_ORDINALS, *_DAYS])}"
    rf"(?:(?: of)? (?:{_group('month2', MONTHS)}|(?P<which>this|next) month))?(?: (?:in )?(?P<year>\D+))?"
)


def date_of(words: str, today: date) -> date | None:
    """The day that is meant by words that one of PHRASES has matched; None where there is no such day."""
    if words in RELATIVE:
        return today + timedelta(RELATIVE[words])
    words = words.removesuffix(f" {part_of_day(words)}")
    if words in RELATIVE:
        return today + timedelta(RELATIVE[words])
    if words.startswith("a week ") and " from " not in words:
        words = f"a week from {words.split()[-1]}"
    if found := _NEAR.fullmatch(words):
        return _near(found["which"] or "", WEEKDAYS.index(found["day"]), today)
    if found := _OF_WEEK.fullmatch(words):
        weeks = 0 if found["which"] == "this" else 1
        return _monday(today) + timedelta(7 * weeks + WEEKDAYS.index(found["day"] or found["day2"]))
    if found := _FROM.fullmatch(words):
        start = _near("", WEEKDAYS.index(found["day"]), today) if found["day"] else today
        start += timedelta(bool(found["tomorrow"]))
        return start + timedelta(COUNTS[found["count"]] * (7 if found["unit"] == "week" else 1))
    found = _CALENDAR.fullmatch(words)
    return _calendar(found, today) if found else None


def part_of_day(words: str) -> str:
    """The part of the day that words of a date name, such as evening; empty where they name none."""
    last = words.split()[-1:]
    return "night" if last == ["tonight"] else next((part for part in PARTS if last == [part]), "")


def spoken(day: date, *, year: bool = False) -> str:
    """A date as the agent says it: "Friday, December fourth", and ", twenty twenty six" with its year."""
    number = _ordinal(_cardinals(31)[day.day - 1]).replace(" ", "-")
    words = f"{WEEKDAYS[day.weekday()].title()}, {MONTHS[day.month - 1].title()} {number}"
    return f"{words}, {_spoken_year(day.year)}" if year else words


def _spoken_year(year: int) -> str:
    century, rest = divmod(year, 100)
    words = [*_cardinals(99)]
    if century == 20 and rest < 10:
        return " ".join(["two thousand", *words[rest - 1 : rest]])
    return f"{words[century - 1]} {'oh ' if 0 < rest < 10 else ''}{words[rest - 1] if rest else 'hundred'}"


def _monday(day: date) -> date:
    return day - timedelta(day.weekday())


def _near(which: str, weekday: int, today: date) -> date:
    if which == "next":
        return _monday(today) + timedelta(7 + weekday)
    after = (weekday - today.weekday() - 1) % 7 + 1
    return today + timedelta((after - 7 or -7) if which == "last" else after)


def _calendar(found: re.Match[str], today: date) -> date | None:
    number = _ORDINALS.get(found["number"]) or _DAYS[found["number"]]
    month = found["month1"] or found["month2"]
    weekday = WEEKDAYS.index(found["weekday"]) if found["weekday"] else None
    if found["year"]:
        year = _year(found["year"])
        return _valid(year, MONTHS.index(month) + 1, number) if year and month else None
    if found["which"]:
        return _valid(*_month_after(today, found["which"] == "next"), number)
    if month:
        days = [_valid(today.year + ahead, MONTHS.index(month) + 1, number) for ahead in range(YEARS_AHEAD + 1)]
    else:
        days = [_valid(*_month_after(today, ahead), number) for ahead in range(12)]
    coming = [day for day in days if day and day >= today]
    # A weekday that does not fit is what was misheard, or misread from a calendar: the date is read back in any case.
    return next((day for day in coming[:2] if weekday in (None, day.weekday())), coming[0] if coming else None)


def _month_after(today: date, months: int) -> tuple[int, int]:
    month = today.month - 1 + months
    return today.year + month // 12, month % 12 + 1


def _valid(year: int, month: int, number: int) -> date | None:
    try:
        return date(year, month, number)
    except ValueError:
        return None


def _year(words: str) -> int | None:
    parts = words.split()
    if parts[0] in ("nineteen", "twenty"):
        century = 1900 if parts[0] == "nineteen" else 2000
        rest = _CARDINALS.get(parts[-1]) if parts[1] == "oh" else _CARDINALS.get(" ".join(parts[1:]))
        return century + rest if rest else None
    if parts[:2] == ["two", "thousand"]:
        rest = _CARDINALS.get(" ".join(part for part in parts[2:] if part != "and"), 0)
        return 2000 + rest
    return int("".join(str(ONES.index(part)) for part in parts))
