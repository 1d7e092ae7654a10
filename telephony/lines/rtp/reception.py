"""Statistics of the received stream: its sequence numbers, losses and jitter (RFC 3550, appendix A)."""

from audio.rate import SAMPLES_PER_MS
from telephony.lines.rtp.packet import Packet

MAX_DROPOUT = 3000  # a sequence number this far ahead means a restarted sender, not a loss
MAX_MISORDER = 100  # and so does one this far behind
MAX_CHANGE_MS = 1000  # of the transit time: more means a clock that was set, not the network
WINDOW = (1 << MAX_MISORDER) - 1


class Reception:
    """Counts one stream's packets. A new SSRC, or two packets in a row far off, start a new stream."""

    def __init__(self) -> None:
        self.streams = 0  # that have begun so far
        self.ssrc = -1
        self.received = 0  # packets of this stream, duplicates not counted
        self.duplicates = 0
        self.astray = 0  # dropped: a sequence number far off
        self.clock = SAMPLES_PER_MS  # its timestamp units in a ms
        self.jitter = 0.0  # in these units: the interarrival jitter of RFC 3550, 6.4.1
        self._first = 0
        self.highest = 0  # extended: cycles in the upper bits
        self._seen = 0  # bit n: `highest - n` has come
        self._restart_at = -1  # the number that would be the second one far off in a row
        self._transit = 0.0
        self._reported_expected = 0
        self._reported_received = 0

    def accept(self, packet: Packet) -> int | None:
        """The packet's extended sequence number; None for a duplicate or one far off."""
        if packet.ssrc != self.ssrc:
            return self._begin(packet)
        ahead = (packet.sequence - self.highest + 0x8000 & 0xFFFF) - 0x8000
        if ahead > 0:
            if ahead > MAX_DROPOUT:
                return self._far_off(packet)
            self.highest += ahead
            self._seen = (self._seen << ahead | 1) & WINDOW if ahead < MAX_MISORDER else 1
        else:
            if ahead <= -MAX_MISORDER:
                return self._far_off(packet)
            if self._seen >> -ahead & 1:
                self.duplicates += 1
                return None
            self._seen |= 1 << -ahead
        self.received += 1
        return self.highest + min(ahead, 0)

    def time(self, timestamp: int, now_ms: float) -> None:
        """Update the jitter with an audio packet's time of arrival."""
        clock = self.clock
        transit = (now_ms * clock - timestamp) % 0x1_0000_0000
        if self._transit >= 0:
            change = abs(transit - self._transit)
            change = min(change, 0x1_0000_0000 - change)
            if change < MAX_CHANGE_MS * clock:
                self.jitter += (change - self.jitter) / 16
        self._transit = transit

    def retime(self, clock: int) -> None:
        """The sender has changed to a codec with another clock."""
        self.jitter *= clock / self.clock
        self.clock = clock
        self.forget_transit()

    def forget_transit(self) -> None:
        """The sender's clock was set: do not compare the next packet's time with earlier ones."""
        self._transit = -1.0

    @property
    def extended(self) -> int:
        """The highest sequence number, with the cycles in the upper 16 bits, as RTCP reports it."""
        return max(0, self.highest - 0x1_0000) & 0xFFFF_FFFF

    @property
    def expected(self) -> int:
        """Packets of this stream that were expected."""
        return self.highest - self._first + 1 if self.streams else 0

    @property
    def lost(self) -> int:
        """Packets lost; below zero if some arrived from before the first one."""
        return self.expected - self.received

    def fraction_lost(self) -> int:
        """The share of losses since the last call, of 256 (RFC 3550, A.3)."""
        expected = self.expected - self._reported_expected
        received = self.received - self._reported_received
        self._reported_expected, self._reported_received = self.expected, self.received
        lost = expected - received
        return min(255, (lost << 8) // expected) if expected > 0 and lost > 0 else 0

    def _far_off(self, packet: Packet) -> int | None:
        if packet.sequence == self._restart_at:
            return self._begin(packet)
        self._restart_at = packet.sequence + 1 & 0xFFFF
        self.astray += 1
        return None

    def _begin(self, packet: Packet) -> int:
        self.streams += 1
        self.ssrc = packet.ssrc
        # One cycle up, so that packets from before the first one have a number too.
        self._first = self.highest = packet.sequence + 0x1_0000
        self._seen = 1
        self._restart_at = -1
        self.received = 1
        self.jitter = 0.0
        self._transit = -1.0
        self._reported_expected = self._reported_received = 0
        return self.highest
