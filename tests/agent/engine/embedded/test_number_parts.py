"""A long number in parts."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agent.engine.embedded.number_parts import joined
from config.slots import SlotType

PHONE, ACCOUNT = SlotType.model_validate({"digits": 10}), SlotType.model_validate({"digits": "3-12"})


def test_parts_are_joined_until_the_number_is_whole() -> None:
    parts, number = joined([], "555", PHONE)
    assert (parts, number) == (["555"], "")
    parts, number = joined(parts, "123", PHONE)
    assert (parts, number) == (["555", "123"], "")
    assert joined(parts, "4567", PHONE) == ([], "5551234567")


def test_a_no_takes_the_last_part_back() -> None:
    assert joined(["555", "129"], "123", PHONE, corrects=True) == (["555", "123"], "")
    assert joined(["555", "129"], "", PHONE, corrects=True) == (["555"], "")
    assert joined(["555"], "", PHONE, corrects=True) == ([], "")


def test_who_says_it_all_over_again_is_understood() -> None:
    assert joined(["555", "123"], "5551234567", PHONE) == ([], "5551234567")


def test_too_many_digits_are_no_number() -> None:
    assert joined(["555", "123"], "45678", PHONE) == ([], "")


def test_a_number_of_some_length_is_whole_as_soon_as_it_can_be() -> None:
    assert joined([], "55", ACCOUNT) == (["55"], "")
    assert joined(["55"], "1", ACCOUNT) == ([], "551")


@given(st.text("0123456789", min_size=10, max_size=10), st.lists(st.integers(1, 9), max_size=5))
def test_a_number_cut_anywhere_comes_out_whole(number: str, cuts: list[int]) -> None:
    places = [0, *sorted(set(cuts)), 10]
    parts: list[str] = []
    whole = ""
    for start, end in itertools.pairwise(places):
        assert not whole
        parts, whole = joined(parts, number[start:end], PHONE)
    assert whole == number


def test_a_number_of_some_length_that_may_go_on_is_not_taken_for_the_whole() -> None:
    slot = SlotType.model_validate({"digits": "6-8"})
    assert joined(["1234"], "567890", slot) == ([], "")
    assert joined(["1234"], "123456", slot) == ([], "123456")
    assert joined(["1234"], "12345678", slot) == ([], "12345678")
