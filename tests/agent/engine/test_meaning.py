"""What words over the agent mean."""

import pytest

from agent.engine.base import Meaning
from agent.engine.meaning import meaning_of


@pytest.mark.parametrize(
    "text",
    "uh-huh|Uh huh.|mm-hmm|mm hmm|MM HM!|okay|OK, sure|yeah yeah|right|I see|oh I see|all right|alright|hmm okay"
    "|Really? Wow!".split("|"),
)
def test_backchannels(text: str) -> None:
    assert meaning_of(text) is Meaning.BACKCHANNEL


@pytest.mark.parametrize(
    "text",
    "no|yes|stop|wait|hold on|okay but when|uh-huh and on friday|yeah no|I saw|right there|what|hello".split("|"),
)
def test_words_that_want_an_answer(text: str) -> None:
    assert meaning_of(text) is Meaning.TURN


@pytest.mark.parametrize("text", ["", "   ", "...", "?!", "\n"])
def test_no_words(text: str) -> None:
    assert meaning_of(text) is Meaning.NOTHING


@pytest.mark.parametrize("text", ["4", "42", "7 30"])
def test_numbers_are_words(text: str) -> None:
    assert meaning_of(text) is Meaning.TURN


@pytest.mark.parametrize("text", ["á", "нет", "да подождите"])
def test_words_of_other_alphabets_are_words(text: str) -> None:
    assert meaning_of(text) is Meaning.TURN
