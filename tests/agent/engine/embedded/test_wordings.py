"""How people lead up to what they want: it is understood around a wish, and is none itself."""

from pathlib import Path

import pytest

import config
from agent.engine.base import Expect, Meaning
from agent.engine.embedded.understanding import Understanding
from config.agent import load_agent

DESK = load_agent(Path(config.__file__).parent / "agents" / "front_desk.yaml").dialogue
assert DESK
UNDERSTANDING = Understanding(DESK)


@pytest.mark.parametrize(
    "said",
    [
        "Good evening, I was wondering whether I could book an appointment, if that's possible.",
        "Yeah, hi, I'm just calling to book an appointment at all.",
        "Hello there, would it be possible to get an appointment?",
        "Hi, do you think I could have an appointment, thanks ever so much.",
        "I'm afraid I need to book an appointment as soon as possible.",
        "Is there any chance of an appointment?",
    ],
)
def test_what_comes_before_and_behind_a_wish(said: str) -> None:
    assert UNDERSTANDING.read(said).intent == "book"


@pytest.mark.parametrize(
    "said",
    ["Hi there, I was just wondering if I could", "Good afternoon, would it be possible to", "Is there any chance"],
)
def test_whoever_ends_so_will_go_on(said: str) -> None:
    assert UNDERSTANDING.complete(said, Expect.OPEN) is False
    assert UNDERSTANDING.meaning(said, Expect.OPEN, over=True) is Meaning.NOTHING
    assert not UNDERSTANDING.read(said)


def test_what_follows_a_wish_leads_to_nothing_more() -> None:
    wish = "book an appointment on tuesday at ten"
    assert UNDERSTANDING.complete(f"{wish} if you could", Expect.OPEN) is True
    assert UNDERSTANDING.complete(f"{wish} only", Expect.OPEN) is True
    assert UNDERSTANDING.complete("i was wondering if i could", Expect.OPEN) is False
    assert UNDERSTANDING.complete(f"{wish} but", Expect.OPEN) is False


@pytest.mark.parametrize(
    ("said", "built_in"),
    [
        ("Yeah, I think that should work fine for me.", "yes"),
        ("That sounds perfect.", "yes"),
        ("That's everything for today.", "no"),
        ("No, not any more.", "no"),
        ("Can I speak to someone at reception please?", "person"),
        ("Put me through to a real person.", "person"),
    ],
)
def test_what_is_built_in_is_said_in_more_ways(said: str, built_in: str) -> None:
    assert UNDERSTANDING.read(said, Expect.YES_NO).built_in == built_in
