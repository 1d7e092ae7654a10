"""How loud PCM16 is, and how often it changes its sign."""

import audioop


def rms(pcm: bytes) -> int:
    """The root mean square of the samples, 0..32768."""
    return audioop.rms(pcm, 2)


def zero_crossings(pcm: bytes) -> int:
    """How often the samples change their sign."""
    return audioop.cross(pcm, 2)
