"""Answers that are none, or too much: what the plumber and the pharmacy of the examples make of them."""

from pathlib import Path

import pytest

from config.agent import load_agent
from tests.agent.engine.embedded.plain_caller import PlainCaller

AGENTS = Path(__file__).parents[4] / "examples" / "agents"
VISIT = ("i need a plumber", "a dripping tap", "friday at ten", "12 elm street")


def caller(agent: str, *turns: str) -> PlainCaller:
    """One who has said this so far."""
    call = PlainCaller(load_agent(AGENTS / f"{agent}.yaml"))
    for words in turns:
        call.says(words)
    return call


@pytest.mark.parametrize("words", ["okay", "yes", "right"])
def test_a_yes_to_which_part_is_wrong_settles_nothing(words: str) -> None:
    call = caller("plumber", *VISIT, "5550102030")
    assert call.says("no") == "Which part is wrong?"
    assert "12 elm street" in call.says(words)
    assert not call.tools
    assert "We'll be there" in call.says("yes")
    assert call.tools[0].arguments["phone"] == "5550102030"


def test_after_which_part_is_wrong_corrections_are_taken() -> None:
    call = caller("plumber", *VISIT, "5550102030", "no")
    assert "What is the address?" in call.says("the address")
    assert "14 oak road" in call.says("14 oak road")
    call = caller("plumber", *VISIT, "5550102030", "no")
    assert call.says("blue green yellow").endswith("Which part is wrong?")
    assert "Thursday" in call.says("on thursday")
    assert not call.tools


def test_an_emergency_is_not_noted_by_okay_to_tell_me_what_is_wrong() -> None:
    call = caller("plumber", "it's an emergency", "yes", "12 elm street", "5550102030", "no")
    assert "12 elm street" in call.says("okay")
    assert not call.tools


@pytest.mark.parametrize(
    "words", ["yes no", "no yes", "yeah no", "that's right no", "yes yes yes no", "no that's right", "yes it is wrong"]
)
def test_yes_and_no_at_once_is_asked_about_again(words: str) -> None:
    call = caller("plumber", *VISIT, "5550102030")
    assert call.says(words).startswith("Sorry, I didn't get that.")
    assert not call.tools
    assert call.says("no") == "Which part is wrong?"


def test_too_long_a_number_is_no_time() -> None:
    call = caller("plumber", *VISIT)
    assert call.says("five five five oh one oh two oh three oh four").startswith("Sorry, I didn't get that.")
    assert "ten in the morning" in call.says("5550102030")


def test_a_time_beside_the_question_for_a_number_is_still_one() -> None:
    call = caller("plumber", *VISIT)
    assert "ten digit number" in call.says("make it eleven o'clock")
    assert "eleven in the morning" in call.says("5550102030")


def test_digits_too_many_after_a_part_are_not_taken_for_the_whole_number() -> None:
    call = caller("pharmacy", "i need a refill", "1234")
    assert call.says("567890").startswith("Sorry, I didn't get that.")
    assert "1 2 3 4 5 6 7 8" in " ".join(call.says(each) for each in ("12345678", "B O B", "no", "friday"))


def test_digits_may_follow_a_number_that_was_whole() -> None:
    call = caller("pharmacy", "i need a refill", "123456")
    assert call.says("seven eight") == "Please spell the last name on it."
    assert "1 2 3 4 5 6 7 8" in " ".join(call.says(each) for each in ("B O B", "no", "friday"))
    call = caller("pharmacy", "i need a refill", "123456")
    assert call.says("seven eight nine").startswith("Sorry, I didn't get that.")
    call = caller("pharmacy", "i need a refill", "123456", "B O B")
    assert call.says("seven eight").startswith("Sorry, I didn't get that.")


@pytest.mark.parametrize(
    "words",
    ["i don't know", "Well, I don't know.", "what do you mean", "what's that", "let me think", "I'm not sure, sorry."],
)
def test_what_is_no_answer_is_no_text_either(words: str) -> None:
    call = caller("plumber", *VISIT[:3])
    assert call.says(words).startswith("Sorry, I didn't get that. What is the address?")
    assert "ten digit number" in call.says("12 elm street")


@pytest.mark.parametrize("words", ["yesterday", "last friday", "march the fourth twenty twenty five"])
def test_a_day_that_is_over_is_asked_about_again(words: str) -> None:
    call = caller("plumber", *VISIT[:2])
    assert call.says(words) == "I'm sorry, that day is over. Please name one to come. Which day suits you?"
    assert "at what time" in call.says("today")


def test_a_day_that_is_over_is_owned_up_to_beside_what_is_understood() -> None:
    call = caller("plumber", *VISIT[:1])
    assert call.says("a dripping tap yesterday at ten").startswith("I'm sorry, that day is over.")
    assert call.state["slots"] == {"problem": "a dripping tap", "time": "10:00"}


@pytest.mark.parametrize(
    ("words", "slot", "value"),
    [
        ("no, it's oak avenue", "address", "oak avenue"),
        ("No, it's 14 Oak Avenue, please.", "address", "14 Oak Avenue"),
        ("no, fourteen oak road", "address", "fourteen oak road"),
        ("no no, I said Oak Avenue", "address", "Oak Avenue"),
        ("no it's Thursday", "day", "2026-12-03"),
        ("no, Thursday", "day", "2026-12-03"),
        ("no, four pm", "time", "16:00"),
        ("no, it should be four pm", "time", "16:00"),
        ("no, it's the boiler", "problem", "a boiler"),
        ("no, it's 5550102031", "phone", "5550102031"),
    ],
)
def test_after_no_at_the_read_back_comes_what_is_right(words: str, slot: str, value: str) -> None:
    call = caller("plumber", *VISIT, "5550102030")
    before = call.state["slots"]
    assert call.says(words).endswith("is that right, yes or no?")
    assert call.state["slots"] == {**before, slot: value}
    assert "We'll be there" in call.says("yes")


