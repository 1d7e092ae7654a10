"""Keys of the telephone: as events in RTP (RFC 4733), received and sent, and as the bodies of SIP's INFO."""

import re
from collections import deque
from math import inf
from struct import Struct

import msgspec

from audio.rate import FRAME_MS, SAMPLES_PER_MS
from config.keys import WAITS_MS
from telephony.lines.rtp.packet import Packet

KEYS = "0123456789*#ABCD"  # by event number
END = 0x80
MAX_DURATION = 0xFFFF  # clock units; a key held longer continues in a new segment
MAX_QUEUED = 64  # unsent keys, and pauses between them
HELD_MS = 250  # a key without packets for so long was released: the last ones were lost
FORGET_MS = 500  # without an event, after which an older timestamp means a clock that was set, not a late packet
BACK = -(1 << 31)  # a timestamp further ahead counts as behind
ENDS = 3  # how often the last packet is sent

_EVENT = Struct("!BBH")
_RELAY = re.compile(r"^\s*(signal|duration)\s*=\s*(\S{1,8})\s*$", re.IGNORECASE | re.MULTILINE)
MAX_BODY = 256  # bytes of an INFO
PRESS_MS, MAX_PRESS_MS = 160, 10_000  # of a key by INFO: the default duration, and the longest


class _News(msgspec.Struct, gc=False):
    """One packet of a key, in relation to the previous one."""

    key: str
    end: bool
    marker: bool
    duration: int  # units of the clock, as the next
    ahead: int  # its timestamp minus that of the last key
    step: int  # its sequence number minus the newest one
    now_ms: float
    clock: int  # units per ms


class KeyReceiver:
    """The keys in one caller's events: each is reported once, by whichever of its packets comes first.

    All packets of a press should have the timestamp of the first. Many relays and some phones change it, so other signs
    of a continuing press count as well; a new press begins with a marker, or a shorter duration, or after the end of
    the previous one.
    """

    def __init__(self) -> None:
        self.ignored = 0  # packets without a key: other events, or too short
        self._ssrc = -1  # of the events; may differ from that of the audio
        self._timestamp = 0  # of the last key
        self._sequence = 0  # of the newest packet
        self._key = ""  # the last one
        self._held = ""  # the key that is down
        self._duration = 0
        self._heard_ms = -inf
        self._ended_ms = -inf  # when its first end packet came

    def receive(self, packet: Packet, now_ms: float, clock: int = SAMPLES_PER_MS) -> str | None:
        """The key that was pressed, or None for an update, a repetition or a late packet. `clock` is that of the
        events, in units per ms."""
        if len(packet.payload) < _EVENT.size or packet.payload[0] >= len(KEYS):
            self.ignored += 1
            return None
        event, flags, duration = _EVENT.unpack_from(packet.payload)
        news = _News(
            key=KEYS[event],
            end=flags >= END,
            marker=packet.marker,
            duration=duration,
            ahead=(packet.timestamp - self._timestamp - BACK & 0xFFFF_FFFF) + BACK,
            step=(packet.sequence - self._sequence + 0x8000 & 0xFFFF) - 0x8000,
            now_ms=now_ms,
            clock=clock,
        )
        if packet.ssrc == self._ssrc:
            if news.step > 0:
                self._sequence = packet.sequence
            if self._is_late(news):
                return None
            if self._is_same(news) or self._goes_on(news):
                if not news.end:
                    self._timestamp = packet.timestamp
                self._update(news)
                return None
        told = None if packet.ssrc == self._ssrc and self._is_segment(news) else news.key
        self._ssrc, self._timestamp, self._sequence = packet.ssrc, packet.timestamp, packet.sequence
        self._key = self._held = news.key
        self._duration, self._ended_ms = 0, -inf
        self._update(news)
        return told

    def held(self, now_ms: float) -> str:
        """The key that is down; "" if none is."""
        return self._held if now_ms - self._heard_ms < HELD_MS else ""

    def _is_late(self, news: _News) -> bool:
        """Whether newer packets have come: its key was reported, or is past."""
        return news.step <= 0 and (news.step < 0 or news.ahead < 0) and self._is_recent(news)

    def _is_same(self, news: _News) -> bool:
        """Whether it has the timestamp of the last key: then it is a new press only if that was long ago, or another
        key."""
        another = news.key != self._key and news.step > 0
        return news.ahead == 0 and not another and (self._is_recent(news) or not news.marker)

    def _goes_on(self, news: _News) -> bool:
        """Whether it belongs to the last press despite its timestamp."""
        if news.key != self._key:
            return False
        if news.end and news.now_ms - self._ended_ms < HELD_MS:
            return True
        if news.marker or news.duration < self._duration:
            return False
        began_ms = news.now_ms - news.duration / news.clock
        if self._held and (news.step == 1 or began_ms <= self._heard_ms + 2 * FRAME_MS):
            return True  # nothing lies between them, or it began before the last packet came, however long ago that was
        if self._held and news.end:
            return False
        longest = max(self._duration, news.duration - self._duration) + FRAME_MS * news.clock
        return abs(news.ahead) <= longest and news.now_ms - self._heard_ms < HELD_MS

    def _is_segment(self, news: _News) -> bool:
        """Whether it begins the next segment of a key held for more than 8 s."""
        frame = FRAME_MS * news.clock
        beyond = news.ahead - self._duration
        return self.held(news.now_ms) == news.key and 0 <= beyond <= frame and news.ahead >= MAX_DURATION - frame

    def _is_recent(self, news: _News) -> bool:
        return news.now_ms - self._heard_ms < FORGET_MS

    def _update(self, news: _News) -> None:
        self._duration = max(self._duration, news.duration)
        self._heard_ms = news.now_ms
        if news.end and self._held:
            self._held, self._ended_ms = "", news.now_ms


