"""The messages of Twilio Media Streams, both directions.

https://www.twilio.com/docs/voice/media-streams/websocket-messages. Twilio sends numbers as strings
("timestamp": "40"): decode what it sends with `strict=False`. Payloads are base64 in JSON and raw G.711
mu-law (8 kHz, mono) bytes here. Fields that other Media Streams clients leave out have defaults; unknown
fields are ignored.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from audio.rate import RATE

# Ids end up in logs, metrics and file names, so they must not leave a folder or forge a line.
SID_PATTERN = r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z"
Sid = Annotated[str, Meta(pattern=SID_PATTERN)]
Count = Annotated[int, Meta(ge=0, le=2**53)]


# ---- Twilio to us: the wire ----


class ConnectedMessage(msgspec.Struct, frozen=True, tag_field="event", tag="connected"):
    """The socket is open; always the first message."""

    protocol: str = "Call"
    version: str = "1.0.0"


class MediaFormat(msgspec.Struct, frozen=True, rename="camel"):
    """The format of the payloads. Twilio has only this one."""

    encoding: str = "audio/x-mulaw"
    sample_rate: int = RATE
    channels: int = 1


class StartBody(msgspec.Struct, frozen=True, rename="camel"):
    """What `start` says about the call. `custom_parameters` are the TwiML's `<Parameter>`s."""

    call_sid: Sid
    stream_sid: str = ""
    account_sid: str = ""
    tracks: list[str] = []
    media_format: MediaFormat = MediaFormat()
    custom_parameters: dict[str, str] = {}


class StartMessage(msgspec.Struct, frozen=True, rename="camel", tag_field="event", tag="start"):
    """The stream begins; sent once."""

    stream_sid: Sid
    start: StartBody
    sequence_number: Count = 0


class MediaBody(msgspec.Struct, frozen=True, gc=False):
    """One piece of audio. `timestamp` is milliseconds from the start of the stream, `chunk` counts from 1."""

    payload: bytes
    timestamp: Count
    chunk: Count = 0  # 0: not given
    track: str = "inbound"  # or "outbound"


class MediaMessage(msgspec.Struct, frozen=True, gc=False, rename="camel", tag_field="event", tag="media"):
    """Audio of the caller, usually 20 ms."""

    stream_sid: str
    media: MediaBody
    sequence_number: Count = 0


class DtmfBody(msgspec.Struct, frozen=True):
    """A key on the caller's phone."""

    digit: Annotated[str, Meta(pattern=r"\A[0-9A-D*#]\Z")]
    track: str = "inbound_track"


class DtmfMessage(msgspec.Struct, frozen=True, rename="camel", tag_field="event", tag="dtmf"):
    """The caller pressed a key."""

    stream_sid: str
    dtmf: DtmfBody
    sequence_number: Count = 0


class MarkBody(msgspec.Struct, frozen=True):
    """A mark's name, chosen by us."""

    name: str


class MarkMessage(msgspec.Struct, frozen=True, rename="camel", tag_field="event", tag="mark"):
    """Playback has reached one of our marks, or `clear` has returned it."""

    stream_sid: str
    mark: MarkBody
    sequence_number: Count = 0


class StopMessage(msgspec.Struct, frozen=True, rename="camel", tag_field="event", tag="stop"):
    """The stream has stopped or the call has ended."""

    stream_sid: str
    sequence_number: Count = 0


Inbound = ConnectedMessage | StartMessage | MediaMessage | DtmfMessage | MarkMessage | StopMessage


# ---- us to Twilio: the wire ----


class Payload(msgspec.Struct, frozen=True, gc=False):
    """Audio to be played: mu-law, 8 kHz, mono, no header."""

    payload: bytes


class SendMedia(msgspec.Struct, frozen=True, gc=False, rename="camel", tag_field="event", tag="media"):
    """Play this after the audio sent before."""

    stream_sid: str
    media: Payload


class SendMark(msgspec.Struct, frozen=True, rename="camel", tag_field="event", tag="mark"):
    """Send this mark back when everything before it has been played."""

    stream_sid: str
    mark: MarkBody


class SendClear(msgspec.Struct, frozen=True, rename="camel", tag_field="event", tag="clear"):
    """Discard the audio not yet played, and return the marks in it."""

    stream_sid: str


Outbound = SendMedia | SendMark | SendClear
