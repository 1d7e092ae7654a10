"""What goes over a browser's WebSocket: JSON as text, audio as bytes. docs/browser.md describes all of it. Sans-I/O."""

from struct import Struct
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from telephony.lines.close_codes import CloseCode
from telephony.lines.exceptions import ProtocolError

VERSION = 1
MAX_TEXT = 4096  # characters of a message from a page; the longest real one is a tenth of that
MAX_FRAME = 1600  # samples in a message of audio: 100 ms
_FROM_PAGE = Struct("<IIIHH")
_TO_PAGE = Struct("<IHH")

Position = Annotated[int, Meta(ge=0, lt=1 << 32)]
Secret = Annotated[str, Meta(min_length=1, max_length=128)]


# From the page


class Start(msgspec.Struct, frozen=True, tag="start", forbid_unknown_fields=True):
    """The first message of a call."""

    token: Secret
    version: int = VERSION


class Resume(msgspec.Struct, frozen=True, tag="resume", forbid_unknown_fields=True):
    """The first message of another socket for a call."""

    call: Secret
    key: Secret


class Key(msgspec.Struct, frozen=True, tag="key", forbid_unknown_fields=True):
    """A key was pressed."""

    key: Annotated[str, Meta(pattern="^[0-9*#A-D]$")]


class HangUp(msgspec.Struct, frozen=True, tag="hang_up", forbid_unknown_fields=True):
    """The caller hangs up."""


class Stopped(msgspec.Struct, frozen=True, tag="stopped", forbid_unknown_fields=True):
    """The answer to `clear`: silent from the sample `heard` on, but for `fade` samples that were faded out."""

    epoch: Annotated[int, Meta(ge=0, lt=1 << 16)]
    heard: Position
    fade: Annotated[int, Meta(ge=0, le=MAX_FRAME)]


Text = Start | Resume | Key | HangUp | Stopped
_decoder = msgspec.json.Decoder(Text)


class Heard(msgspec.Struct, frozen=True, gc=False):
    """How far the page is with the agent's audio, in samples of it since the call began."""

    epoch: int
    heard: int
    received: int
    dry: int  # times it ran dry in the middle of a reply, modulo 65,536


class Frame(msgspec.Struct, frozen=True, gc=False):
    """Audio of the caller: PCM16 from the sample `sequence` on, counted since the call began."""

    sequence: int
    pcm: bytes
    heard: Heard


def parse(message: str | bytes) -> Text | Frame:
    """One message from a page. Raises ProtocolError."""
    if not isinstance(message, str):
        return _frame(bytes(message))
    if len(message) > MAX_TEXT:
        raise ProtocolError(CloseCode.TOO_BIG, f"a text message longer than {MAX_TEXT} characters")
    try:
        parsed: Text = _decoder.decode(message)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ProtocolError(CloseCode.INVALID_DATA, f"no message of a page: {error}") from None
    return parsed


def _frame(message: bytes) -> Frame:
    size = len(message) - _FROM_PAGE.size
    if size < 4 or size % 4 or size > 2 * MAX_FRAME:
        reason = f"audio of {len(message)} bytes: 16 and an even number of samples up to {MAX_FRAME} are wanted"
        raise ProtocolError(CloseCode.INVALID_DATA, reason)
    sequence, heard, received, epoch, dry = _FROM_PAGE.unpack_from(message)
    if sequence % 2:
        raise ProtocolError(CloseCode.INVALID_DATA, "audio that begins at an odd sample")
    return Frame(sequence, message[_FROM_PAGE.size :], Heard(epoch, heard, received, dry))


def pack(sequence: int, pcm: bytes, heard: Heard) -> bytes:
    """Audio as a page sends it."""
    return _FROM_PAGE.pack(sequence, heard.heard, heard.received, heard.epoch, heard.dry) + pcm


# To the page


class Block(msgspec.Struct, frozen=True, gc=False):
    """Audio of the agent: PCM16 from the sample `position` on. `epoch` counts the `clear`s before it."""

    position: int
    epoch: int
    reply: int
    pcm: bytes

    def pack(self) -> bytes:
        """As it is sent."""
        return _TO_PAGE.pack(self.position, self.epoch, self.reply & 0xFFFF) + self.pcm


def unpack(message: bytes) -> Block:
    """Audio as a page receives it. Raises ValueError."""
    if len(message) < _TO_PAGE.size or len(message) % 2:
        raise ValueError(f"audio of {len(message)} bytes")
    position, epoch, reply = _TO_PAGE.unpack_from(message)
    return Block(position, epoch, reply, message[_TO_PAGE.size :])


def text(kind: str, **fields: Any) -> str:
    """A text message of this kind."""
    return msgspec.json.encode({"type": kind, **fields}).decode()
