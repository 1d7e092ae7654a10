"""How loud one side of a call is, as a meter shows it."""

from math import log10

from audio.loudness import rms

SPAN_MS = 250  # over which it is measured
SILENCE_DB = -90
FULL_SCALE = 32768


def shown(db: float) -> int:
    """A level in dBFS, no lower than -90."""
    return max(SILENCE_DB, round(db))


def dbfs(pcm: bytes) -> int:
    """The level of mono PCM16 (RMS); -90 for silence, and where there is nothing."""
    level = rms(pcm)
    return shown(20 * log10(level / FULL_SCALE)) if level else SILENCE_DB
