"""The jitter buffer: packets in as they arrive, 20 ms of audio out every 20 ms of the caller's audio clock.

All audio has a place on one line of samples, along which the cursor only moves forward, so nothing is heard twice. A
new stream, or a clock that the sender has set, only changes the places of its timestamps on that line.

A packet's margin is the time from its arrival to the pop that wants it. The mean margin is steered to the target,
which follows the measured jitter, by taking out or putting in a few milliseconds where it shows least; so clocks that
differ neither fill the buffer nor starve it. When the buffer runs dry the cursor stands still: what comes next has
either been late, and is played now, or follows a loss that has been made up for already.

What a codec with a memory has coded waits as it came, behind silence of its length, and is decoded when the cursor is
there: then the order is settled, and what is missing before it is for the codec to make up.
"""

from bisect import insort

import msgspec

from audio.loudness import rms
from audio.rate import FRAME_MS, NARROW, SAMPLES_PER_MS, Rate
from telephony.lines.rtp.codec import Coder
from telephony.lines.rtp.conceal import HISTORY_MS, MAX_LAG_MS, splice
from telephony.lines.rtp.packet import Packet
from telephony.lines.rtp.plc import Ahead, PacketLossConcealment
from telephony.lines.rtp.reception import Reception

MAX_PACKET_MS = 200  # longer packets are cut
OVERLAP_MS = 60  # by which a packet may overlap the newest audio; beyond that its clock was set
MAX_HELD_MS = 1000  # from the cursor to the newest packet
MAX_PACKETS = 128
MAX_HOLE_MS = 200  # a longer hole followed by audio means a clock that was set
BACK = -(1 << 31)
NOWHERE = -(1 << 62)

SMOOTHING = 1 / 32  # of the mean margin: about 0.6 s
SLACK_MS = 15  # by which the mean margin may be off
FAR_MS = 25  # off by so much that loud audio is spliced too
SPLICE_EVERY = 10  # frames between two splices; a fifth of it when far off
QUIET = 100  # a frame below this RMS is spliced inaudibly


class JitterCounters(msgspec.Struct):
    """Counters of one call's audio; times in ms."""

    packets: int = 0  # audio packets taken
    late: int = 0  # dropped: their place was already played
    reordered: int = 0
    concealed_ms: float = 0
    silence_ms: float = 0  # inserted where the sender was silent
    anchored: int = 0  # streams begun and clocks set
    overflowed: int = 0  # times the oldest audio was discarded
    spliced_in_ms: float = 0
    spliced_out_ms: float = 0
    damaged: int = 0  # packets that could not be decoded in their turn, were cut, or discarded unheard


class _Piece(msgspec.Struct, order=True, gc=False):
    start: int  # on the line of samples
    sequence: int
    pcm: bytes  # none for comfort noise; silence while it waits for
    coder: Coder | None = None  # that is to decode
    payload: bytes = b""  # this