@pytest.mark.parametrize(
    "words",
    ["it's raining again", "no, put that on the table", "no, I don't know", "no, it's", "well it's late", "no what"],
)
def test_what_is_no_correction_changes_nothing(words: str) -> None:
    call = caller("plumber", *VISIT, "5550102030")
    before = call.state["slots"]
    call.says(words)
    assert call.state["slots"] == before
    assert not call.tools


def test_no_it_is_right_is_asked_about_again() -> None:
    call = caller("plumber", *VISIT, "5550102030")
    assert call.says("no, it's correct").startswith("Sorry, I didn't get that.")
    assert "Which part is wrong" in call.says("no, it's wrong")


def test_a_name_is_corrected_where_it_is_the_only_text() -> None:
    call = caller("restaurant", "book a table for two on friday at seven", "miller")
    assert "two, Friday, December fourth, seven in the evening, Miles:" in call.says("No, it's Miles.")


@pytest.mark.parametrize(
    ("words", "slots"),
    [
        ("on Thursday at oak avenue 12", {"day": "2026-12-03", "address": "oak avenue 12"}),
        (
            "Thursday at four in the afternoon at Oak Avenue",
            {"day": "2026-12-03", "time": "16:00", "address": "Oak Avenue"},
        ),
        ("On Thursday, 12 Oak Avenue.", {"day": "2026-12-03", "address": "12 Oak Avenue"}),
        ("at four, and the address is Oak Avenue", {"time": "16:00", "address": "Oak Avenue"}),
        ("on Thursday at three oak avenue", {"day": "2026-12-03", "address": "three oak avenue"}),
        ("It's Thursday Lane.", {"address": "Thursday Lane"}),
        ("at ten Downing Street", {"address": "at ten Downing Street"}),
        ("seven at the corner", {"address": "seven at the corner"}),
    ],
)
def test_slots_before_a_text_are_kept(words: str, slots: dict[str, str]) -> None:
    call = caller("plumber", *VISIT[:3])
    before = call.state["slots"]
    assert "ten digit number" in call.says(words)
    assert call.state["slots"] == {**before, **slots}


def test_another_year_is_said() -> None:
    call = caller("plumber", *VISIT[:2], "the second of march", "ten", "12 elm street")
    assert "Tuesday, March second, twenty twenty seven, ten in the morning" in call.says("5550102030")


def test_a_text_does_not_hold_the_other_slot_said_after_it() -> None:
    call = caller("plumber", *VISIT[:3])
    back = call.says("12 elm street, the number is 5550102030")
    assert "at 12 elm street, and your number is 5 5 5 0 1 0 2 0 3 0." in back


def test_an_address_may_hold_numbers() -> None:
    call = caller("plumber", *VISIT[:3], "seven thirty two elm street", "5550102030", "yes")
    assert call.tools[0].arguments["address"] == "seven thirty two elm street"


def test_please_is_no_part_of_a_name() -> None:
    call = caller("restaurant", "book a table for two on friday at eight")
    assert "under o'brien. Is that right?" in call.says("under o'brien please")


def test_between_two_times_is_neither() -> None:
    call = caller("plumber", *VISIT[:2], "friday")
    assert call.says("between nine and eleven").startswith("Sorry, I didn't get that.")
    assert call.says("nine, no, eleven") == "What is the address?"


def test_make_it_nine_is_a_time_and_make_it_nine_people_a_number_of_people() -> None:
    turns = ("book a table for two on friday at seven", "miller")
    call = caller("restaurant", *turns)
    assert "two, Friday, December fourth, nine in the evening" in call.says("no make it nine")
    call = caller("restaurant", *turns)
    assert "three, Friday, December fourth, seven in the evening" in call.says("no make it three people")


def test_a_table_for_twenty_two_is_no_time() -> None:
    call = caller("restaurant")
    assert "At what time on Friday" in call.says("a table for twenty two on friday")
    assert call.state["slots"] == {"people": "more than eight", "day": "2026-12-04"}


@pytest.mark.parametrize(
    ("words", "day"),
    [
        ("could you do friday", "Friday"),
        ("um, friday if at all possible", "Friday"),
        ("let me see, friday would be great", "Friday"),
        ("maybe the eighteenth", "December eighteenth"),
    ],
)
def test_a_value_among_words_that_say_nothing_is_the_answer(words: str, day: str) -> None:
    call = caller("plumber", *VISIT[:2])
    assert call.says(words) == "And at what time?"
    call.says("at ten")
    call.says("12 elm street")
    assert day in call.says("5550102030")


@pytest.mark.parametrize(
    "words",
    [
        "not friday",
        "i can't do friday",
        "i cannot do friday",
        "friday is out",
        "no friday isn't good",
        "friday or monday",
        "she was there on friday",
        "anything but friday",
        "on friday the match begins",
        "could you do it",
    ],
)
def test_among_other_words_it_is_none(words: str) -> None:
    call = caller("plumber", *VISIT[:2])
    assert call.says(words) != "And at what time?"
