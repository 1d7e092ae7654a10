"""Which part of what was read back is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import Expect
from agent.engine.embedded.corrections import PLACES, at_place, order, with_digit
from agent.engine.embedded.numerals import ONES
from agent.engine.embedded.understanding import Understanding
from tests.agent.engine.embedded.test_dialogue_script import agent

DIALOGUE = agent().dialogue
assert DIALOGUE
UNDERSTANDING = Understanding(DIALOGUE)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("no, the third one", ("#third",)),
        ("the last one is wrong", ("#last",)),
        ("no the street", ("street",)),
        ("the street isn't right", ("street",)),
        ("the phone number is wrong", ("phone",)),
        ("no, not the street", ("street",)),
        ("wrong street", ("street",)),
        ("the street and the day", ("street", "day")),
        ("yes", ()),
    ],
)
def test_a_part_is_named_or_counted(said: str, wrong: tuple[str, ...]) -> None:
    assert UNDERSTANDING.read(said, Expect.YES_NO).wrong == wrong


@pytest.mark.parametrize(
    ("said", "slots", "denied"),
    [
        ("not Tuesday, Thursday", {"day": "thursday"}, {"day": "tuesday"}),
        ("no, not Tuesday but Thursday", {"day": "thursday"}, {"day": "tuesday"}),
        ("Thursday, not Tuesday", {"day": "thursday"}, {"day": "tuesday"}),
        ("no, not on Tuesday", {}, {"day": "tuesday"}),
        ("Monday, no, Tuesday", {"day": "tuesday"}, {}),
        ("Monday, wait, no, I mean Tuesday", {"day": "tuesday"}, {}),
        ("I need a visit on Monday, sorry, Tuesday at ten", {"day": "tuesday", "at": "ten"}, {}),
    ],
)
def test_what_it_is_not_and_what_it_is_instead(said: str, slots: dict[str, str], denied: dict[str, str]) -> None:
    understood = UNDERSTANDING.read(said, Expect.YES_NO)
    assert (understood.slots, understood.denied) == (slots, denied)


def test_the_parts_have_the_order_of_the_read_back() -> None:
    assert order("{street}, on {day} at {at}, {street}?", ["day", "at", "street"]) == ["street", "day", "at"]
    assert order("Is that right?", ["day", "at"]) == ["day", "at"]
    assert at_place("third", ["a", "b"]) == ""
    assert at_place("last", []) == ""
    assert (at_place("second", ["a", "b"]), at_place("last", ["a", "b"])) == ("b", "b")


@given(st.text("0123456789", min_size=1, max_size=10), st.data())
def test_one_digit_of_a_number_is_changed(number: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(number) - 1))
    digit = data.draw(st.integers(0, 9))
    changed = with_digit(f"the {PLACES[at]} digit is a {ONES[digit]}", number)
    assert changed == f"{number[:at]}{digit}{number[at + 1 :]}"
    assert with_digit(f"the last number should be {ONES[digit]}", number) == f"{number[:-1]}{digit}"
    assert with_digit("the tenth digit is a six", number[:9]) == ""
