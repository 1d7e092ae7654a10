"""When the caller begins and ends to speak, decided from speech probabilities. Sans-I/O."""

from enum import Enum, auto

from config.settings import TurnSettings

WINDOW_MS = 32  # what one probability stands for


class Change(Enum):
    """What a new probability has decided."""

    NONE = auto()
    STARTED = auto()
    ENDED = auto()


class TurnDetector:
    """Follows the probabilities of one call.

    Speech starts with the first window over the onset threshold (plus `onset_ms` of more), and ends when
    `endpoint_ms` have passed without a window over the lower offset threshold.
    """

    def __init__(self, settings: TurnSettings) -> None:
        self._settings = settings
        self.speaking = False
        self.started_ms = 0  # where the first speech window began
        self.last_speech_ms = 0  # where the last one ended
        self.speech_ms = 0  # how much of it was speech
        self._run_ms = 0  # speech windows in a row before the start

    def update(self, probability: float, at_ms: int) -> Change:
        """Take the probability of the window that ended at `at_ms`."""
        if not self.speaking:
            return self._before(probability, at_ms)
        if probability >= self._settings.offset_probability:
            self.last_speech_ms = at_ms
            self.speech_ms += WINDOW_MS
        elif at_ms - self.last_speech_ms >= self._settings.endpoint_ms:
            self.speaking = False
            self._run_ms = 0
            return Change.ENDED
        return Change.NONE

    def _before(self, probability: float, at_ms: int) -> Change:
        if probability < self._settings.onset_probability:
            self._run_ms = 0
            return Change.NONE
        self._run_ms += WINDOW_MS
        if self._run_ms - WINDOW_MS < self._settings.onset_ms:
            return Change.NONE
        self.speaking = True
        self.started_ms = at_ms - self._run_ms
        self.last_speech_ms = at_ms
        self.speech_ms = self._run_ms
        return Change.STARTED
