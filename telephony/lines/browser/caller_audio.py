"""The caller's audio, put in order: counted by its sequence, whenever it comes. Sans-I/O.

A WebSocket keeps messages in order; but a page that could not send drops audio, and one that comes back on another
socket has a gap. What is missing becomes silence.
"""

import msgspec

from audio.rate import WIDE
from telephony.lines.browser.messages import Frame
from telephony.lines.close_codes import CloseCode
from telephony.lines.exceptions import ProtocolError

MAX_LATE_MS = 1000  # audio that comes again or too late is dropped; if it is older than this, the page has lost count


class Counters(msgspec.Struct):
    """What has come of one call's audio."""

    frames: int = 0
    duplicates: int = 0  # dropped, or cut: all of it, or the beginning, had come before
    late: int = 0  # dropped: what came later has been passed on already
    gaps: int = 0
    gap_ms: int = 0  # silence put into them


class Piece(msgspec.Struct, frozen=True, gc=False):
    """What to pass on: `gap` samples of silence, then the audio."""

    gap: int
    pcm: bytes


class CallerAudio:
    """One call's audio, PCM16 at 16 kHz."""

    def __init__(self, max_gap_ms: float) -> None:
        self.counters = Counters()
        self.received = 0  # samples passed on, with the silence
        self._max_gap_ms = max_gap_ms

    def take(self, frame: Frame) -> Piece | None:
        """The next audio; None for what is to be dropped. Raises ProtocolError for what no page would send."""
        ahead = frame.sequence - self.received
        samples = len(frame.pcm) // 2
        if ahead < 0:
            return self._overlapping(frame, -ahead, samples)
        if ahead > self._max_gap_ms * WIDE.per_ms:
            reason = f"a gap of {ahead / WIDE.hz:.1f} s in the audio; {self._max_gap_ms / 1000:g} s is the most"
            raise ProtocolError(CloseCode.POLICY_VIOLATION, reason)
        if ahead:
            self.counters.gaps += 1
            self.counters.gap_ms += round(ahead / WIDE.per_ms)
        return self._passed(ahead, frame.pcm)

    def _overlapping(self, frame: Frame, behind: int, samples: int) -> Piece | None:
        if behind > samples:
            self.counters.late += 1
            if behind - samples > MAX_LATE_MS * WIDE.per_ms:
                raise ProtocolError(CloseCode.POLICY_VIOLATION, f"audio that is {behind / WIDE.hz:.1f} s late")
            return None
        self.counters.duplicates += 1
        return self._passed(0, frame.pcm[2 * behind :]) if behind < samples else None

    def _passed(self, gap: int, pcm: bytes) -> Piece:
        self.counters.frames += 1
        self.received += gap + len(pcm) // 2
        return Piece(gap, pcm)
