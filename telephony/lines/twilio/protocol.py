"""The Media Streams protocol of one call, sans-I/O: Twilio's text in, events out; audio in, text out.

The clock is the audio received. Twilio's timestamps only show where audio is missing; the first one is the
origin. A frame less than 20 ms off its place is taken as it is; one further ahead leaves a gap, which is
filled with silence; one whose timestamp is behind that of the frame before it came too late and is dropped.
"""

from enum import Enum

import msgspec

from audio import g711
from audio.rate import FRAME, RATE, SAMPLES_PER_MS
from telephony.lines.close_codes import CloseCode
from telephony.lines.exceptions import CommandError, ProtocolError
from telephony.lines.stream.protocol import Audio, Counters, Dtmf, Event, MarkPlayed, Started, Stopped
from telephony.lines.twilio import messages

MAX_MESSAGE_BYTES = 64 * 1024
MAX_GAP_MS = 5000


_decode = msgspec.json.Decoder(messages.Inbound, strict=False).decode
_encode = msgspec.json.Encoder().encode


class _Envelope(msgspec.Struct):
    event: str


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


class _State(Enum):
    OPEN = "open"  # nothing has come yet
    CONNECTED = "connected"
    STARTED = "started"
    STOPPED = "stopped"


# Which message may come in which state, and the next state. Anything else is the peer's error.
_TRANSITIONS = {
    (_State.OPEN, "connected"): _State.CONNECTED,
    (_State.OPEN, "start"): _State.STARTED,  # some clients leave `connected` out
    (_State.CONNECTED, "start"): _State.STARTED,
    (_State.STARTED, "media"): _State.STARTED,
    (_State.STARTED, "dtmf"): _State.STARTED,
    (_State.STARTED, "mark"): _State.STARTED,
    (_State.STARTED, "stop"): _State.STOPPED,
}
_EVENTS = {event for _, event in _TRANSITIONS}


