"""G.722 (RFC 3551, 4.5.2) by libg722: 16 kHz in 64 kbit/s, with timestamps that count 8 kHz nevertheless."""

from array import array

import G722

from audio.rate import WIDE, Rate

CLOCK = 8  # timestamp units in a ms
BIT_RATE = 64_000


class G722Coder:
    """See Coder. On a line of 8 kHz it encodes and decodes that band only."""

    def __init__(self, rate: Rate) -> None:
        self.clock = CLOCK
        self.silence = b""
        self.conceals = False
        self._each = 2 if rate is WIDE else 1  # samples in a byte
        self._encoder = G722.G722(rate.hz, BIT_RATE)
        self._decoder = G722.G722(rate.hz, BIT_RATE)

    def encode(self, pcm: bytes) -> bytes:
        """See Coder."""
        coded: bytes = self._encoder.encode(array("h", pcm))  # bytes would be taken for samples of 8 bits
        return coded

    def count(self, payload: bytes) -> int:
        """See Coder. Any byte is valid."""
        return self._each * len(payload)

    def decode(self, payload: bytes) -> bytes:
        """See Coder."""
        samples: array[int] = self._decoder.decode(payload)
        return samples.tobytes()

    def is_pause(self, payload: bytes) -> bool:  # noqa: ARG002 (there is none)
        """See Coder."""
        return False

    def conceal(self, count: int) -> bytes:  # noqa: ARG002
        """See Coder."""
        return b""

    def recover(self, payload: bytes, count: int) -> bytes:  # noqa: ARG002
        """See Coder."""
        return b""
