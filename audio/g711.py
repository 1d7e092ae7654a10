"""G.711, the audio of the telephone network (ITU-T G.711), 8 bits a sample at 8 kHz: mu-law and A-law."""

import audioop

SILENCE = b"\xff"  # the mu-law byte for a sample of 0
ALAW_SILENCE = b"\xd5"


def decode(ulaw: bytes) -> bytes:
    """mu-law bytes to 16-bit little-endian PCM, one sample each."""
    return audioop.ulaw2lin(ulaw, 2)


def encode(pcm: bytes) -> bytes:
    """16-bit little-endian PCM to mu-law bytes, one for each sample."""
    return audioop.lin2ulaw(pcm, 2)


def decode_alaw(alaw: bytes) -> bytes:
    """A-law bytes to 16-bit little-endian PCM, one sample each."""
    return audioop.alaw2lin(alaw, 2)


def encode_alaw(pcm: bytes) -> bytes:
    """16-bit little-endian PCM to A-law bytes, one for each sample."""
    return audioop.lin2alaw(pcm, 2)
