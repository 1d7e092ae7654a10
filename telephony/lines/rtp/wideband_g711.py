"""G.711 on a wide-band line, for a call whose peer has changed from Opus to G.711."""

from audio.rate import SAMPLES_PER_MS
from audio.resample import Downsampler, Upsampler
from telephony.lines.rtp.codec import G711


class WidebandG711:
    """See Coder. The line's audio is at 16 kHz, the packets' at 8."""

    def __init__(self, codec: G711) -> None:
        self.clock = SAMPLES_PER_MS
        self.silence = b""
        self.conceals = False
        self._codec = codec
        self._downsampler = Downsampler()
        self._upsampler = Upsampler()

    def encode(self, pcm: bytes) -> bytes:
        """See Coder."""
        return self._codec.encode(self._downsampler.downsample(pcm))

    def count(self, payload: bytes) -> int:
        """See Coder."""
        return 2 * len(payload)

    def decode(self, payload: bytes) -> bytes:
        """See Coder."""
        return self._upsampler.upsample(self._codec.decode(payload))

    def is_pause(self, payload: bytes) -> bool:  # noqa: ARG002 (G.711 has none)
        """See Coder."""
        return False

    def conceal(self, count: int) -> bytes:  # noqa: ARG002
        """See Coder."""
        return b""

    def recover(self, payload: bytes, count: int) -> bytes:  # noqa: ARG002
        """See Coder."""
        return b""
