"""When packets arrived, and what that says about their sender."""

from collections.abc import Callable

from audio.rate import FRAME, FRAME_MS
from telephony.lines.rtp.codec import PCMA, PCMU, Coder
from telephony.lines.rtp.jitter import JitterBuffer
from telephony.lines.rtp.packet import Packet
from telephony.simulator.playback import UNDERRUN_WINDOW

SILENCES = frozenset((PCMU.silence, PCMA.silence))
MAX_SILENT_BYTES = 8  # of silence in Opus; speech has 40 and more


class Arrivals(JitterBuffer):
    """A jitter buffer that also records the spacing of packets (ms), and where the voice broke off and soon went on:
    when (ms), and for how many ms. Such speech was not ready in time."""

    def __init__(self, arrived: Callable[[float], None], broke_off: Callable[[float, float], None]) -> None:
        super().__init__()
        self._arrived = arrived
        self._broke_off = broke_off
        self._last_ms: float | None = None
        self._spoke = False
        self._silent = 0  # packets of silence since the voice

    def push(self, packet: Packet, pcm: bytes, now_ms: float, coder: Coder | None = None) -> bool:
        """See JitterBuffer."""
        if self._last_ms is not None:
            self._arrived(now_ms - self._last_ms)
        self._last_ms = now_ms
        if packet.payload in SILENCES or (coder is not None and len(packet.payload) <= MAX_SILENT_BYTES):
            self._silent += 1
        else:
            # No marker follows a pause within a reply, only a queue that ran dry.
            if packet.marker and self._spoke and 0 < self._silent * FRAME <= UNDERRUN_WINDOW:
                self._broke_off(now_ms - self._silent * FRAME_MS, self._silent * FRAME_MS)
            self._spoke, self._silent = True, 0
        return super().push(packet, pcm, now_ms, coder)
