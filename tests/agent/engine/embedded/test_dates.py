"""Dates as callers say them."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.embedded import dates
from agent.engine.embedded.matching import Matcher
from agent.engine.embedded.numerals import words_of
from agent.engine.embedded.speaker import Speaker
from config.dialogue import Dialogue
from config.slots import SlotType

TODAY = date(2026, 11, 30)  # a Monday
CARDINALS = [" ".join(words_of(str(number))) for number in range(100)]
MATCHER = Matcher({"day": SlotType(type="date")})


def matched(words: str) -> str:
    """The longest part from the first word on that is a date."""
    spoken = tuple(words.split())
    ends = {end for phrase in dates.PHRASES for end, _ in MATCHER.match(phrase, spoken, 0)}
    return " ".join(spoken[: max(ends, default=0)])


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("today", "2026-11-30"),
        ("tomorrow", "2026-12-01"),
        ("the day after tomorrow", "2026-12-02"),
        ("day after tomorrow", "2026-12-02"),
        ("yesterday", "2026-11-29"),
        ("tonight", "2026-11-30"),
        ("this evening", "2026-11-30"),
        ("tomorrow morning", "2026-12-01"),
        ("Friday evening", "2026-12-04"),
        ("next Friday night", "2026-12-11"),
        ("a week today", "2026-12-07"),
        ("a week tomorrow", "2026-12-08"),
        ("a week on Friday", "2026-12-11"),
        ("Friday", "2026-12-04"),
        ("this Friday", "2026-12-04"),
        ("next Friday", "2026-12-11"),
        ("Monday", "2026-12-07"),  # who means today says so
        ("last Monday", "2026-11-23"),
        ("last Friday", "2026-11-27"),
        ("Friday next week", "2026-12-11"),
        ("next week on Tuesday", "2026-12-08"),
        ("the 3rd", "2026-12-03"),
        ("the thirtieth", "2026-11-30"),
        ("the 31st", "2026-12-31"),
        ("the third of next month", "2026-12-03"),
        ("the 4th of December", "2026-12-04"),
        ("4 December", "2026-12-04"),
        ("December 4", "2026-12-04"),
        ("December the fourth", "2026-12-04"),
        ("March 3rd", "2027-03-03"),
        ("Friday, December 4th", "2026-12-04"),
        ("Friday the fourth", "2026-12-04"),
        ("May 1, 1980", "1980-05-01"),
        ("the first of May nineteen eighty", "1980-05-01"),
        ("June 7th, 2028", "2028-06-07"),
        ("the seventh of June two thousand and five", "2005-06-07"),
        ("February 29th", "2028-02-29"),
        ("in two weeks", "2026-12-14"),
        ("in a week", "2026-12-07"),
        ("three days from now", "2026-12-03"),
        ("a week from Friday", "2026-12-11"),
    ],
)
def test_a_date_is_understood(said: str, day: str) -> None:
    words = " ".join(words_of(said))
    assert matched(words) == words
    found = dates.date_of(words, TODAY)
    assert found is not None
    assert found.isoformat() == day


@pytest.mark.parametrize(
    "said", ["the thirtieth of february", "april thirty one", "february twenty nine twenty twenty seven"]
)
def test_a_day_that_no_calendar_has(said: str) -> None:
    assert matched(said) == said
    assert dates.date_of(said, TODAY) is None


def ways(day: date) -> list[str]:
    """How a day is said in full."""
    ordinal = dates.spoken(day).split()[-1].replace("-", " ")
    cardinal = CARDINALS[day.day]
    weekday, month = dates.WEEKDAYS[day.weekday()], dates.MONTHS[day.month - 1]
    return [
        f"the {ordinal} of {month}",
        f"{month} {ordinal}",
        f"{month} {cardinal}",
        f"{weekday} the {ordinal} of {month}",
        f"{weekday} {month} the {ordinal}",
        f"{cardinal} {month}",
        f"on {month} {ordinal} twenty {CARDINALS[day.year % 100]}",
    ]


@pytest.mark.parametrize("ahead", range(0, 730, 73))
def test_every_day_of_two_years_is_understood_in_every_way_it_is_said(ahead: int) -> None:
    for day in (TODAY + timedelta(ahead + more) for more in range(73)):
        for way in ways(day):
            words = way.removeprefix("on ")
            assert matched(words) == words
            told = way.startswith("on ") or any(name in words for name in dates.WEEKDAYS)
            found = dates.date_of(words, TODAY)
            assert found is not None
            assert (found.month, found.day) == (day.month, day.day)
            if told or day < date(2027, 11, 30):
                assert found == day, words


@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.integers(1, 7))
def test_a_weekday_is_one_of_the_next_seven_days(today: date, ahead: int) -> None:
    day = today + timedelta(ahead)
    assert dates.date_of(dates.WEEKDAYS[day.weekday()], today) == day


@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)))
def test_whatever_can_be_said_is_read_and_never_fails(today: date) -> None:
    for words in DRAWN:
        dates.date_of(words, today)


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)))
def test_what_the_agent_says_is_understood(today: date) -> None:
    words = " ".join(words_of(dates.spoken(today).replace("-", " ")))
    assert dates.date_of(words, today) == today
    words = " ".join(words_of(dates.spoken(today, year=True).replace("-", " ")))
    assert dates.date_of(words, date(2026, 1, 1)) == today


def _drawn() -> list[str]:
    speaker = Speaker(
        Dialogue.model_validate(
            {"texts": {"greeting": "Hello."}, "intents": {"day": {"phrases": ["day"], "answer": "Day."}}}
        )
    )
    say = speaker.one_of(dates.PHRASES)
    drawn = []
    for _ in range(300):
        words: list[str] = []
        say(words)
        drawn.append(" ".join(words))
    return drawn


DRAWN = _drawn()


def test_what_the_recognizer_expects_is_mostly_a_date() -> None:
    found = [dates.date_of(words, TODAY) for words in DRAWN]
    assert sum(day is not None for day in found) > 0.95 * len(found)
    assert all(matched(words) == words for words in DRAWN)


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("The ten.", "The tenth."),
        ("on the twenty one", "on the twenty first"),
        ("the ten of December", "the ten of December"),  # understood as it is
        ("Today's", "Today"),
        ("Friday", "Friday"),
    ],
)
def test_a_date_is_found_in_what_is_written_down_of_it(heard: str, meant: str) -> None:
    assert dates.as_dates(heard) == meant