class KeySender:
    """Keys to send, as one event packet every 20 ms."""

    def __init__(self, *, press_ms: int = 160, gap_ms: int = 80, volume: int = 10) -> None:
        """Each key is held for `press_ms` and followed by a gap of `gap_ms`; `volume` is in dB below full (0-63)."""
        self._frames = max(1, round(press_ms / FRAME_MS))
        self._gap = max(ENDS - 1, round(gap_ms / FRAME_MS))
        self._volume = min(max(volume, 0), 63)
        self._keys: deque[int] = deque()  # by event number; below 0 a pause of so many frames
        self._frame = 0  # of the present key, including those after its end
        self._timestamp = 0

    @property
    def busy(self) -> bool:
        """Whether the next 20 ms belong to a key or to the gap after it."""
        return bool(self._keys)

    def press(self, keys: str) -> None:
        """Send these keys after the waiting ones; `w` is a pause of half a second, `W` of a second. Raises ValueError
        for anything else, or too many keys."""
        if wrong := next((key for key in keys if key.upper() not in KEYS and key not in WAITS_MS), ""):
            raise ValueError(f"other keys than {KEYS}: {wrong!r}")
        events = [-round(WAITS_MS[key] / FRAME_MS) if key in WAITS_MS else KEYS.find(key.upper()) for key in keys]
        if len(self._keys) + len(events) > MAX_QUEUED:
            raise ValueError(f"more than {MAX_QUEUED} keys to send")
        self._keys.extend(events)

    def clear(self) -> None:
        """Discard the waiting keys."""
        self._keys.clear()
        self._frame = 0

    def next(self, timestamp: int, clock: int = SAMPLES_PER_MS) -> tuple[int, bytes, bool] | None:
        """Called every 20 ms with the audio's timestamp: the (timestamp, payload, marker) of the packet; None in a gap.
        `clock` is that of the events, in units per ms."""
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
    """A key from an INFO."""

    key: str
    duration_ms: int


def parse_info(content_type: str, body: bytes) -> Key:
    """A key from an INFO's body: application/dtmf-relay, application/dtmf, or audio/telephone-event, which is the
    payload of an RTP packet. Raises ValueError for anything else."""
    kind = content_type.partition(";")[0].strip().lower()
    if len(body) > MAX_BODY:
        raise ValueError(f"INFO body of {len(body)} bytes")
    if kind == "audio/telephone-event":
        return _from_event(body)
    text = body.decode("ascii", "replace")
    fields = {"signal": "", "duration": f"{PRESS_MS}"}
    if kind == "application/dtmf-relay":
        fields |= {name.lower(): value for name, value in _RELAY.findall(text)}
    elif kind == "application/dtmf":
        fields["signal"] = text.strip()
    else:
        raise ValueError(f"INFO of type {kind[:40]!r} holds no key")
    signal = {"10": "*", "11": "#"}.get(fields["signal"], fields["signal"].upper())
    if len(signal) != 1 or signal not in KEYS:
        raise ValueError(f"INFO with {len(signal)} characters in place of a key")  # a PIN may be among them
    duration = fields["duration"]
    return Key(signal, min(int(duration), MAX_PRESS_MS) if duration.isascii() and duration.isdigit() else PRESS_MS)


def _from_event(body: bytes) -> Key:
    if len(body) < _EVENT.size or body[0] >= len(KEYS):
        raise ValueError("INFO with an event that is no key")
    event, _, duration = _EVENT.unpack_from(body)
    return Key(KEYS[event], duration // SAMPLES_PER_MS or PRESS_MS)