class JitterBuffer:
    """One call's received audio, at the line's rate. Packets may have any length; beyond 200 ms they are cut."""

    def __init__(self, rate: Rate = NARROW, *, min_ms: float = 40, max_ms: float = 60) -> None:
        """The mean delay is `min_ms` to `max_ms`, depending on the jitter."""
        self.counters = JitterCounters()
        self.reception = Reception()
        self._min_ms, self._max_ms = min_ms, max_ms
        self._rate, self._per_ms, self._frame = rate, rate.per_ms, rate.frame
        self._most = MAX_PACKET_MS * rate.per_ms  # samples of a packet
        self._overlap = OVERLAP_MS * rate.per_ms
        self._kept = -2 * HISTORY_MS * rate.per_ms  # the start of the history, in bytes from its end
        self._pieces: list[_Piece] = []
        self._cursor = 0  # the next sample to play
        self._end = 0  # of the newest audio
        self._next_pop_ms = -1.0
        # The mapping of timestamps to the line: that of the newest packet, and its place.
        self._timestamp = 0
        self._place = 0
        self._stream = 0
        self._anchor_sequence = 0
        self._margin_ms = min_ms  # the mean
        self._since_splice = 0
        # Running dry
        self._owed = 0  # samples given since the cursor stopped
        self._played = -1  # the sequence number last played
        self._quiet = True  # the sender has paused (DTX)
        self._history = b""
        self._concealment = PacketLossConcealment(rate)
        self._filling = False  # a loss is being concealed
        self._coder: Coder | None = None  # of the newest packet, if it has state
        self._paused = False  # the last decoded packet began a pause of the sender

    @property
    def target_ms(self) -> float:
        """The target of the mean delay."""
        reception = self.reception
        wanted = 20 + 2 * reception.jitter / reception.clock
        return min(max(wanted, self._min_ms), self._max_ms)

    def skip(self, packet: Packet) -> None:
        """Count a packet without audio; some senders' events are a stream of their own."""
        if packet.ssrc == self.reception.ssrc:
            self.reception.accept(packet)

    def push(self, packet: Packet, pcm: bytes, now_ms: float, coder: Coder | None = None) -> bool:
        """Take a packet and its audio, decoded to PCM16; none for comfort noise. Returns whether it was new.

        With a `coder` the payload is decoded later, in order, and `pcm` is silence of its length.
        """
        reception = self.reception
        sequence = reception.accept(packet)
        if sequence is None:
            return False
        if len(pcm) > 2 * self._most:
            self.counters.damaged += 1
            pcm = pcm[: 2 * self._most]
        newest = sequence == reception.highest
        if coder is self._coder or self._takes(coder, newest and bool(pcm)):
            start = self._place_of(packet, sequence, now_ms)
            reception.time(packet.timestamp, now_ms)
        else:  # comfort noise; or late, from a former codec
            start = self._cursor - self._most if pcm else self._place_of(packet, sequence, now_ms)
        end = start + len(pcm) // 2
        if end <= self._cursor and (pcm or start < self._cursor):
            self.counters.late += 1
            return True
        piece = _Piece(start, sequence, pcm) if coder is None else _Piece(start, sequence, pcm, coder, packet.payload)
        insort(self._pieces, piece)
        self._end = max(self._end, end)
        self.counters.packets += 1
        if newest:
            margin = (start - self._cursor) // self._frame * FRAME_MS + self._next_pop_ms - now_ms
            self._margin_ms += (margin - self._margin_ms) * SMOOTHING
        else:
            self.counters.reordered += 1
        if end - self._cursor > MAX_HELD_MS * self._per_ms or len(self._pieces) > MAX_PACKETS:
            self._overflow()
        return True

    def pop(self, now_ms: float) -> bytes:
        """The next 20 ms of audio, as PCM16."""
        self._next_pop_ms = now_ms + FRAME_MS
        self._since_splice += 1
        pieces = self._pieces
        whole = pieces and pieces[0].start == self._cursor and len(pieces[0].pcm) == 2 * self._frame
        if whole and not self._is_off():
            piece = pieces.pop(0)  # nearly always
            if piece.coder is not None:
                self._decode(piece)
            frame = piece.pcm
            self._cursor += self._frame
            self._played = piece.sequence
            self._filling = self._quiet = False
        else:
            frame = (self._spliced() if self._is_off() else b"") or self._gather(self._frame)
        self._history = (self._history + frame)[self._kept :]
        return frame

    # The places of packets

    def _place_of(self, packet: Packet, sequence: int, now_ms: float) -> int:
        reception = self.reception
        if self._stream != reception.streams:
            self._stream = reception.streams
            start = self._anchor(packet, now_ms)
            self._anchor_sequence = 0  # earlier packets than the first may still arrive
            return start
        ticks = (packet.timestamp - self._timestamp - BACK & 0xFFFF_FFFF) + BACK
        start = self._place + ticks * self._per_ms // reception.clock
        if sequence < reception.highest:
            # From before the clock was set: its place is unknown.
            known = sequence > self._anchor_sequence and start < self._place
            return start if known else self._cursor - self._most
        ahead = start - max(self._cursor, self._end)
        if self._owed and not self._pieces:
            # Dry. A marker begins a talkspurt, which is buffered anew; a gap was concealed already.
            if packet.marker or not -self._overlap < ahead <= self._owed + MAX_HOLE_MS * self._per_ms:
                return self._anchor(packet, now_ms)
            self._cursor += max(0, min(start - self._cursor, self._owed))
            self._owed = 0
        elif not -self._overlap < ahead <= MAX_HOLE_MS * self._per_ms:
            return self._anchor(packet, now_ms)
        self._timestamp, self._place = packet.timestamp, start
        return start

    def _anchor(self, packet: Packet, now_ms: float) -> int:
        """Place the packet after all other audio, with the target delay: whole frames from the cursor."""
        if self._next_pop_ms < 0:
            self._next_pop_ms = now_ms
        wait = self.target_ms - max(0.0, self._next_pop_ms - now_ms)
        frames = max(0, round(wait / FRAME_MS))
        ahead = max(frames * self._frame, self._end - self._cursor)
        self.counters.anchored += 1
        self._timestamp, self._place = packet.timestamp, self._cursor + ahead
        self._owed = 0
        self._margin_ms = self.target_ms
        self._played = -1
        self._anchor_sequence = self.reception.highest
        self.reception.forget_transit()
        return self._place

    def _overflow(self) -> None:
        """Continue at the target delay before the newest audio."""
        held = len(self._pieces)
        self.counters.overflowed += 1
        self._cursor = max(self._cursor, self._end - round(self.target_ms * self._per_ms))
        del self._pieces[: max(0, len(self._pieces) - MAX_PACKETS)]
        while self._pieces and self._pieces[0].start + len(self._pieces[0].pcm) // 2 <= self._cursor:
            self._pieces.pop(0)
        self.counters.damaged += held - len(self._pieces)
        self._margin_ms = self.target_ms

    # Audio out

    def _gather(self, count: int) -> bytes:
        """The next samples, received or concealed."""
        out = b""
        while count > 0:
            piece = self._front()
            if piece is None:
                self._owed += count
                out += self._fill(count)
                break
            hole = min(piece.start - self._cursor, count)
            if hole > 0:
                self._quiet = self._quiet or piece.sequence == self._played + 1
                part = self._fill(hole, piece)
            else:
                part = self._take(piece, count)
            out += part
            count -= len(part) // 2
            self._cursor += len(part) // 2
        return out

    def _front(self) -> _Piece | None:
        """The first piece of audio from the cursor on."""
        while self._pieces:
            piece = self._pieces[0]
            past = self._cursor - piece.start
            if past < 0 or past < len(piece.pcm) // 2:
                return piece
            self._pieces.pop(0)
            if not piece.pcm:
                self._quiet, self._played = True, piece.sequence
        return None

    def _take(self, piece: _Piece, count: int) -> bytes:
        """Up to `count` samples of the piece under the cursor."""
        past = 2 * (self._cursor - piece.start)
        if piece.coder is not None:
            self._decode(piece)
        part = piece.pcm[past : past + 2 * count]
        if past + len(part) == len(piece.pcm):
            self._pieces.pop(0)
        self._played = piece.sequence
        self._filling = self._quiet = False
        return part

    def _fill(self, count: int, ahead: _Piece | None = None) -> bytes:
        """Samples for a hole: silence if the sender paused, else a fading continuation of what was heard. `ahead` is
        the piece behind the hole."""
        if self._quiet or self._paused:
            self.counters.silence_ms += count / self._per_ms
            return bytes(2 * count)
        self.counters.concealed_ms += count / self._per_ms
        if not self._filling:
            self._filling = True
            self._concealment.begin()
        told = None
        if ahead is not None and ahead.coder is not None:
            told = Ahead(ahead.coder, ahead.payload, ahead.start - self._cursor)
        part = self._concealment.give(count, self._history, told)
        self._quiet = self._concealment.spent
        return part.ljust(2 * count, b"\0")

    # Codecs with state

    def _takes(self, coder: Coder | None, takes_up: bool) -> bool:
        """Whether timestamps of a codec other than the last one have a place. The newest audio's codec is adopted: with
        another clock it is placed after all other audio."""
        clock = SAMPLES_PER_MS if coder is None else coder.clock
        if takes_up:
            self._coder, self._paused = coder, False
            self._concealment.take_up(coder)
            if clock != self.reception.clock:
                self.reception.retime(clock)
                self._place = NOWHERE
        return clock == self.reception.clock

    def _decode(self, piece: _Piece) -> None:
        """Decode the audio of a piece."""
        coder, count = piece.coder, len(piece.pcm) // 2
        assert coder is not None
        pcm = coder.decode(piece.payload)
        if not pcm:
            self.counters.damaged += 1
            pcm = coder.conceal(count)
        piece.pcm, piece.coder = pcm[: 2 * count].ljust(2 * count, b"\0"), None
        self._paused = coder.is_pause(piece.payload)

    # The margin

    def _is_off(self) -> bool:
        return abs(self._margin_ms - self.target_ms) > SLACK_MS and self._since_splice * 5 >= SPLICE_EVERY

    def _spliced(self) -> bytes:
        """20 ms with a few milliseconds taken out or put in; empty if that would be audible or is impossible."""
        off_ms = self._margin_ms - self.target_ms
        far = abs(off_ms) > FAR_MS
        if not far and self._since_splice < SPLICE_EVERY:
            return b""
        longest = MAX_LAG_MS * self._per_ms
        samples = self._at_hand(self._frame + longest)
        if len(samples) < 2 * (self._frame + (longest if off_ms > 0 else 0)):
            return b""
        if not far and rms(samples) > QUIET:
            return b""
        frame, used = splice(samples, off_ms < 0, self._rate)
        out_ms = (used - self._frame) / self._per_ms
        self.counters.spliced_out_ms += max(0.0, out_ms)
        self.counters.spliced_in_ms += max(0.0, -out_ms)
        self._margin_ms -= out_ms
        self._since_splice = 0
        self._gather(used)
        return frame

    def _at_hand(self, count: int) -> bytes:
        """Up to `count` samples from the cursor on, up to the first hole."""
        out, place = b"", self._cursor
        self._front()
        for piece in self._pieces:
            if piece.start > place:
                break
            if piece.coder is not None:
                self._decode(piece)
            out += piece.pcm[2 * (place - piece.start) :]
            place = self._cursor + len(out) // 2
            if place - self._cursor >= count:
                break
        return out[: 2 * count]
