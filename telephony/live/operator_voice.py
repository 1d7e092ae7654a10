"""An operator's voice on its way to the caller: what their browser sends in bursts leaves at the call's own pace.

Sans-I/O. The time is the caller's audio: for each piece of it as much of the operator's leaves. Speech begins once a
little of it is there, so that a network's jitter is not heard.
"""

from audio.rate import NARROW, WIDE
from audio.resample import Downsampler

MOST_MS = 500  # that waits; beyond it the oldest is dropped
AHEAD_MS = 80  # of speech that must be there before it begins


class OperatorVoice:
    """Of one call, whose line is wide-band or not. `dropped_ms` is what came too fast."""

    def __init__(self, *, wide: bool) -> None:
        self.dropped_ms = 0.0
        self._wide = wide
        self._per_ms = 2 * (WIDE if wide else NARROW).per_ms  # bytes
        self._waiting = bytearray()
        self._speaking = False
        self._downsampler = Downsampler()

    def put(self, pcm: bytes) -> None:
        """The next piece, mono PCM16 at the line's rate."""
        self._waiting += pcm
        if excess := max(0, len(self._waiting) - MOST_MS * self._per_ms):
            self.dropped_ms += excess / self._per_ms
            del self._waiting[:excess]

    def take(self, ms: float) -> tuple[bytes, bytes]:
        """So much of it, at 8 kHz and, on a wide-band line, at 16; nothing while there is none."""
        if not self._speaking:
            if len(self._waiting) < AHEAD_MS * self._per_ms:
                return b"", b""
            self._speaking = True
            ms += AHEAD_MS / 2  # the other half waits here for what comes late
        count = int(ms * self._per_ms) // 4 * 4  # whole samples of 8 kHz
        pcm = bytes(self._waiting[:count])
        pcm = pcm[: len(pcm) // 4 * 4]
        del self._waiting[: len(pcm)]
        self._speaking = len(pcm) == count
        return (self._downsampler.downsample(pcm), pcm) if self._wide else (pcm, b"")
