"""What speech over the agent is: words first, then level and duration."""

import pytest

from agent.engine.base import Meaning
from agent.speaking.interruption import Verdict, after_it, while_speaking

WAIT, INTERRUPT, RESUME = Verdict.WAIT, Verdict.INTERRUPT, Verdict.RESUME


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
