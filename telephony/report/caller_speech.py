"""The caller's speech, as the voice detector saw it. Times are ms of media time."""

from bisect import bisect_left, bisect_right

from agent.listening.caller_turn import RISING_MS
from agent.listening.silence import BEFORE_MS
from agent.tape.cut_offs import CutOffs
from agent.tape.format import Header
from audio.rate import WINDOW_MS


class CallerSpeech:
    """Follows the probabilities of a call, and the turns that were decided from them."""

    def __init__(self, header: Header) -> None:
        self.ends_ms: list[float] = []  # of the windows
        self.values: list[float] = []  # their probabilities
        self.taken_back: list[float] = []  # when answers were decided that were not heard
        self.holds: list[float] = []  # when the call was put on hold, or taken off it
        self._onset = header.setting("turn", "onset_probability", 0.5)
        self._longest_pause = header.setting("turn", "endpoint_max_ms", 1000) + RISING_MS + BEFORE_MS
        self._cut_offs = CutOffs(
            onset=self._onset,
            offset=header.setting("turn", "offset_probability", 0.35),
            min_speech_ms=header.setting("turn", "min_speech_ms", 96),
        )
        self.cut_offs = self._cut_offs.ends_ms  # where the caller had only paused, of turns decided too soon
        self.decided, self.dismissed = self._cut_offs.decided, self._cut_offs.dismissed

    def add(self, value: float, at_ms: float) -> None:
        """The next window."""
        self.ends_ms.append(at_ms)
        self.values.append(value)
        self._cut_offs.probability(value, at_ms)

    def held(self, at_ms: float) -> None:
        """The call is put on hold, or taken off it."""
        self.holds.append(at_ms)
        self._cut_offs.held()

    def onset(self, at_ms: float) -> float | None:
        """Where the run of speech windows began that `at_ms` lies at the end of."""
        onset = None
        for index in reversed(range(bisect_right(self.ends_ms, at_ms))):
            if self.values[index] < self._onset:
                break
            onset = self.ends_ms[index] - WINDOW_MS
        return onset

    def before(self, until_ms: float, since_ms: float) -> float | None:
        """Where the speech began that ended at `until_ms`, after `since_ms`, pauses within a turn included; None: there
        was none."""
        start = None
        for index in reversed(range(bisect_left(self.ends_ms, until_ms + WINDOW_MS))):
            end_ms = self.ends_ms[index]
            if end_ms <= since_ms:
                break
            if self.values[index] < self._onset:
                continue
            if start is not None and start - end_ms > self._longest_pause and not _any(self.taken_back, end_ms, start):
                break
            start = end_ms - WINDOW_MS
        return start

    def cut_off(self, since_ms: float, until_ms: float) -> bool:
        """Whether a turn was decided too soon at a pause between two times."""
        return _any(self.cut_offs, since_ms, until_ms)

    def on_hold(self, since_ms: float, until_ms: float) -> bool:
        """Whether the call was put on hold, or taken off it, between two times."""
        return _any(self.holds, since_ms, until_ms)


def _any(times: list[float], since_ms: float, until_ms: float) -> bool:
    """Whether one of them, which rise, lies after `since_ms` and up to `until_ms`."""
    return bisect_right(times, since_ms) < bisect_right(times, until_ms)
