"""Keys of the telephone: as events in RTP (RFC 4733), received and sent, and as the bodies of SIP's INFO."""

import re
from collections import deque
from struct import Struct

import msgspec

from config.keys import WAITS_MS
from telephony.rtp.codec import SAMPLES_PER_MS
from telephony.rtp.packet import Packet
from telephony.rtp.rate import FRAME_MS

KEYS = "0123456789*#ABCD"  # by event number
END = 0x80
MAX_DURATION = 0xFFFF  # units of the clock; a key held longer goes on in a new segment
MAX_QUEUED = 64  # keys, and waits between them, that have not been sent
HELD_MS = 250  # a key without news for so long was let go: its last packets were lost
FORGET_MS = 500  # without an event, after which an older timestamp is no straggler but a clock that was set
ENDS = 3  # times the last packet is sent

_EVENT = Struct("!BBH")
_RELAY = re.compile(r"^\s*(signal|duration)\s*=\s*(\S{1,8})\s*$", re.IGNORECASE | re.MULTILINE)
MAX_BODY = 256  # bytes of an INFO


class KeyReceiver:
    """Keys out of one caller's events: each is told once, by whichever of its packets comes first."""

    def __init__(self) -> None:
        self.ignored = 0  # packets that hold no key: other events, or too short
        self._ssrc = -1  # of the events, which may differ from that of the audio
        self._timestamp = 0  # of the last key
        self._sequence = 0  # of the newest packet
        self._held = ""  # the key that is down
        self._duration = 0
        self._heard_ms = 0.0

    def receive(self, packet: Packet, now_ms: float, clock: int = SAMPLES_PER_MS) -> str | None:
        """A key that was pressed, else None: an update, a repetition, a packet that came too late. `clock` is that of
        the events, in units a ms."""
        if len(packet.payload) < _EVENT.size or packet.payload[0] >= len(KEYS):
            self.ignored += 1
            return None
        event, flags, duration = _EVENT.unpack_from(packet.payload)
        key, end = KEYS[event], flags >= END
        if packet.ssrc == self._ssrc:
            ahead = packet.timestamp - self._timestamp & 0xFFFF_FFFF
            recent = now_ms - self._heard_ms < FORGET_MS
            newer = 0 < (packet.sequence - self._sequence & 0xFFFF) < 0x8000
            if newer:
                self._sequence = packet.sequence
            if ahead >> 31 and recent and not newer:
                return None  # of a key before the last
            if ahead == 0 and (recent or not packet.marker):
                self._update(key, end, duration, now_ms)
                return None
            frame = FRAME_MS * clock
            if self.held(now_ms) == key and 0 <= ahead - self._duration <= frame and ahead >= MAX_DURATION - frame:
                self._begin(packet, key, end, duration, now_ms)
                return None  # the next segment of a key held for more than 8 s
        self._begin(packet, key, end, duration, now_ms)
        return key

    def held(self, now_ms: float) -> str:
        """The key that is down; "" where none is."""
        return self._held if now_ms - self._heard_ms < HELD_MS else ""

    def _begin(self, packet: Packet, key: str, end: bool, duration: int, now_ms: float) -> None:
        self._ssrc, self._timestamp, self._sequence = packet.ssrc, packet.timestamp, packet.sequence
        self._duration = 0
        self._update(key, end, duration, now_ms)

    def _update(self, key: str, end: bool, duration: int, now_ms: float) -> None:
        self._duration = max(self._duration, duration)
        self._held = "" if end else key
        self._heard_ms = now_ms


class KeySender:
    """Keys to send, as the payloads of one event packet each 20 ms."""

    def __init__(self, *, press_ms: int = 160, gap_ms: int = 80, volume: int = 10) -> None:
        """Each key is held `press_ms` and followed by `gap_ms` without one; `volume` is in dB below full (0-63)."""
        self._frames = max(1, round(press_ms / FRAME_MS))
        self._gap = max(ENDS - 1, round(gap_ms / FRAME_MS))
        self._volume = min(max(volume, 0), 63)
        self._keys: deque[int] = deque()  # by event number; below 0 a wait of so many frames
        self._frame = 0  # of the present key, those after its end counted too
        self._timestamp = 0

    @property
    def busy(self) -> bool:
        """Whether the next 20 ms belong to a key or to the gap after it."""
        return bool(self._keys)

    def press(self, keys: str) -> None:
        """Send these keys after those that wait; `w` is half a second without one, `W` a second. Raises ValueError for
        what is no key, or too many."""
        if wrong := next((key for key in keys if key.upper() not in KEYS and key not in WAITS_MS), ""):
            raise ValueError(f"other keys than {KEYS}: {wrong!r}")
        events = [-round(WAITS_MS[key] / FRAME_MS) if key in WAITS_MS else KEYS.find(key.upper()) for key in keys]
        if len(self._keys) + len(events) > MAX_QUEUED:
            raise ValueError(f"more than {MAX_QUEUED} keys to send")
        self._keys.extend(events)

    def clear(self) -> None:
        """Send none of those that wait."""
        self._keys.clear()
        self._frame = 0

    def next(self, timestamp: int, clock: int = SAMPLES_PER_MS) -> tuple[int, bytes, bool] | None:
        """Called each 20 ms with the audio's timestamp: the packet's (timestamp, payload, marker); None in a gap.
        `clock` is that of the events, in units a ms."""
        if not self._keys:
            return None
        if self._frame == 0:
            self._timestamp = timestamp
        self._frame += 1
        frame, key = self._frame, self._keys[0]
        if frame >= (-key if key < 0 else self._frames + self._gap):
            self._keys.popleft()
            self._frame = 0
        if key < 0 or frame >= self._frames + ENDS:
            return None
        duration = min(min(frame, self._frames) * FRAME_MS * clock, MAX_DURATION)
        flags = self._volume | (END if frame >= self._frames else 0)
        return self._timestamp, _EVENT.pack(key, flags, duration), frame == 1


class Key(msgspec.Struct, frozen=True):
    """A key out of an INFO."""

    key: str
    duration_ms: int


def parse_info(content_type: str, body: bytes) -> Key:
    """A key from an INFO's body: application/dtmf-relay or application/dtmf. Raises ValueError for all else."""
    kind = content_type.partition(";")[0].strip().lower()
    text = body[: MAX_BODY + 1].decode("ascii", "replace")
    if len(body) > MAX_BODY:
        raise ValueError(f"INFO body of {len(body)} bytes")
    fields = {"signal": "", "duration": "160"}
    if kind == "application/dtmf-relay":
        fields |= {name.lower(): value for name, value in _RELAY.findall(text)}
    elif kind == "application/dtmf":
        fields["signal"] = text.strip()
    else:
        raise ValueError(f"INFO of type {kind[:40]!r} holds no key")
    signal = {"10": "*", "11": "#"}.get(fields["signal"], fields["signal"].upper())
    if len(signal) != 1 or signal not in KEYS:
        raise ValueError(f"INFO with key {signal[:8]!r}")
    duration = fields["duration"]
    return Key(signal, min(int(duration), 10_000) if duration.isascii() and duration.isdigit() else 160)
