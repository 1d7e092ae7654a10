"""Words that mean two things."""

import pytest

from agent.dialogue_check.finding import Finding
from tests.agent.dialogue_check.dialogues import found

DAY = {"day": {"values": {"Monday": ["the first"], "Tuesday": ["the (first | second)"]}}}


def shared(first: str, second: str) -> list[Finding]:
    return found({"a": {"phrases": [first], "answer": "A."}, "b": {"phrases": [second], "answer": "B."}})


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("opening hours", "opening hours", "opening hours"),
        ("(opening | office) hours", "[your] office hours [today]", "office hours"),
        ("please open", "open [now]", "please open"),  # politeness and a phrase
        ("can i pay", "pay [here]", "can i pay"),
        ("pay [here]", "can i pay", "can i pay"),
    ],
)
def test_two_intents_share_words(first: str, second: str, words: str) -> None:
    problems = [finding for finding in shared(first, second) if "is a phrase of" in finding.text]
    [problem] = problems
    assert (problem.level, problem.key) == ("problem", "dialogue.intents.a.phrases")
    assert problem.text.startswith(f"\"{words}\" is a phrase of 'b' too, and is understood as ")


@pytest.mark.parametrize(
    ("first", "second"),
    [("opening hours", "hours"), ("open [today]", "open tomorrow"), ("where are you", "are you open")],
)
def test_others_do_not(first: str, second: str) -> None:
    assert shared(first, second) == []


def test_slots_are_compared_by_what_they_hold() -> None:
    slots = {"one": {"digits": 4}, "other": {"digits": 4}, "more": {"digits": 5}, "day": {"values": {"Monday": []}}}

    def intent(phrase: str, slot: str) -> dict[str, object]:
        return {"phrases": [phrase], "ask": {slot: "Which?"}, "answer": "Yes."}

    same = found({"a": intent("order {one}", "one"), "b": intent("order {other}", "other")}, slots=slots)
    assert "\"order {one}\" is a phrase of 'b' too" in same[-1].text
    for phrase, slot in (("order {more}", "more"), ("order {day}", "day")):
        told = found({"a": intent("order {one}", "one"), "b": intent(phrase, slot)}, slots=slots)
        assert not [finding for finding in told if "is a phrase of" in finding.text]
    both = found({"a": intent("on {day}", "day"), "b": {"phrases": ["on monday"], "answer": "B."}}, slots=slots)
    assert "\"on monday\" is a phrase of 'b' too" in both[-1].text


def test_a_built_in_intent_that_is_taken_over_is_a_warning() -> None:
    [warning] = found({"a": {"phrases": ["hang up", "call ended"], "answer": "A."}})
    assert (warning.level, warning.key) == ("warning", "dialogue.intents.a.phrases")
    assert warning.text == "\"hang up\" is a phrase of 'goodbye' too, and is understood as 'a'"


def test_two_values_share_words() -> None:
    [problem] = found({"a": {"phrases": ["book"], "ask": {"day": "Which?"}, "answer": "A."}}, slots=DAY)
    assert (problem.level, problem.key) == ("problem", "dialogue.slots.day.values")
    assert problem.text == "\"the first\" is said for 'Monday' and for 'Tuesday'"
