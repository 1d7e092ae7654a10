"""One call's audio, keys and reports over RTP, both ways, without I/O.

The peer's audio comes by `receive`, at any time, and is heard by `hear`, every 20 ms; `tick`, also every 20 ms, gives
the packet to send, silence where there is nothing to say. Where packets go follows where they come from (symmetric
RTP): source.py says whose are the peer's, and nobody else is listened to until `relatch`, or until an update names
another address.

The line has one rate for the whole call, that of the codec that was agreed on first; a codec with another is converted.
"""

import random
import secrets
from collections.abc import Callable

import msgspec

from audio.rate import FRAME_MS, RATE, RATES, Rate
from telephony.lines.exceptions import CommandError
from telephony.lines.rtp import packet, rtcp
from telephony.lines.rtp.codec import COMFORT_NOISE, G711, Codec, Coder
from telephony.lines.rtp.coders import open_coder
from telephony.lines.rtp.dtmf import KeyReceiver, KeySender
from telephony.lines.rtp.jitter import JitterBuffer
from telephony.lines.rtp.packet import Packet
from telephony.lines.rtp.parameters import Parameters, SocketAddress
from telephony.lines.rtp.rtcp_session import RtcpSession
from telephony.lines.rtp.source import RtpSource, canonical
from telephony.lines.rtp.srtp import Srtp

NextFrame = Callable[[], bytes | None]  # 20 ms of PCM16 at the line's rate; None for silence
MAX_OPENED = 8  # codecs with the peer's parameters that are remembered


class MediaCounters(msgspec.Struct):
    """One call's packets. `foreign` ones, from others than the peer, are dropped."""

    received: int = 0  # RTP accepted
    sent: int = 0  # RTP
    foreign: int = 0
    malformed: int = 0  # neither RTP nor RTCP, or without a payload of its codec
    other: int = 0  # other protocols that share the port, such as STUN, and keep-alives: ignored
    unexpected: int = 0  # with payload types that were not agreed on


