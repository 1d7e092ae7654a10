"""G.711 mu-law, the audio of the telephone network (ITU-T G.711), 8 bits a sample at 8 kHz."""

import audioop

SILENCE = b"\xff"  # the mu-law byte for a sample of 0
RATE = 8000  # Hz
SAMPLES_PER_MS = RATE // 1000


def decode(ulaw: bytes) -> bytes:
    """mu-law bytes to 16-bit little-endian PCM, one sample each."""
    return audioop.ulaw2lin(ulaw, 2)


def encode(pcm: bytes) -> bytes:
    """16-bit little-endian PCM to mu-law bytes, one for each sample."""
    return audioop.lin2ulaw(pcm, 2)
