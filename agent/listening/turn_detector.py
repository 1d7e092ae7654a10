"""When the caller speaks and pauses, decided from speech probabilities. Sans-I/O."""

from enum import Enum, auto

from audio.rate import WINDOW_MS
from config.settings import TurnSettings


class Change(Enum):
    """What a new probability has changed."""

    NONE = auto()
    STARTED = auto()
    RESUMED = auto()


class TurnDetector:
    """Follows the probabilities of one call.

    Speech starts with the first window over the onset threshold (plus `onset_ms` of more). It pauses while windows
    are below the lower offset threshold, and goes on until `end` is called.
    """

    def __init__(self, settings: TurnSettings) -> None:
        self._settings = settings
        self.speaking = False
        self.started_ms = 0  # where the first speech window began
        self.last_speech_ms = 0  # where the last one ended
        self.speech_ms = 0  # how much of it was speech
        self.pause_ms = 0  # the last pause that ended with `RESUMED`
        self.silence_ms = 0  # since the last speech
        self.ended_ms = 0  # where the last speech of the turn before ended
        self._run_ms = 0  # speech windows in a row before the start

    def update(self, probability: float, at_ms: int, *, over: bool = False) -> Change:
        """Take the probability of the window that ended at `at_ms`. While the agent is talking (`over`) speech starts
        at a lower one, since a pause costs nothing."""
        if not self.speaking:
            return self._before(probability, at_ms, over)
        self.silence_ms = at_ms - self.last_speech_ms
        # After a pause it takes more than breath for the speech to go on.
        paused = self.silence_ms > WINDOW_MS
        if probability < (self._settings.onset_probability if paused else self._settings.offset_probability):
            return Change.NONE
        self.pause_ms = self.silence_ms - WINDOW_MS
        self.last_speech_ms = at_ms
        self.silence_ms = 0
        self.speech_ms += WINDOW_MS
        return Change.RESUMED if paused else Change.NONE

    def end(self) -> None:
        """The turn is over; the next speech starts another one."""
        self.speaking = False
        self.ended_ms = self.last_speech_ms
        self._run_ms = 0

    def _before(self, probability: float, at_ms: int, over: bool) -> Change:
        onset = self._settings.onset_probability
        if probability < (min(onset, self._settings.pause_probability) if over else onset):
            self._run_ms = 0
            return Change.NONE
        self._run_ms += WINDOW_MS
        if self._run_ms - WINDOW_MS < self._settings.onset_ms:
            return Change.NONE
        self.speaking = True
        self.started_ms = at_ms - self._run_ms
        self.last_speech_ms = at_ms
        self.silence_ms = 0
        self.speech_ms = self._run_ms
        return Change.STARTED
