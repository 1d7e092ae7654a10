"""Ids: unique, in the order of time, and written so that they come back."""

from hypothesis import given
from hypothesis import strategies as st

from telephony.records.call_id import CallIds, first_id, parse, show


@given(st.lists(st.integers(0, 2**42 - 1), max_size=50))
def test_ids_follow_time_and_are_never_given_twice(times: list[int]) -> None:
    ids = CallIds()
    made = [(at, ids.new(at)) for at in sorted(times)]
    assert [number for _, number in made] == sorted({number for _, number in made})
    for at, number in made:
        assert number >= first_id(at)


def test_thousands_in_one_millisecond_are_all_different() -> None:
    ids = CallIds()
    assert len({ids.new(1000) for _ in range(5000)}) == 5000


def test_a_clock_that_is_set_back_gives_earlier_ids() -> None:
    ids = CallIds()
    assert ids.new(60_000) > first_id(60_000) - 1 > ids.new(1_000)


@given(st.integers(0, 2**63 - 1))
def test_an_id_comes_back_from_its_text(number: int) -> None:
    assert parse(show(number)) == number


@given(st.text() | st.just("ffffffffffffffff") | st.just("0" * 15) | st.just("0" * 16 + "\n"))
def test_other_text_is_no_id(text: str) -> None:
    number = parse(text)
    assert number is None or show(number) == text


def test_times_out_of_range_are_moved_into_it() -> None:
    assert first_id(-5) == 0
    assert first_id(2**60) == first_id(2**42 - 1) < 2**63
