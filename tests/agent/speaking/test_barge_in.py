"""Speech over a paused reply: how long it is, and what it and the engine's answer to it say."""

import pytest

from agent.engine.base import Cue, Done, Meaning, Next, ToolCall
from agent.listening.caller_turn import Caller
from agent.speaking.barge_in import Burst
from agent.speaking.interruption import UNKNOWN_WORD_MS, Verdict
from agent.speaking.reply import Reply
from audio.rate import WINDOW_MS
from config.settings import TurnSettings


class Speaking:
    """A caller whose detector is told that he speaks."""

    def __init__(self) -> None:
        self.caller = Caller(TurnSettings())
        self.windows = 0

    def speak(self, ms: float) -> None:
        for _ in range(round(ms / WINDOW_MS)):
            self.windows += 1
            self.caller.detector.update(0.95, self.windows * WINDOW_MS)


def test_speech_before_the_pause_does_not_count() -> None:
    case = Speaking()
    case.speak(320)
    burst = Burst(case.caller, onset_ms=288, certain=False)
    assert burst.speech_ms == WINDOW_MS  # the window that gave rise to it
    case.speak(320)
    assert burst.speech_ms == 320 + WINDOW_MS


def test_while_it_goes_on_words_decide_or_its_length() -> None:
    case = Speaking()
    case.speak(WINDOW_MS)
    burst = Burst(case.caller, onset_ms=0, certain=False)
    assert burst.verdict(900) is Verdict.WAIT
    case.caller.meaning = Meaning.TURN
    assert burst.verdict(900) is Verdict.INTERRUPT
    case.caller.meaning = None
    case.speak(960)
    assert burst.verdict(900) is Verdict.INTERRUPT


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({"generating": True}, Verdict.WAIT),
        ({"generating": False}, Verdict.RESUME),  # the engine had nothing to say to a short sound
        ({"generating": True, "text": "Of course"}, Verdict.INTERRUPT),
        ({"generating": True, "unfinished": True}, Verdict.INTERRUPT),
        ({"generating": True, "calls": (ToolCall("book", {}),)}, Verdict.INTERRUPT),
        ({"generating": False, "done": Done(next=Next.HANG_UP)}, Verdict.INTERRUPT),
        ({"generating": True, "text": "Yes?", "meaning": Meaning.BACKCHANNEL}, Verdict.RESUME),
        ({"generating": True, "meaning": Meaning.TURN}, Verdict.INTERRUPT),
    ],
)
def test_afterwards_the_engines_answer_tells(told: dict[str, object], verdict: Verdict) -> None:
    case = Speaking()
    case.speak(WINDOW_MS)
    burst, held = Burst(case.caller, onset_ms=0, certain=False), Reply(2, Cue.ANSWER, held=True)
    for name, value in told.items():
        setattr(held, name, value)
    assert burst.verdict_of(held) is verdict


def test_a_long_sound_without_words_is_taken_for_a_word_that_is_not_known() -> None:
    case = Speaking()
    case.speak(WINDOW_MS)
    burst, held = Burst(case.caller, onset_ms=0, certain=False), Reply(2, Cue.ANSWER, held=True)
    case.speak(UNKNOWN_WORD_MS)
    assert burst.verdict_of(held) is Verdict.INTERRUPT
