"""What every carrier's protocol over a WebSocket is to the call: its messages in as events, audio out as messages.

Audio is G.711 mu-law, 8 kHz, mono. The carrier holds what it is sent until it is played, sends marks back when what
was before them has been played, and throws away what it holds when it is told to clear.
"""

from typing import Protocol

import msgspec


class Started(msgspec.Struct, frozen=True):
    """The stream is open: the ids of the call and of the stream, and the parameters that we gave the carrier for it."""

    call_id: str
    stream_id: str
    parameters: dict[str, str]


class Audio(msgspec.Struct, frozen=True, gc=False):
    """The caller's next audio without holes: mu-law, 8 kHz, mono; one byte is one sample."""

    payload: bytes


class Dtmf(msgspec.Struct, frozen=True):
    """The caller pressed a key: 0-9, A-D, * or #."""

    digit: str


class MarkPlayed(msgspec.Struct, frozen=True):
    """A mark came back: played, or swept out by `clear`."""

    name: str


class Stopped(msgspec.Struct, frozen=True):
    """Nothing more will come: the caller hung up, or the stream was ended."""


Event = Started | Audio | Dtmf | MarkPlayed | Stopped


class Counters(msgspec.Struct):
    """What has come in on one stream."""

    messages: int = 0  # of every kind, refused ones too
    frames: int = 0  # the caller's media messages that were taken
    duplicates: int = 0  # dropped: the frame before, once more
    late: int = 0  # dropped: later audio is out already
    gaps: int = 0
    gap_ms: int = 0  # silence put into the gaps
    outbound: int = 0  # media of our own track, ignored
    unknown: int = 0  # events we do not know, ignored


class StreamProtocol(Protocol):
    """One stream, sans-I/O. What else a new carrier brings stands in docs/architecture.md."""

    counters: Counters
    received: int  # samples of the caller's audio, with the silence in its gaps

    def receive(self, message: str | bytes) -> Event | None:
        """Take one WebSocket message; None where there is nothing to tell. Raises ProtocolError with the close code."""

    def media(self, payload: bytes) -> str:
        """The message that plays mu-law audio after what was sent before."""

    def mark(self, name: str) -> str:
        """The message that asks for `MarkPlayed(name)` once all audio before it was played."""

    def clear(self) -> str:
        """The message that throws away all audio not yet played; the marks in it come back at once."""
