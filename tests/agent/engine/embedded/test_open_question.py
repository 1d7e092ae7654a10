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
    "words", ["yes no", "no yes", "yeah no", "that's right no", "no that's right", "yes it is wrong"]
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