class Media:
    """The media session of one call."""

    def __init__(
        self,
        parameters: Parameters,
        next_frame: NextFrame,
        now_ms: float,
        *,
        nat: bool = False,
        rate: Rate | None = None,
        jitter: JitterBuffer | None = None,
        keys: KeySender | None = None,
        random: random.Random | None = None,
    ) -> None:
        """`next_frame` supplies the audio to send, and is called only while sending is allowed. With `nat` the first
        valid packet locks its source whatever its IP. `rate` is the line's, unless the first codec sets it; `jitter`
        has the same. Raises SettingsError if a codec's library is missing."""
        self._random = random or secrets.SystemRandom()
        self.counters = MediaCounters()
        self.rate = rate or RATES[next(iter(parameters.codecs.values())).rate]
        self.jitter = jitter or JitterBuffer(self.rate)
        self.srtp: Srtp | None = None
        self._keys_out = keys or KeySender()
        self._keys_in = KeyReceiver()
        self._next_frame = next_frame
        self._source = RtpSource(nat=nat)
        self._named: SocketAddress | None = None  # the last address agreed on
        self._control_from: SocketAddress | None = None
        self._timestamp = self._random.getrandbits(32)
        self._sequence = self._first_sequence()
        self.rtcp = RtcpSession(self._random.getrandbits(32), f"{self._random.getrandbits(64):016x}", self._random)
        self._ticked_ms = now_ms
        self._talking = False
        self._begun = False
        self._zeros = bytes(2 * self.rate.frame)
        self._opened: dict[tuple[str, str], G711 | Coder] = {}  # by the codec and the peer's parameters
        self._clock = 0  # units of our timestamps per ms
        self._heard_ms = now_ms  # when the peer last sent or agreed on anything
        self._pausing = False  # its last packet announced a pause
        self._parameters = parameters
        self._set(parameters)

    # The agreement

    def update(self, parameters: Parameters, now_ms: float) -> None:
        """Apply a new agreement. Another address unlocks the source; another key of ours, or a codec with another
        clock, begins a new stream."""
        before = self._parameters
        if parameters.remote is not None and parameters.remote != self._named:
            self.relatch()
        self._heard_ms = now_ms
        clock = self._clock
        self._set(parameters)
        if parameters.local_key != before.local_key or self._clock != clock:
            self.rtcp.ssrc = self._random.getrandbits(32)
            self._sequence = self._first_sequence()
            self._begun = False

    def relatch(self) -> None:
        """Accept the next valid source."""
        self._source.unlock()
        self._control_from = None

    @property
    def sources(self) -> tuple[SocketAddress, ...]:
        """The only sources whose RTP can be accepted from now on; empty while that is open. The same object until it
        changes."""
        return self._source.known

    @property
    def remote(self) -> SocketAddress | None:
        """Where RTP goes: to the source of the peer's, before that to the agreed address."""
        return self._source.locked or self._parameters.remote

    @property
    def remote_control(self) -> SocketAddress | None:
        """Where RTCP goes."""
        return self.remote if self._parameters.mux else self._control_from or self._parameters.control

    def silent_ms(self, now_ms: float) -> float:
        """How long the peer has sent nothing at all."""
        return now_ms - self._heard_ms

    @property
    def silent_by_right(self) -> bool:
        """Whether the peer need not send: it has announced a pause (RFC 3389), or one side is on hold."""
        return self._pausing or not (self._parameters.receives and self._parameters.sends)

    # In

    def receive(self, data: bytes, source: SocketAddress, now_ms: float) -> str | None:
        """Take a datagram from the RTP port. Returns the key that was pressed, if any."""
        if not self._source.may_be(source):
            self.counters.foreign += 1
            return None
        if packet.is_rtcp(data):
            self._take_control(data, now_ms)
            return None
        received = self._unseal(data)
        if received is None:
            return None
        kind = received.payload_type
        coder = self._coders.get(kind)
        if coder is None and kind != COMFORT_NOISE and kind not in self._parameters.events:
            self.counters.unexpected += 1
            return None
        if not self._source.take(source, received, now_ms):
            self.counters.foreign += 1
            return None
        self.counters.received += 1
        self._heard_ms = now_ms
        return self._take(received, coder, now_ms)

    def _take(self, received: Packet, coder: G711 | Coder | None, now_ms: float) -> str | None:
        """Pass a packet from the peer to the keys or to the jitter buffer."""
        kind = received.payload_type
        if kind in self._parameters.events:
            self.jitter.skip(received)
            return self._keys_in.receive(received, now_ms, self._event_clock(kind))
        self._pausing = coder is None or not received.payload
        if isinstance(coder, G711):
            self.jitter.push(received, coder.decode(received.payload), now_ms)
        elif coder is None or not received.payload:  # comfort noise, or a pause of Opus
            self.jitter.push(received, b"", now_ms)
        else:
            self._push(received, coder, now_ms)
        return None

    def _push(self, received: Packet, coder: Coder, now_ms: float) -> None:
        """Queue a payload to be decoded in order."""
        try:
            count = coder.count(received.payload)
        except ValueError:
            self.counters.malformed += 1
            return
        self._pausing = coder.is_pause(received.payload)
        self.jitter.push(received, bytes(2 * count), now_ms, coder)

    def receive_control(self, data: bytes, source: SocketAddress, now_ms: float) -> None:
        """Take a datagram from the RTCP port."""
        remote = self.remote
        if remote is None or canonical(source[0]) != canonical(remote[0]):
            self.counters.foreign += 1
        elif self._take_control(data, now_ms) and self._control_from != self._parameters.control:
            self._control_from = source  # until something comes from the agreed address

    def hear(self, now_ms: float) -> bytes:
        """The next 20 ms of the caller's audio, as PCM16 at the line's rate."""
        return self.jitter.pop(now_ms)

    # Out

    def tick(self, now_ms: float) -> bytes | None:
        """Called every 20 ms: the datagram to send to `remote`; None if none may be sent."""
        self._ticked_ms = now_ms
        timestamp = self._timestamp
        self._timestamp = timestamp + self._step & 0xFFFF_FFFF
        if not self._parameters.sends or self._parameters.remote is None:
            self._talking = self._begun = False
            return None
        if self._keys_out.busy and self._parameters.event_type is not None:
            event = self._keys_out.next(timestamp, self._event_clock(self._parameters.event_type))
            if event is not None:
                self._talking = False
                return self._send(self._parameters.event_type, *event)
        pcm = self._next_frame()
        coder = self._coder
        payload = coder.encode(pcm) if pcm is not None else coder.silence or coder.encode(self._zeros)
        marker = not self._begun or (pcm is not None and not self._talking)
        self._talking, self._begun = pcm is not None, True
        return self._send(self._payload_type, timestamp, payload, marker)

    def press(self, keys: str) -> None:
        """Send keys, and the pauses between them, as events; audio waits meanwhile. Raises CommandError if the peer
        takes none, ValueError for a bad key."""
        if self._parameters.event_type is None:
            raise CommandError("the peer takes no keys: its session description has no telephone-event")
        self._keys_out.press(keys)

    @property
    def pressing(self) -> bool:
        """Whether keys are still being sent; if the peer no longer takes any, they are not."""
        return self._keys_out.busy

    def report(self, now_ms: float) -> bytes | None:
        """The RTCP datagram to send to `remote_control`, when one is due: about every 5 s."""
        if not self.rtcp.due(now_ms):
            return None
        return self._seal_control(self.rtcp.report(self.jitter.reception, self._timestamp_at(now_ms), now_ms))

    def goodbye(self, now_ms: float) -> bytes:
        """The last RTCP datagram."""
        return self._seal_control(self.rtcp.goodbye(self.jitter.reception, self._timestamp_at(now_ms), now_ms))

    # Inside

    def _set(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._named = parameters.remote or self._named
        self._source.agree(parameters.remote)
        if parameters.event_type is None:
            self._keys_out.clear()
        self._coders = {kind: self._open(codec, kind) for kind, codec in parameters.codecs.items()}
        self._payload_type, codec = next(iter(parameters.codecs.items()))
        self._coder, self._clock = self._coders[self._payload_type], codec.clock // 1000
        self._step = FRAME_MS * self._clock
        if parameters.local_key is None or parameters.remote_key is None:
            self.srtp = None
        elif self.srtp is None:
            self.srtp = Srtp(parameters.local_key, parameters.remote_key)
        else:
            self.srtp.rekey(parameters.local_key, parameters.remote_key)

    def _open(self, codec: Codec, kind: int) -> G711 | Coder:
        """The coder in use: it keeps its state as long as the call lasts and the peer's parameters stay the same."""
        wishes = self._parameters.wishes.get(kind, "")
        if (codec.name, wishes) not in self._opened:
            if len(self._opened) == MAX_OPENED:
                self._opened.clear()
            self._opened[codec.name, wishes] = open_coder(codec, self.rate, wishes)
        return self._opened[codec.name, wishes]

    def _event_clock(self, kind: int) -> int:
        return self._parameters.events.get(kind, RATE) // 1000

    def _first_sequence(self) -> int:
        return self._random.getrandbits(15)  # the upper half is close to the wrap, where SRTP would lose count

    def _unseal(self, data: bytes) -> Packet | None:
        """The packet in a datagram; None, and counted, if there is none or it was forged or replayed."""
        if packet.is_other(data):
            self.counters.other += 1
            return None
        if self.srtp is not None:
            plain = self.srtp.unprotect(data)
            if plain is None:
                return None
            data = plain
        try:
            return packet.parse(data)
        except ValueError:
            self.counters.malformed += 1
            return None

    def _take_control(self, data: bytes, now_ms: float) -> bool:
        if packet.is_other(data):
            self.counters.other += 1
            return False
        if self.srtp is not None:
            plain = self.srtp.unprotect_control(data)
            if plain is None:
                return False
            data = plain
        try:
            items = rtcp.parse(data)
        except ValueError:
            self.counters.malformed += 1
            return False
        self._heard_ms = now_ms
        self.rtcp.receive(items, now_ms)
        return True

    def _send(self, payload_type: int, timestamp: int, payload: bytes, marker: bool) -> bytes:
        session = self.rtcp
        data = packet.encode(Packet(payload_type, self._sequence, timestamp, session.ssrc, payload, marker))
        self._sequence = self._sequence + 1 & 0xFFFF
        self.counters.sent += 1
        session.packets += 1
        session.octets += len(payload)
        return data if self.srtp is None else self.srtp.protect(data)

    def _timestamp_at(self, now_ms: float) -> int:
        return self._timestamp + round((now_ms - self._ticked_ms - FRAME_MS) * self._clock) & 0xFFFF_FFFF

    def _seal_control(self, data: bytes) -> bytes:
        return data if self.srtp is None else self.srtp.protect_control(data)
