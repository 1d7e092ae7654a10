"""Opening hours by weekday."""

from datetime import datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from config.hours import Hours, covers, is_within

OFFICE = {"mon-fri": "08:00-12:00, 13:00-17:00", "sat": "09:00-12:00"}
NIGHT = {"fri": "22:00-06:00"}
MONDAY = datetime(2026, 11, 30)


@pytest.mark.parametrize(
    ("hours", "day", "at", "is_open"),
    [
        (OFFICE, 0, "08:00", True),
        (OFFICE, 0, "07:59", False),
        (OFFICE, 0, "12:00", False),
        (OFFICE, 4, "16:59", True),
        (OFFICE, 5, "16:59", False),
        (OFFICE, 6, "10:00", False),
        (NIGHT, 4, "23:00", True),
        (NIGHT, 5, "05:59", True),
        (NIGHT, 4, "05:59", False),
        ({"sat-mon": "00:00-24:00"}, 6, "23:59", True),
        ({"sat-mon": "00:00-24:00"}, 1, "00:00", False),
        ({}, 0, "10:00", False),
    ],
)
def test_when_it_is_open(hours: dict[str, str], day: int, at: str, is_open: bool) -> None:
    moment = datetime.combine(MONDAY + timedelta(day), time.fromisoformat(at))
    assert is_within(hours, moment) is is_open


def test_a_time_of_any_day() -> None:
    assert covers(OFFICE, None, time(9, 30))
    assert not covers(OFFICE, None, time(20))


@given(st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)), st.times(), st.times())
def test_a_span_and_the_one_from_its_end_to_its_start_make_a_whole_day(moment: datetime, a: time, b: time) -> None:
    start, end = f"{a:%H:%M}", f"{b:%H:%M}"
    if start != end:
        week = "mon-sun"
        assert is_within({week: f"{start}-{end}"}, moment) != is_within({week: f"{end}-{start}"}, moment)


@pytest.mark.parametrize(
    ("hours", "named"),
    [
        ({"monday": "08:00-17:00"}, "'monday' is neither a day (mon, tue"),
        ({"mon": "8-17"}, "'8-17' is no span of time, such as 08:00-17:00"),
        ({"mon": "08:60-17:00"}, "no span of time"),
        ({"mon": "08:00-25:00"}, "no span within a day"),
        ({"mon": "08:00-08:00"}, "not empty"),
        ({"mon": 8}, "text"),
        ("mon", "dict"),
    ],
)
def test_a_mistake_is_named(hours: object, named: str) -> None:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(Hours).validate_python(hours)
    assert named in str(error.value)
