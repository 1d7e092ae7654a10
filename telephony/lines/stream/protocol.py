"""A carrier's WebSocket protocol as the call sees it: messages in become events, audio out becomes messages.

Audio is G.711 mu-law, 8 kHz, mono. The carrier buffers audio until it is played, returns each mark when the audio
before it has been played, and discards its buffer on `clear`.
"""

from typing import Protocol

import msgspec


class Started(msgspec.Struct, frozen=True):
    """The stream is open: the ids of the call and the stream, and the parameters that we gave the carrier for it."""

    call_id: str
    stream_id: str
    parameters: dict[str, str]


class Audio(msgspec.Struct, frozen=True, gc=False):
    """The caller's next audio, gaps already filled: mu-law, 8 kHz, mono; one byte is one sample."""

    payload: bytes
    gap_ms: int = 0  # of silence at its begin, in place of audio that is missing


class Dtmf(msgspec.Struct, frozen=True):
    """The caller pressed a key: 0-9, A-D, * or #."""

    digit: str


class MarkPlayed(msgspec.Struct, frozen=True):
    """A mark came back: played, or discarded by `clear`."""

    name: str


class Stopped(msgspec.Struct, frozen=True):
    """Nothing more will come: the caller hung up, or the stream was ended."""


Event = Started | Audio | Dtmf | MarkPlayed | Stopped


class Counters(msgspec.Struct):
    """What one stream has received."""

    messages: int = 0  # of every kind, including refused ones
    frames: int = 0  # the caller's media messages that were accepted
    duplicates: int = 0  # dropped: the previous frame again
    late: int = 0  # dropped: later audio has been passed on already
    gaps: int = 0
    gap_ms: int = 0  # silence put into the gaps
    outbound: int = 0  # media of our own track, ignored
    unknown: int = 0  # events we do not know, ignored


class StreamProtocol(Protocol):
    """One stream, sans-I/O. docs/architecture.md says what else a new carrier brings."""

    carrier: str  # its name
    counters: Counters
    received: int  # samples of the caller's audio, with the silence in its gaps

    def receive(self, message: str | bytes) -> Event | None:
        """Take one WebSocket message; None where nothing follows from it. Raises ProtocolError with the close code."""

    def media(self, payload: bytes) -> str:
        """The message that plays mu-law audio after all audio sent before."""

    def mark(self, name: str) -> str:
        """The message that requests `MarkPlayed(name)` once all audio before it has been played."""

    def clear(self) -> str:
        """The message that discards all audio not yet played; the marks in it come back at once."""
