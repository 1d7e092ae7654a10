"""Turns that are nearly a phrase."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.embedded.language_model import STRANGERS
from agent.engine.embedded.likeness import MAYBE, SURE, Likeness
from agent.engine.embedded.understanding import Understanding
from config.agent import load_agent
from config.dialogue import Dialogue

ROOT = Path(__file__).parents[4]
PLUMBER = load_agent(ROOT / "examples" / "agents" / "plumber.yaml")
assert PLUMBER.dialogue
UNDERSTANDING = Understanding(PLUMBER.dialogue)


@pytest.mark.parametrize(
    ("said", "intent"),
    [
        ("the whole basement is completely flooded", "emergency"),
        ("my basement floded", "emergency"),  # as it was misheard
        ("water is coming off the ceiling", "emergency"),
        ("what do you charge an hour", "price"),
        ("could you call back please", "callback"),
    ],
)
def test_what_is_nearly_a_phrase_is_taken_for_it(said: str, intent: str) -> None:
    assert not UNDERSTANDING.read(said)
    [(name, score)] = UNDERSTANDING.guess(said)
    assert name == intent
    assert score >= SURE


@pytest.mark.parametrize(
    ("said", "intents"),
    [
        ("my pipe", {"emergency"}),
        ("everything is under water", {"emergency"}),
        ("your price and hours", {"hours", "price"}),
    ],
)
def test_what_may_mean_an_intent_is_asked_about(said: str, intents: set[str]) -> None:
    best = UNDERSTANDING.guess(said)
    assert {name for name, _ in best} == intents
    assert all(MAYBE <= score < SURE for _, score in best)


@pytest.mark.parametrize(
    "said", ["", "blah", "it's raining", "i want to buy a house", "is this the pizza place", "what is your name"]
)
def test_what_strangers_say_is_like_nothing(said: str) -> None:
    assert UNDERSTANDING.guess(said) == []


SAID = (
    "i have to cancel my appointment",
    "it's an emergency there's water everywhere",
    "the plane was two hours late and who left the tap over the kitchen floor running",
)


@pytest.mark.parametrize("seed", ["0", "1", "2", "3"])
def test_a_score_is_the_same_in_every_process(seed: str) -> None:
    """Whose sets have other orders: sums of floats and near words must not follow them."""
    code = f"from {__name__} import SAID, UNDERSTANDING; print(*map(UNDERSTANDING.guess, SAID))"
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == " ".join(str(UNDERSTANDING.guess(said)) for said in SAID)


@given(st.lists(st.sampled_from(STRANGERS), min_size=5, max_size=12))
def test_a_television_is_hardly_ever_taken_for_a_wish(words: list[str]) -> None:
    assert all(score < SURE for _, score in UNDERSTANDING.guess(" ".join(words)))


@given(st.lists(st.sampled_from("my pipe has burst price hours what visit xyz the water is".split()), max_size=60))
def test_a_score_lies_between_0_and_1(words: list[str]) -> None:
    for _, score in UNDERSTANDING.guess(" ".join(words)):
        assert MAYBE <= score <= 1


def test_beside_some_words_an_intent_is_not_meant() -> None:
    plain = {"phrases": ["open an account"], "about": "an account", "answer": "Yes."}
    text = ["please", "open", "the", "bank", "account"]
    for unless, like in (([], ["account"]), (["bank"], [])):
        dialogue = Dialogue.model_validate(
            {"texts": {"greeting": "Hello."}, "intents": {"account": {**plain, "unless": unless}}}
        )
        assert [name for name, _ in Likeness(dialogue).best(text)] == like
