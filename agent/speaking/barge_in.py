"""Speech over the agent, which has paused to find out what it is. Sans-I/O."""

from agent.engine.base import Meaning, Next
from agent.listening.caller_turn import CallerTurn
from agent.speaking.interruption import Verdict, after_it, while_speaking
from agent.speaking.reply import Reply
from audio.rate import WINDOW_MS


class BargeIn:
    """One stretch of it. `certain`: whatever it is, the reply will not go on."""

    def __init__(self, caller: CallerTurn, onset_ms: float, *, certain: bool) -> None:
        self.onset_ms = onset_ms
        self.certain = certain
        self._caller = caller
        self._before_ms = caller.detector.speech_ms - WINDOW_MS  # of the room's, before it

    @property
    def speech_ms(self) -> int:
        """Speech since it began."""
        return self._caller.detector.speech_ms - self._before_ms

    def verdict(self, interrupt_ms: float) -> Verdict:
        """What time, level and words so far say together, while it goes on."""
        caller = self._caller
        return while_speaking(
            caller.meaning,
            near=caller.near(),
            surely_near=caller.surely_near(),
            speech_ms=self.speech_ms,
            interrupt_ms=interrupt_ms,
        )

    def verdict_of(self, speculative: Reply) -> Verdict:
        """It has ended, and the engine was asked: what the answer says so far."""
        meaning = speculative.meaning
        if speculative.text or speculative.incomplete or speculative.calls or speculative.done.next is not Next.LISTEN:
            meaning = meaning or Meaning.TURN
        elif not speculative.generating:
            meaning = Meaning.NOTHING  # it had nothing to say
        return after_it(meaning)
