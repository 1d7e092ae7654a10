"""Sample rates and lengths of audio. Lines run at 8 kHz, wide-band lines at 16 kHz; models' rates are defined beside
the models."""

import msgspec

FRAME_MS = 20  # of a packet or message of audio
WINDOW_MS = 32  # what one speech probability stands for
RATE = 8000  # Hz, of most lines, and of all audio that something is decided by
WIDE_RATE = 16_000  # Hz, of wide-band lines, and of the models that hear
SAMPLES_PER_MS = RATE // 1000
BYTES_PER_MS = 2 * SAMPLES_PER_MS  # of PCM16
FRAME = FRAME_MS * SAMPLES_PER_MS  # samples


class Rate(msgspec.Struct, frozen=True):
    """A line's rate, in the units that are needed."""

    hz: int
    per_ms: int  # samples in a ms
    frame: int  # samples in 20 ms


NARROW = Rate(RATE, SAMPLES_PER_MS, FRAME)
WIDE = Rate(WIDE_RATE, WIDE_RATE // 1000, FRAME_MS * WIDE_RATE // 1000)
RATES = {rate.hz: rate for rate in (NARROW, WIDE)}
