"""How many samples a line's audio has in a time: 8 kHz, or 16 kHz on a wide-band line. What is heard is PCM16."""

import msgspec

FRAME_MS = 20


class Rate(msgspec.Struct, frozen=True):
    """A line's rate, in the units that are needed."""

    hz: int
    per_ms: int  # samples in a ms
    frame: int  # samples in 20 ms


NARROW = Rate(8000, 8, 160)
WIDE = Rate(16_000, 16, 320)
RATES = {rate.hz: rate for rate in (NARROW, WIDE)}
