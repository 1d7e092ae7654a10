"""Speech over a paused reply: how long it is, and what it and the engine's answer to it say."""

import pytest

from agent.engine.base import Cue, Done, Meaning, Next, ToolCall
from agent.listening.caller_turn import CallerTurn
from agent.speaking.barge_in import BargeIn
from agent.speaking.interruption import Verdict
from agent.speaking.reply import Reply
from audio.rate import WINDOW_MS
from config.settings import TurnSettings


class Synthesis:
    """A caller whose detector is told that they are speaking."""

    def __init__(self) -> None:
        self.caller = CallerTurn(TurnSettings())
        self.windows = 0

    def speak(self, ms: float) -> None:
        for _ in range(round(ms / WINDOW_MS)):
            self.windows += 1
            self.caller.detector.update(0.95, self.windows * WINDOW_MS)


def test_speech_before_the_pause_does_not_count() -> None:
    case = Synthesis()
    case.speak(320)
    barge_in = BargeIn(case.caller, onset_ms=288, certain=False)
    assert barge_in.speech_ms == WINDOW_MS  # the window that gave rise to it
    case.speak(320)
    assert barge_in.speech_ms == 320 + WINDOW_MS


def test_while_it_goes_on_words_decide_or_its_length() -> None:
    case = Synthesis()
    case.speak(WINDOW_MS)
    barge_in = BargeIn(case.caller, onset_ms=0, certain=False)
    assert barge_in.verdict(900) is Verdict.WAIT
    case.caller.meaning = Meaning.TURN
    assert barge_in.verdict(900) is Verdict.INTERRUPT
    case.caller.meaning = None
    case.speak(960)
    assert barge_in.verdict(900) is Verdict.INTERRUPT


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({"generating": True}, Verdict.WAIT),
        ({"generating": False}, Verdict.RESUME),  # the engine had nothing to say to a short sound
        ({"generating": True, "text": "Of course"}, Verdict.INTERRUPT),
        ({"generating": True, "incomplete": True}, Verdict.INTERRUPT),
        ({"generating": True, "calls": (ToolCall("book", {}),)}, Verdict.INTERRUPT),
        ({"generating": False, "done": Done(next=Next.HANG_UP)}, Verdict.INTERRUPT),
        ({"generating": True, "text": "Yes?", "meaning": Meaning.BACKCHANNEL}, Verdict.RESUME),
        ({"generating": True, "meaning": Meaning.TURN}, Verdict.INTERRUPT),
    ],
)
def test_afterwards_the_engines_answer_tells(told: dict[str, object], verdict: Verdict) -> None:
    case = Synthesis()
    case.speak(WINDOW_MS)
    barge_in, speculative = BargeIn(case.caller, onset_ms=0, certain=False), Reply(2, Cue.ANSWER, speculative=True)
    for name, value in told.items():
        setattr(speculative, name, value)
    assert barge_in.verdict_of(speculative) is verdict
