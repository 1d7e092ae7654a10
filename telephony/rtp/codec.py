"""The audio formats that can be negotiated, by their names in session descriptions. All decode to 8 kHz PCM16."""

import audioop
from collections.abc import Callable

import msgspec

from telephony.audio import g711

RATE = g711.RATE
SAMPLES_PER_MS = g711.SAMPLES_PER_MS
FRAME_MS = 20
FRAME = FRAME_MS * SAMPLES_PER_MS  # samples in 20 ms
COMFORT_NOISE = 13  # the static payload type (RFC 3389)


class Codec(msgspec.Struct, frozen=True):
    """One audio format."""

    name: str
    payload_type: int  # the static one (RFC 3551)
    decode: Callable[[bytes], bytes]  # payload -> PCM16, little-endian
    encode: Callable[[bytes], bytes]
    silence: bytes  # the payload of 20 ms of silence


def _alaw_decode(payload: bytes) -> bytes:
    return audioop.alaw2lin(payload, 2)


def _alaw_encode(pcm: bytes) -> bytes:
    return audioop.lin2alaw(pcm, 2)


PCMU = Codec("PCMU", 0, g711.decode, g711.encode, g711.SILENCE * FRAME)
PCMA = Codec("PCMA", 8, _alaw_decode, _alaw_encode, b"\xd5" * FRAME)

CODECS = {codec.name: codec for codec in (PCMU, PCMA)}
STATIC = {codec.payload_type: codec for codec in CODECS.values()}
