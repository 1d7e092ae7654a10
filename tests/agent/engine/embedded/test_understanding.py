"""What a transcript means at the front desk."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import config
from agent.engine.embedded.understanding import Understanding, Understood
from config.agent import load_agent

DESK = load_agent(Path(config.__file__).parent / "agents" / "front_desk.yaml")
assert DESK.dialogue
UNDERSTANDING = Understanding(DESK.dialogue)


@pytest.mark.parametrize(
    ("words", "intent", "built_in", "slots"),
    [
        ("What are your opening hours?", "hours", "", {}),
        ("can you tell me your opening hours please", "hours", "", {}),
        ("where are you", "address", "", {}),
        ("I'd like to book an appointment.", "book", "", {}),
        ("book an appointment on Tuesday at ten", "book", "", {"day": "Tuesday", "time": "ten o'clock"}),
        ("tuesday", "", "", {"day": "Tuesday"}),
        ("ten in the morning", "", "", {"time": "ten o'clock"}),
        ("yes", "", "yes", {}),
        ("no, on Thursday", "", "no", {"day": "Thursday"}),
        ("no no on thursday at nine o'clock please", "", "no", {"day": "Thursday", "time": "nine o'clock"}),
        ("cancel my appointment", "cancel", "", {}),
        ("one two three four", "", "", {"number": "1234"}),
        ("it's nine oh two one", "", "", {"number": "9021"}),
        ("can i speak to a person", "", "person", {}),
        ("say that again please", "", "repeat", {}),
        ("no thanks", "", "no", {}),
        ("thank you very much", "thanks", "", {}),
        ("thank you goodbye", "", "goodbye", {}),
        ("um well where are you please", "address", "", {}),
    ],
)
def test_what_callers_say(words: str, intent: str, built_in: str, slots: dict[str, str]) -> None:
    assert UNDERSTANDING.read(words) == Understood(intent, built_in, slots)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "the weather is lovely",
        "one two three",
        "one two three four five",
        "please three eight you that for me",
        "hello is it eleven all pardon to wrong thursday tell me sure to the else close",
    ],
)
def test_what_strangers_say(words: str) -> None:
    assert not UNDERSTANDING.read(words)


def test_who_corrects_himself_means_the_later_one() -> None:
    assert UNDERSTANDING.read("on monday on tuesday").slots == {"day": "Tuesday"}


@given(st.lists(st.sampled_from("yes no book an appointment on monday at ten oh one please never mind the".split())))
def test_anything_can_be_read_and_reading_is_repeatable(words: list[str]) -> None:
    text = " ".join(words)
    understood = UNDERSTANDING.read(text)
    assert UNDERSTANDING.read(text) == understood
    assert set(understood.slots) <= set(DESK.dialogue.slots if DESK.dialogue else ())
