"""Decides what speech over the agent is: an interruption, or nothing to stop for. Pure functions.

The agent is silent already (a pause loses nothing), so there is time to find out: words first, and where they tell
nothing, level and duration.
"""

from enum import Enum, auto

from agent.engine.base import Meaning

DRAWN_OUT = 1.5  # times as long as other speech a backchannel may go on


class Verdict(Enum):
    """What is to be done with the paused reply."""

    WAIT = auto()
    INTERRUPT = auto()
    RESUME = auto()


def while_speaking(
    meaning: Meaning | None, *, near: bool, surely_near: bool, speech_ms: float, interrupt_ms: float
) -> Verdict:
    """The speech goes on. `meaning` is that of its words so far, `near` whether it is as loud as the caller; what means
    nothing must be `surely_near`, or it is somebody else's."""
    if near and meaning is Meaning.TURN:
        return Verdict.INTERRUPT
    if meaning is Meaning.BACKCHANNEL:
        interrupt_ms *= DRAWN_OUT
    if speech_ms < interrupt_ms:
        return Verdict.WAIT
    return Verdict.INTERRUPT if surely_near else Verdict.RESUME


def after_it(meaning: Meaning | None) -> Verdict:
    """Short speech as loud as the caller has ended, and the engine was asked what it was; None until it has answered.

    What it does not know is no reason to stop: the pause lost nothing, and a caller who meant it will say it again.
    """
    if meaning is None:
        return Verdict.WAIT
    return Verdict.INTERRUPT if meaning is Meaning.TURN else Verdict.RESUME
