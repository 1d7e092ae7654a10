"""The messages of a media stream as Twilio writes and reads them.

Sans-I/O. `StreamMessages` makes what Twilio sends; `parse` reads what an agent may send to Twilio.
"""

import secrets
from binascii import b2a_base64
from typing import Any

import msgspec

from audio.rate import RATE

MULAW = {"encoding": "audio/x-mulaw", "sampleRate": RATE, "channels": 1}


def new_sid(prefix: str) -> str:
    """A valid SID: two capital letters and 32 hex digits."""
    return prefix + secrets.token_hex(16)


class Payload(msgspec.Struct, frozen=True):
    """The audio of a media message; msgspec turns the base64 into bytes."""

    payload: bytes


class MarkName(msgspec.Struct, frozen=True):
    """The label of a mark."""

    name: str


class Media(msgspec.Struct, frozen=True, tag_field="event", tag="media", rename={"stream_sid": "streamSid"}):
    """Audio to be played to the caller."""

    media: Payload
    stream_sid: str


class Mark(msgspec.Struct, frozen=True, tag_field="event", tag="mark", rename={"stream_sid": "streamSid"}):
    """Return this when everything before it has been played."""

    mark: MarkName
    stream_sid: str


class Clear(msgspec.Struct, frozen=True, tag_field="event", tag="clear", rename={"stream_sid": "streamSid"}):
    """Discard what is not yet played."""

    stream_sid: str


_decoder: msgspec.json.Decoder[Media | Mark | Clear] = msgspec.json.Decoder(Media | Mark | Clear)


def parse(message: bytes) -> Media | Mark | Clear:
    """Read a message from the agent. Raises ValueError for what Twilio would reject."""
    try:
        return _decoder.decode(message)
    except msgspec.DecodeError as error:  # ValidationError is one
        raise ValueError(str(error)) from error


class StreamMessages:
    """Makes the messages of one stream, numbered as Twilio numbers them."""

    def __init__(self, *, call_sid: str, account_sid: str) -> None:
        self.stream_sid = new_sid("MZ")
        self.call_sid = call_sid
        self.account_sid = account_sid
        self._tail = f'"}},"streamSid":"{self.stream_sid}"}}'.encode()
        self._sequence = 0
        self._chunk = 0

    def connected(self) -> bytes:
        """The first message on the socket."""
        return msgspec.json.encode({"event": "connected", "protocol": "Call", "version": "1.0.0"})

    def start(self, parameters: dict[str, str]) -> bytes:
        """The second one; `parameters` are the stream's `<Parameter>`s."""
        body = {
            "accountSid": self.account_sid,
            "streamSid": self.stream_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": MULAW,
            "customParameters": parameters,
        }
        return self._message("start", start=body)

    def media(self, payload: bytes, timestamp_ms: int) -> bytes:
        """One frame of mu-law. Built by hand, as it is sent 50 times a second."""
        self._sequence += 1
        self._chunk += 1
        return (
            b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d"'
            b',"payload":"%b%b'
        ) % (self._sequence, self._chunk, timestamp_ms, b2a_base64(payload, newline=False), self._tail)

    def dtmf(self, digit: str) -> bytes:
        """The caller pressed a key."""
        return self._message("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> bytes:
        """Playback has reached a mark."""
        return self._message("mark", mark={"name": name})

    def stop(self) -> bytes:
        """The caller has hung up."""
        return self._message("stop", stop={"accountSid": self.account_sid, "callSid": self.call_sid})

    def _message(self, event: str, **body: Any) -> bytes:
        self._sequence += 1
        return msgspec.json.encode(
            {
                "event": event,
                "sequenceNumber": str(self._sequence),
                "streamSid": self.stream_sid,
                **body,
            }
        )