class MediaStream:
    """One stream, from `connected` to `stop`."""

    carrier = "twilio"

    def __init__(self, *, max_message_bytes: int = MAX_MESSAGE_BYTES, max_gap_ms: int = MAX_GAP_MS) -> None:
        """Of a gap longer than `max_gap_ms` only that much is filled, and the clock is reset."""
        self.counters = Counters()
        self.received = 0  # samples of the caller's audio, with the silence in its gaps
        self._max_message_bytes = max_message_bytes
        self._max_gap = max_gap_ms * SAMPLES_PER_MS
        self._state = _State.OPEN
        self._stream_sid = ""
        # The caller's clock, in samples of Twilio's timestamps.
        self._next = -1  # where the next frame should begin; -1 before the first
        self._last = -1  # where the last frame claimed to begin
        self._last_number = 0

    def receive(self, message: str | bytes) -> Event | None:
        """Take one WebSocket message; None where there is nothing to tell.

        Raises ProtocolError with the close code for a peer that breaks the protocol; the stream is then over.
        """
        self.counters.messages += 1
        if not isinstance(message, str):
            raise ProtocolError(CloseCode.UNSUPPORTED_DATA, "binary message; Media Streams are text")
        if len(message) > self._max_message_bytes or not (message.isascii() or self._fits(message)):
            raise ProtocolError(CloseCode.TOO_BIG, f"message longer than {self._max_message_bytes} bytes")
        try:
            decoded = _decode(message)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            self._undecodable(message, error)
            return None
        if type(decoded) is messages.MediaMessage:  # 50 times a second; all else is rare
            return self._media(decoded)
        return self._control(decoded)

    def media(self, payload: bytes) -> str:
        """Text that plays mu-law audio (8 kHz, mono) after what was sent before."""
        return _encode(messages.SendMedia(self._open_sid(), messages.Payload(payload))).decode("ascii")

    def mark(self, name: str) -> str:
        """Text that asks for `MarkPlayed(name)` once all audio before it was played."""
        return _encode(messages.SendMark(self._open_sid(), messages.MarkBody(name))).decode()

    def clear(self) -> str:
        """Text that discards all audio not yet played; the marks in it come back at once."""
        return _encode(messages.SendClear(self._open_sid())).decode("ascii")

    def _open_sid(self) -> str:
        if not self._stream_sid:
            raise CommandError("the stream has not started: there is no streamSid to send to")
        return self._stream_sid

    def _fits(self, message: str) -> bool:
        return len(message.encode("utf-8", "surrogatepass")) <= self._max_message_bytes

    def _undecodable(self, message: str, error: Exception) -> None:
        """Count an unknown event; raise for anything else that could not be decoded."""
        try:
            event = _decode_envelope(message).event
        except RecursionError:
            raise ProtocolError(CloseCode.INVALID_DATA, "JSON is nested too deeply") from None
        except (msgspec.DecodeError, UnicodeError):
            raise ProtocolError(CloseCode.INVALID_DATA, f"no Media Streams message: {error}") from None
        if event in _EVENTS:
            raise ProtocolError(CloseCode.INVALID_DATA, f"bad {event} message: {error}") from None
        self.counters.unknown += 1

    def _check(self, event: str, stream_sid: str) -> _State:
        """The state after `event`; raises if it may not come now or belongs to another stream."""
        state = _TRANSITIONS.get((self._state, event))
        if state is None:
            raise ProtocolError(CloseCode.POLICY_VIOLATION, self._out_of_turn(event))
        if stream_sid != self._stream_sid and self._stream_sid:
            raise ProtocolError(
                CloseCode.POLICY_VIOLATION, f"{event} of another stream: streamSid is not the one of start"
            )
        return state

    def _out_of_turn(self, event: str) -> str:
        if self._state is _State.STOPPED:
            return f"{event} after stop"
        if event == "connected" and self._state is _State.STARTED:
            return "connected after start"
        return f"second {event}" if event in ("connected", "start") else f"{event} before start"

    def _control(self, message: messages.Inbound) -> Event | None:
        match message:
            case messages.StartMessage():
                return self._start(message)
            case messages.DtmfMessage():
                self._check("dtmf", message.stream_sid)
                return Dtmf(message.dtmf.digit)
            case messages.MarkMessage():
                self._check("mark", message.stream_sid)
                return MarkPlayed(message.mark.name)
            case messages.StopMessage():
                self._state = self._check("stop", message.stream_sid)
                return Stopped()
            case _:
                self._state = self._check("connected", "")
                return None

    def _start(self, message: messages.StartMessage) -> Started:
        state = self._check("start", message.stream_sid)
        start, form = message.start, message.start.media_format
        if (form.encoding, form.sample_rate, form.channels) != ("audio/x-mulaw", RATE, 1):
            given = f"{form.encoding[:40]}, {form.sample_rate} Hz, {form.channels} ch"
            raise ProtocolError(
                CloseCode.UNSUPPORTED_DATA, f"media format is {given}; only audio/x-mulaw, {RATE} Hz, 1 ch is spoken"
            )
        if start.stream_sid not in ("", message.stream_sid):
            raise ProtocolError(CloseCode.POLICY_VIOLATION, "start names two different streamSids")
        self._state, self._stream_sid = state, message.stream_sid
        return Started(start.call_sid, message.stream_sid, start.custom_parameters)

    def _media(self, message: messages.MediaMessage) -> Audio | None:
        if self._state is not _State.STARTED or message.stream_sid != self._stream_sid:
            self._check("media", message.stream_sid)
        media, counters = message.media, self.counters
        payload = media.payload
        if media.track.startswith("outbound"):
            counters.outbound += 1
            return None
        if not payload:
            raise ProtocolError(CloseCode.INVALID_DATA, "bad media message: the payload is empty")
        place = media.timestamp * SAMPLES_PER_MS
        number = media.chunk or message.sequence_number
        if self._next < 0:
            self._next = place
        elif place <= self._last and self._is_old(place, number):
            return None
        gap = self._gap(place - self._next)
        samples = gap + len(payload)
        self.received += samples
        self._next += samples
        self._last, self._last_number = place, number
        counters.frames += 1
        return Audio(g711.SILENCE * gap + payload, gap // SAMPLES_PER_MS) if gap else Audio(payload)

    def _is_old(self, place: int, number: int) -> bool:
        """Detect and count duplicate and late frames among those whose timestamp does not go forward.

        If the timestamp is less than a frame back, within its tolerance, a higher number still makes the frame new. So
        it does far back, where the sender must have reset its clock.
        """
        back = self._last - place
        if number > self._last_number and (back < FRAME or back > self._max_gap):
            return False
        if back == 0:
            self.counters.duplicates += 1
        else:
            self.counters.late += 1
        return True

    def _gap(self, ahead: int) -> int:
        """Samples of silence missing before a frame that is `ahead` samples ahead of its place; corrects the clock."""
        if -FRAME <= ahead < FRAME:
            return 0
        if ahead < -self._max_gap:
            self._next += ahead
            return 0
        if ahead < 0:
            # Audio outruns its timestamps where two machines' clocks differ. Followed slowly, the gaps to
            # come are still seen, and timestamps that jump to and fro do not tear holes into the audio.
            self._next -= 1
            return 0
        gap = min(ahead, self._max_gap)
        self._next += ahead - gap
        self.counters.gaps += 1
        self.counters.gap_ms += gap // SAMPLES_PER_MS
        return gap
