"""What callers of any business say is understood by an intent that has no phrases of its own."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from agent.engine.embedded.understanding import Understanding
from config.agent import load_agent
from config.dialogue import Dialogue
from config.intent import Intent
from config.phrase import parse_phrase
from config.usual import PHRASES, Usual

EXAMPLES = Path(__file__).parents[2] / "examples" / "agents"
WITHOUT_PHRASES = Dialogue.model_validate(
    {
        "texts": {"greeting": "Hello."},
        "intents": {name: {"usual": name, "answer": "Yes."} for name in get_args(Usual)},
    }
)
UNDERSTANDING = Understanding(WITHOUT_PHRASES)


def test_each_kind_has_phrases() -> None:
    assert set(PHRASES) == set(get_args(Usual))
    assert all(parse_phrase(phrase).options for phrases in PHRASES.values() for phrase in phrases)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("What are your opening hours?", "hours"),
        ("Hi there, I was just wondering what your hours are.", "hours"),
        ("How late are you guys open on Saturdays?", "hours"),
        ("Are you still open this afternoon?", "hours"),
        ("Does the shop close over lunch?", "hours"),
        ("Could you tell me whether you're open on Christmas?", "hours"),
        ("What's your address, please?", "address"),
        ("Hello, could you tell me how to find you?", "address"),
        ("Yeah, hi, whereabouts are you exactly?", "address"),
        ("I'm looking for directions to your office.", "address"),
        ("How much is it?", "price"),
        ("Can you tell me how much it costs?", "price"),
        ("What do you charge to come out?", "price"),
        ("How much is the fish?", ""),
        ("Where is my pen?", ""),
        ("When are you going to learn?", ""),
    ],
)
def test_what_callers_of_any_business_say(said: str, wanted: str) -> None:
    assert UNDERSTANDING.read(said).intent == wanted


def test_an_intent_needs_phrases_or_the_usual_ones() -> None:
    with pytest.raises(ValidationError, match=r"`phrases` is missing"):
        Intent.model_validate({"answer": "Yes."})
    with pytest.raises(ValidationError, match="usual"):
        Intent.model_validate({"usual": "weather", "answer": "Yes."})


def test_recognizers_with_few_words_hear_an_intents_own_phrases() -> None:
    museum = load_agent(EXAMPLES / "museum.yaml").dialogue
    assert museum
    hours, price = museum.intents["hours"], museum.intents["price"]
    assert hours.typical() == hours.spoken() == tuple(map(parse_phrase, PHRASES["hours"]))
    assert price.typical() == price.phrases
    assert set(price.typical()) < set(price.spoken())


def test_an_address_that_is_no_place_is_not_told() -> None:
    dialogue = Dialogue.model_validate(
        {
            "texts": {"greeting": "Hello."},
            "intents": {"where": {"usual": "address", "phrases": ["your address"], "about": "us", "answer": "Here."}},
        }
    )
    understanding = Understanding(dialogue)
    assert understanding.guess("Which address is it?")
    assert not understanding.guess("Which email address is it?")
    assert not understanding.guess("What is the web address?")
