"""What speech over the agent is: words first, then level and duration."""

import pytest

from agent.engine.base import Meaning
from agent.speaking.interruption import Verdict, after_it, meaning_of, while_speaking

WAIT, INTERRUPT, RESUME = Verdict.WAIT, Verdict.INTERRUPT, Verdict.RESUME


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


@pytest.mark.parametrize(
    ("meaning", "near", "surely_near", "speech_ms", "verdict"),
    [
        (Meaning.TURN, True, True, 100, INTERRUPT),  # a word at once
        (Meaning.TURN, True, False, 100, INTERRUPT),  # a caller who is softer than usual
        (None, True, True, 899, WAIT),
        (None, True, True, 900, INTERRUPT),  # nobody says "uh-huh" for so long
        (Meaning.BACKCHANNEL, True, True, 500, WAIT),  # more may follow
        (Meaning.BACKCHANNEL, True, True, 1300, WAIT),
        (Meaning.BACKCHANNEL, True, True, 1350, INTERRUPT),
        (Meaning.NOTHING, True, True, 500, WAIT),
        (Meaning.NOTHING, True, False, 900, RESUME),  # somebody else, near the caller
        (Meaning.TURN, False, False, 500, WAIT),  # the television's words
        (Meaning.TURN, False, False, 900, RESUME),
        (None, False, False, 900, RESUME),
    ],
)
def test_while_it_goes_on(
    meaning: Meaning | None, near: bool, surely_near: bool, speech_ms: float, verdict: Verdict
) -> None:
    found = while_speaking(meaning, near=near, surely_near=surely_near, speech_ms=speech_ms, interrupt_ms=900)
    assert found is verdict


@pytest.mark.parametrize(
    ("meaning", "verdict"),
    [
        (Meaning.TURN, INTERRUPT),
        (Meaning.BACKCHANNEL, RESUME),
        (Meaning.NOTHING, RESUME),  # a cough, or a word that is not known
        (None, WAIT),  # the engine has not answered yet
    ],
)
def test_when_it_is_over(meaning: Meaning | None, verdict: Verdict) -> None:
    assert after_it(meaning) is verdict
