"""Conversations about slots of every kind, with an agent made for it."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.engine.base import Expect, Next
from config.agent import AgentSettings
from tests.agent.engine.embedded.plain_caller import PlainCaller, shop

VISIT: dict[str, Any] = {
    "name": "visit",
    "hours": {"mon-fri": "08:00-17:00"},
    "tools": {
        "visit": {
            "file": "visits.jsonl",
            "parameters": dict.fromkeys(("day", "at", "street", "phone", "name", "dog"), "x"),
        },
        "note": {"file": "notes.jsonl", "parameters": {"account": "its number"}},
    },
    "dialogue": {
        "texts": {"greeting": "Hello."},
        "slots": {
            "day": "date",
            "at": "time",
            "street": "text",
            "phone": {"digits": 10, "called": ["phone number"]},
            "name": "spell",
            "dog": "yes_no",
            "account": {"digits": "3-12"},
        },
        "intents": {
            "visit": {
                "phrases": ["(book | i need) a visit [on {day}] [at {at}]"],
                "ask": {
                    "day": "Which day?",
                    "at": "At what time on {day}?",
                    "street": "Which street?",
                    "phone": "Your phone number?",
                    "name": "Please spell your name.",
                    "dog": "Is there a dog?",
                },
                "confirm": "{day}, {at}, {street}, {phone}, {name}, dog {dog}. Is that right?",
                "tool": "visit",
                "answer": "Done for {day}.",
            },
            "note": {
                "phrases": ["account number [{account}]"],
                "ask": {"account": "Which account?"},
                "tool": "note",
                "answer": "Noted {account}.",
            },
            "hours": {"phrases": ["when are you open"], "answer": "From eight."},
        },
    },
}


def agent(**changes: Any) -> AgentSettings:
    return AgentSettings.model_validate({**VISIT, **changes})


def caller(**changes: Any) -> PlainCaller:
    return PlainCaller(agent(**changes))


def test_every_kind_of_slot_step_by_step() -> None:
    call = caller()
    assert call.says("i need a visit") == "Which day?"
    assert call.done.expect is Expect.DATE
    assert call.says("next Friday, please") == "At what time on Friday, December eleventh?"
    assert call.done.expect is Expect.TIME
    assert call.says("Half past three.") == "Which street?"
    assert call.done.expect is Expect.TEXT
    assert call.says("Um, it's 12 Old Mill Lane, please.") == "Your phone number?"
    assert (call.done.expect, call.done.expect_digits) == (Expect.DIGITS, (10, 10))
    assert call.says("555-012-3456") == "Please spell your name."
    assert call.done.expect is Expect.SPELLING
    assert call.says("M I double L E R") == "Is there a dog?"
    assert call.done.expect is Expect.YES_NO
    back = call.says("no")
    assert back == (
        "Friday, December eleventh, three thirty in the afternoon, 12 Old Mill Lane, 5 5 5 0 1 2 3 4 5 6, "
        "M, I, L, L, E, R, dog no. Is that right?"
    )
    assert "Done for Friday, December eleventh." in call.says("yes")
    [tool] = call.tools
    assert tool.arguments == {
        "day": "2026-12-11",
        "at": "15:30",
        "street": "12 Old Mill Lane",
        "phone": "5550123456",
        "name": "MILLER",
        "dog": "no",
    }
    assert tool.heard_ms == {"street": 4000, "name": 6000}


def test_slots_come_in_any_order_in_one_sentence() -> None:
    call = caller()
    said = "I need a visit tomorrow at 9 and my street is Hill Road and my phone number is 5550123456"
    assert call.says(said) == "Please spell your name."
    assert call.state["slots"] == {"day": "2026-12-01", "at": "09:00", "street": "Hill Road", "phone": "5550123456"}
    call = caller()
    call.says("i need a visit")
    assert call.says("my phone number is 5550123456, at nine on tuesday") == "Which street?"


@pytest.mark.parametrize(
    ("said", "at"),
    [("at three", "15:00"), ("at eight", "08:00"), ("at eight in the evening", "20:00"), ("at six", "18:00")],
)
def test_the_opening_hours_tell_which_half_of_the_day_is_meant(said: str, at: str) -> None:
    call = caller()
    call.says("i need a visit on tuesday")
    call.says(said)
    assert call.state["slots"]["at"] == at


def test_a_day_that_there_is_not_is_owned_up_to() -> None:
    call = caller()
    call.says("i need a visit")
    assert call.says("the thirtieth of february") == "I'm sorry, there is no such date. Which day?"
    assert "At what time" in call.says("the first of march")


@pytest.mark.parametrize(
    "said", ["let's say tuesday", "tuesday would be best", "would tuesday work", "Tuesday works for me."]
)
def test_a_day_is_told_as_people_tell_it(said: str) -> None:
    call = caller()
    call.says("i need a visit")
    assert call.says(said) == "At what time on Tuesday, December first?"


def test_a_text_alone_begins_no_task() -> None:
    call = caller()
    assert "Sorry, I didn't get that." in call.says("my street is almost out of milk")
    call.says("i need a visit tomorrow at nine")
    assert call.says("my street is Hill Road") == "Your phone number?"


# A number in parts


def asked_for_the_phone() -> PlainCaller:
    call = caller()
    call.says("i need a visit tomorrow at nine")
    call.says("Hill Road")
    return call


def test_a_long_number_comes_in_parts_each_read_back() -> None:
    call = asked_for_the_phone()
    assert call.says("five five five") == "5 5 5. And then?"
    assert call.done.expect_digits == (7, 10)
    assert call.says("zero one two") == "So far 5 5 5 0 1 2. What comes next?"
    assert call.done.expect_digits == (4, 10)
    assert call.says("and then thirty four fifty six") == "Please spell your name."
    assert call.state["slots"]["phone"] == "5550123456"


def test_a_part_that_was_misheard_is_taken_back() -> None:
    call = asked_for_the_phone()
    call.says("five five five")
    call.says("zero one nine")
    assert call.says("no, zero one two") == "So far 5 5 5 0 1 2. What comes next?"
    assert call.says("no") == "5 5 5. And then?"
    assert call.says("no") == "Your phone number?"
    assert call.says("555 012 3456") == "Please spell your name."


def test_keys_and_words_make_one_number() -> None:
    call = asked_for_the_phone()
    assert call.says("five five five") == "5 5 5. And then?"
    assert call.dials("0123456") == "Please spell your name."


def test_too_many_digits_are_asked_for_anew() -> None:
    call = asked_for_the_phone()
    call.says("five five five")
    assert "Sorry, I didn't get that." in call.says("one two three four five six seven eight")
    assert call.says("555 012 3456") == "Please spell your name."


def test_a_person_and_a_question_interrupt_a_number_and_it_goes_on() -> None:
    call = asked_for_the_phone()
    call.says("five five five")
    assert call.says("when are you open").startswith("From eight.")
    assert "phone number" in call.says("say that again")


def test_zero_is_a_person_only_before_a_number() -> None:
    call = asked_for_the_phone()
    call.says("five five five")
    assert "So far 5 5 5 0" in call.dials("0")


def test_a_number_of_some_length_is_taken_as_it_is_said() -> None:
    call = caller()
    assert call.says("account number 12345").startswith("Noted 1 2 3 4 5.")
    call = caller()
    call.says("account number")
    assert call.says("one two") == "1 2. And then?"
    assert call.says("three four").startswith("Noted 1 2 3 4.")


# Texts


def asked_for_the_street() -> PlainCaller:
    call = caller()
    call.says("i need a visit tomorrow at nine")
    return call


@pytest.mark.parametrize(
    ("said", "street"),
    [
        ("12 River Street", "12 River Street"),
        ("It's Tuesday Lane.", "Tuesday Lane"),
        ("at ten", "at ten"),
        ("my street is Old Road, number 3", "Old Road, number 3"),
        ("Saint-Étienne way", "Saint-Étienne way"),
    ],
)
def test_a_text_is_what_was_said(said: str, street: str) -> None:
    call = asked_for_the_street()
    assert call.says(said) == "Your phone number?"
    assert call.state["slots"]["street"] == street


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("can i speak to a person", "nobody I can put you through"),
        ("what did you say", "Which street?"),
        ("when are you open", "From eight."),
        ("goodbye", "Goodbye"),
        ("never mind", "never mind"),
        ("my phone number is 5550123456", "Which street?"),
        ("", "Sorry, I didn't get that."),
    ],
)
def test_not_everything_is_a_text(said: str, answer: str) -> None:
    call = asked_for_the_street()
    assert answer in call.says(said)
    assert "street" not in call.state["slots"]


def test_a_text_has_its_bound() -> None:
    dialogue = {
        **VISIT["dialogue"],
        "slots": {**VISIT["dialogue"]["slots"], "street": {"type": "text", "max_words": 3}},
    }
    call = caller(dialogue=dialogue)
    call.says("i need a visit tomorrow at nine")
    call.says("the house behind the old mill")
    assert call.state["slots"]["street"] == "the house behind"


# Whatever happens


SAYINGS = [
    "i need a visit", "tomorrow", "at nine", "hill road", "five five five", "no", "yes", "m i l", "555 012 3456", "",
    "no five", "what did you say", "never mind", "the thirtieth of february", "account number", "one two",
]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.sampled_from(SAYINGS), max_size=14))
def test_whatever_is_said_there_is_an_answer_and_slots_are_what_they_are_said_to_be(sayings: list[str]) -> None:
    call = caller()
    for saying in sayings:
        assert call.says(saying)
        slots = call.state["slots"]
        assert len(slots.get("phone", "5550123456")) == 10
        assert slots.get("dog", "no") in ("yes", "no")
        assert sum(map(len, call.state["parts"])) < 10
        if call.done.next is not Next.LISTEN:
            break


@pytest.mark.parametrize("zone", ["Europe/London", "Asia/Tokyo"])
def test_today_is_a_day_of_the_agents_time_zone(zone: str) -> None:
    call = PlainCaller(agent(time_zone=zone), datetime(2026, 11, 30, 20, 0, tzinfo=UTC))
    call.says("i need a visit today")
    assert call.state["slots"]["day"] == ("2026-12-01" if zone == "Asia/Tokyo" else "2026-11-30")


def test_who_calls_can_be_said_in_an_answer() -> None:
    call = shop(number={"phrases": ["my number"], "answer": "You call from {caller}."})
    assert call.says("my number").startswith("You call from unknown.")


# Did you mean


def asked() -> PlainCaller:
    return shop(
        price={"phrases": ["the cost of cake"], "about": "the price", "answer": "Ten."},
        cost={"phrases": ["the cost of delivery"], "about": "the delivery", "answer": "Five."},
    )


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("the delivery", "Five."),
        ("the second one", "Five."),
        ("the first one", "Ten."),
        ("the cost of cake", "Ten."),
        ("no", "What can I do for you?"),
        ("blah", "I'm sorry, I still didn't understand. Are you calling about"),
    ],
)
def test_of_two_intents_that_fit_the_caller_chooses_one(said: str, answer: str) -> None:
    call = asked()
    question = call.says("the cost of")
    assert question == "Are you calling about the price, or about the delivery?"
    assert call.says(said).startswith(answer)


@pytest.mark.parametrize(
    ("said", "sure"),
    [
        ("my visit falls through on friday evening at six", False),  # asked about first
        ("i need my visit friday evening at six", True),
    ],
)
def test_what_was_said_beside_a_wish_that_is_guessed_is_kept(said: str, sure: bool) -> None:
    content = copy.deepcopy(VISIT)
    content["dialogue"]["intents"]["visit"]["about"] = "a visit"
    call = PlainCaller(AgentSettings.model_validate(content))
    answer = call.says(said)
    if not sure:
        assert answer == "Are you calling about a visit?"
        assert call.state["slots"] == {}
        answer = call.says("yes")
    assert answer == "Which street?"
    assert call.state["slots"] == {"day": "2026-12-04", "at": "18:00"}
    assert call.state["maybe_slots"] == {}


def test_whoever_is_never_understood_ends_with_a_person() -> None:
    call = asked()
    call.says("the cost of")
    call.says("blah")
    assert "nobody I can put you through" in call.says("blah")
