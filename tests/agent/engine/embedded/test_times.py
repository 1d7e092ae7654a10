"""Times of day as callers say them."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.embedded import times
from agent.engine.embedded.matching import Matcher
from agent.engine.embedded.numerals import words_of
from config.slots import SlotType

MATCHER = Matcher({"at": SlotType(type="time")})


def matched(words: str) -> bool:
    spoken = tuple(words.split())
    return any(len(spoken) == end for phrase in times.PHRASES for end, _ in MATCHER.match(phrase, spoken, 0))


@pytest.mark.parametrize(
    ("said", "may_be"),
    [
        ("ten", "10:00 22:00"),
        ("ten o'clock", "10:00 22:00"),
        ("ten passed eleven", "11:10 23:10"),  # as "past" is heard
        ("10:30", "10:30 22:30"),
        ("9:05 a.m.", "09:05"),
        ("3 p.m.", "15:00"),
        ("3pm", "15:00"),
        ("half past ten", "10:30 22:30"),
        ("half ten", "10:30 22:30"),
        ("quarter to one", "00:45 12:45"),
        ("a quarter past four in the afternoon", "16:15"),
        ("ten to eight in the evening", "19:50"),
        ("twenty minutes past six", "06:20 18:20"),
        ("noon", "12:00"),
        ("midnight", "00:00"),
        ("twelve", "00:00 12:00"),
        ("twelve thirty in the morning", "00:30"),
        ("two at night", "02:00"),
        ("eleven at night", "23:00"),
        ("fourteen thirty", "14:30"),
        ("17:00", "17:00"),
        ("ten five", ""),
        ("eighteen hundred hours", "18:00"),
    ],
)
def test_a_time_is_understood(said: str, may_be: str) -> None:
    words = " ".join(words_of(said))
    assert matched(words) == bool(may_be)
    assert " ".join(at.isoformat("minutes") for at in times.times_of(words)) == may_be


@given(st.times())
def test_what_the_agent_says_is_understood(at: time) -> None:
    at = at.replace(second=0, microsecond=0)
    said = times.spoken(at)
    assert times.times_of(said) == (at,)
    assert matched(said)


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("445", "4:45"),
        ("At 1030, please.", "At 10:30, please."),
        ("2030", "20:30"),
        ("2026", "2026"),  # hardly a time
        ("At 2211.", "At twenty to 11."),
        ("Twenty-two-six in the evening.", "twenty to six in the evening."),
        ("Let's say two dirty.", "Let's say two thirty."),
        ("For p.m. please.", "four p.m. please."),
        ("for 30", "four 30"),
        ("for two people", "for two people"),
        ("quarter to fourth", "quarter to four"),
        ("ten part eleven", "ten past eleven"),
        ("ten to two", "ten to two"),
        ("Twenty-six.", "twenty to six."),
        ("at 26", "at twenty to 6"),
        ("ten twenty-six", "ten twenty-six"),
        ("twenty five past six", "twenty five past six"),
        ("twenty-five to six", "twenty-five to six"),
        ("twenty three", "twenty three"),
        ("4:45", "4:45"),
        ("12", "12"),
        ("470", "470"),
        ("A15am.", "8:15am."),
        ("It's 15 a.m., please.", "It's a.m., please."),  # no 15:00
        ("10 15 a.m.", "10 15 a.m."),
        ("8:15 a.m.", "8:15 a.m."),
        ("15 p.m.", "15 p.m."),
    ],
)
def test_a_time_is_found_in_what_is_written_down_of_it(heard: str, meant: str) -> None:
    assert times.as_times(heard) == meant
