"""The audio formats that can be negotiated, by their SDP names, and the interface of a codec in a call."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from audio import g711
from audio.rate import FRAME, RATE, WIDE_RATE

COMFORT_NOISE = 13  # the static payload type (RFC 3389)


class Codec(msgspec.Struct, frozen=True):
    """One audio format."""

    name: str
    payload_type: int  # the static one (RFC 3551), or that of our own offers
    rate: int = RATE  # Hz of its audio, if the line allows it
    clock: int = RATE  # Hz of its timestamps
    channels: int = 1  # as in SDP; ours is always one
    parameters: str = ""  # our parameters for it (a=fmtp)

    @property
    def description(self) -> str:
        """Its name in `a=rtpmap`."""
        return f"{self.name}/{self.clock}" + (f"/{self.channels}" if self.channels > 1 else "")


class G711(Codec, frozen=True, kw_only=True):
    """A stateless codec, shared by all calls."""

    decode: Callable[[bytes], bytes]  # payload -> PCM16 at 8 kHz, little-endian
    encode: Callable[[bytes], bytes]
    silence: bytes  # the payload of 20 ms of silence


class Coder(Protocol):
    """A codec in use by one call, at the line's rate. It has state: each packet is decoded once, in order."""

    clock: int  # timestamp units in a ms
    silence: bytes  # the payload of 20 ms of silence; b"" if it must be encoded
    conceals: bool  # whether it conceals losses itself

    def encode(self, pcm: bytes) -> bytes:
        """20 ms of PCM16 to a payload."""

    def count(self, payload: bytes) -> int:
        """The samples in a payload. Raises ValueError if it is not of this codec."""

    def decode(self, payload: bytes) -> bytes:
        """The PCM16 of a payload; b"" if it is damaged."""

    def is_pause(self, payload: bytes) -> bool:
        """Whether the payload announces a pause of the sender."""

    def conceal(self, count: int) -> bytes:
        """At least `count` samples that continue the last decoded audio, if it `conceals`."""

    def recover(self, payload: bytes, count: int) -> bytes:
        """The last `count` samples before a payload; b"" if it does not hold so many."""


PCMU = G711("PCMU", 0, decode=g711.decode, encode=g711.encode, silence=g711.SILENCE * FRAME)
PCMA = G711("PCMA", 8, decode=g711.decode_alaw, encode=g711.encode_alaw, silence=g711.ALAW_SILENCE * FRAME)
OPUS = Codec(
    "opus",
    111,  # as in browsers
    rate=WIDE_RATE,
    clock=48_000,
    channels=2,
    parameters="maxplaybackrate=16000;sprop-maxcapturerate=16000;stereo=0;useinbandfec=1",
)

G722 = Codec("G722", 9, rate=WIDE_RATE)

CODECS = {codec.name: codec for codec in (OPUS, G722, PCMU, PCMA)}
STATIC = {codec.payload_type: codec for codec in (PCMU, PCMA, G722)}
