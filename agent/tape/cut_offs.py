"""Which turns were decided too soon: those after which the caller, who had only paused, went on. Sans-I/O.

The one definition of a cut-off, for settings tried on tapes and for the page about a call.
"""

from agent.listening.silence import BEFORE_MS, BEHIND_MS
from audio.rate import WINDOW_MS

WENT_ON_MS = 900  # speech that begins so soon after the last speech of a turn goes on with it
TAIL_MS = BEFORE_MS + BEHIND_MS  # the voice detector may let go of speech this late: that is not the caller going on


class CutOffs:
    """Follows one call: its speech probabilities and its decided turns, in the order the session had them."""

    def __init__(self, *, onset: float, offset: float, min_speech_ms: float) -> None:
        """`onset` and `offset` are probabilities, as in the settings of turns; less speech than `min_speech_ms` (ms)
        is noise."""
        self.ends_ms: list[float] = []  # where the caller paused, of each turn that was cut off
        self._onset, self._offset, self._min_speech_ms = onset, offset, min_speech_ms
        self._end_ms: float | None = None  # of the last turn, until it is known whether it was cut off
        self._cut = False  # the last decided turn was cut off
        self._speaking = False
        self._speech_ms = 0

    def decided(self, speech_end_ms: float) -> None:
        """A turn of speech seems to be over; one ended by keys cannot be cut off, and is not reported here."""
        self._end_ms, self._cut = speech_end_ms, False
        self._speech_ms = 0

    def dismissed(self) -> None:
        """What was heard since was not a turn (a backchannel, an echo): the agent has gone on."""
        if self._cut:
            self.ends_ms.pop()
        self.held()

    def held(self) -> None:
        """The call is on hold: what is heard from here on is not the caller going on."""
        self._end_ms, self._cut = None, False

    def probability(self, value: float, at_ms: float) -> None:
        """The next window of speech, told before what it leads to."""
        self._speaking = value >= (self._offset if self._speaking else self._onset)
        if self._end_ms is None:
            return
        begins_ms = at_ms - WINDOW_MS - self._end_ms  # this window, after the turn's last speech
        if not self._speaking or begins_ms < TAIL_MS:
            self._speech_ms = 0
            return
        if self._speech_ms == 0 and begins_ms > WENT_ON_MS:
            self._end_ms = None
            return
        self._speech_ms += WINDOW_MS
        if self._speech_ms >= self._min_speech_ms:
            self.ends_ms.append(self._end_ms)
            self._end_ms, self._cut = None, True
