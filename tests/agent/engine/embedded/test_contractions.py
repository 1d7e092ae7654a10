"""Contractions, on both sides."""

import pytest

from agent.engine.embedded.contractions import EXPANDED, expanded, written_out
from config.phrase import parse_phrase
from tests.agent.engine.embedded.test_dialogue_script import VISIT, caller


def test_a_word_is_written_out() -> None:
    assert expanded("i'd") == ["i", "would"]
    assert expanded("can't") == expanded("cannot") == ["can", "not"]
    assert expanded("o'clock") == ["o'clock"]
    assert all(len(expanded(word)) == 2 for word in EXPANDED)


def test_a_phrase_is_written_out_however_deep() -> None:
    assert written_out(parse_phrase("(what's [it's {day}])")) == parse_phrase("(what is [it is {day}])")
    assert written_out(parse_phrase("yes")) == parse_phrase("yes")


@pytest.mark.parametrize("phrase", ["what's the price", "what is the price"])
@pytest.mark.parametrize("said", ["What's the price?", "what is the price"])
def test_callers_and_phrases_may_contract_or_not(phrase: str, said: str) -> None:
    intents = {"price": {"phrases": [phrase], "answer": "Ninety dollars."}}
    call = caller(dialogue={**VISIT["dialogue"], "intents": {**VISIT["dialogue"]["intents"], **intents}})
    assert call.says(said).startswith("Ninety dollars.")
