"""Examples of what callers say, and what the dialogue makes of them."""

from agent.dialogue_check.automaton import Steps
from agent.dialogue_check.sayings import EXAMPLES, Sayings
from config.phrase import parse_phrase
from tests.agent.dialogue_check.dialogues import agent

SLOTS = {"day": {"values": {"Monday": []}}, "number": {"digits": 3}}
BOOK = {"phrases": ["book [on {day}]"], "ask": dict.fromkeys(SLOTS, "Which?"), "answer": "Done."}
HOURS = {"phrases": ["opening hours"], "answer": "Nine."}


def sayings(steps: Steps) -> Sayings:
    dialogue = agent({"book": BOOK, "hours": HOURS}, slots=SLOTS).dialogue
    assert dialogue is not None
    return Sayings(dialogue, steps)


def test_examples_differ_and_are_counted() -> None:
    steps = Steps()
    assert set(sayings(steps).examples([parse_phrase("a [b]"), parse_phrase("c")])) == {"a", "a b", "c"}
    assert steps.taken == EXAMPLES
    assert list(sayings(steps).examples([])) == []


def test_slots_are_spoken() -> None:
    assert len(sayings(Steps()).spoken(["number", "{number}"]).split()) == 4


def test_a_slot_counts_as_filled_while_its_task_goes_on() -> None:
    at = sayings(Steps()).at(task="book", question="day")
    assert at.filled("on monday") == {"day": "Monday"}
    assert at.filled("what") == {}
    assert at.meaning("opening hours").intent == "hours"
    last = sayings(Steps()).at(task="book", question="number")
    assert last.filled("one two three") == {"number": "123"}
