"""The RTCP session of one call: when our report is due and what it says, and what the peer's say about our stream."""

import random

from telephony.lines.rtp import rtcp
from telephony.lines.rtp.reception import Reception

PERIOD_MS = 5000.0
MAX_ROUND_TRIP_MS = 60_000.0


class RtcpSession:
    """RTCP for one stream in each direction."""

    def __init__(self, ssrc: int, cname: str, random: random.Random) -> None:
        """`ssrc` is that of our stream, `cname` a name that reveals nothing about the host."""
        self.ssrc = ssrc
        self.packets = 0  # sent in our stream
        self.octets = 0
        self.round_trip_ms: float | None = None
        self.remote_loss = 0.0  # of our stream, 0 to 1, as the peer last reported
        self.remote_jitter = 0  # of our stream, in samples
        self.peer_left = False  # it said goodbye
        self._cname = cname
        self._random = random
        self._due_ms = -1.0
        self._last_sr = 0  # the peer's
        self._last_sr_ms = 0.0

    def due(self, now_ms: float) -> bool:
        """Whether a report is due; the first one about 2.5 s after the first query."""
        if self._due_ms < 0:
            self._due_ms = now_ms + self._period() / 2
        return now_ms >= self._due_ms

    def report(self, reception: Reception, timestamp: int, now_ms: float) -> bytes:
        """Our report; `timestamp` is that of RTP now."""
        self._due_ms = now_ms + self._period()
        return rtcp.build(self._report(reception, timestamp, now_ms), rtcp.Name(self.ssrc, self._cname))

    def goodbye(self, reception: Reception, timestamp: int, now_ms: float) -> bytes:
        """Our last report."""
        report = self._report(reception, timestamp, now_ms)
        return rtcp.build(report, rtcp.Name(self.ssrc, self._cname), rtcp.Goodbye((self.ssrc,)))

    def receive(self, items: list[rtcp.Item], now_ms: float) -> None:
        """Read the peer's reports."""
        for item in items:
            match item:
                case rtcp.RtcpReport():
                    self._take(item, now_ms)
                case rtcp.Goodbye():
                    self.peer_left = True

    def _take(self, report: rtcp.RtcpReport, now_ms: float) -> None:
        if report.ntp is not None:
            self._last_sr, self._last_sr_ms = rtcp.middle(report.ntp), now_ms
        for block in report.blocks:
            if block.ssrc == self.ssrc:
                self.remote_loss, self.remote_jitter = block.fraction_lost / 256, block.jitter
                round_trip_ms = rtcp.round_trip_ms(block, now_ms)
                if round_trip_ms is not None and round_trip_ms < MAX_ROUND_TRIP_MS:
                    self.round_trip_ms = round_trip_ms

    def _report(self, reception: Reception, timestamp: int, now_ms: float) -> rtcp.RtcpReport:
        blocks: tuple[rtcp.Block, ...] = ()
        if reception.streams:
            delay = int((now_ms - self._last_sr_ms) * 65.536) & 0xFFFF_FFFF if self._last_sr else 0
            fraction, jitter = reception.fraction_lost(), int(reception.jitter)
            blocks = (
                rtcp.Block(reception.ssrc, fraction, reception.lost, reception.extended, jitter, self._last_sr, delay),
            )
        if not self.packets:
            return rtcp.RtcpReport(self.ssrc, blocks)
        return rtcp.RtcpReport(
            self.ssrc, blocks, rtcp.ntp(now_ms), timestamp, self.packets & 0xFFFF_FFFF, self.octets & 0xFFFF_FFFF
        )

    def _period(self) -> float:
        return PERIOD_MS * self._random.uniform(0.5, 1.5)
