"""RTCP (RFC 3550, 6): sender and receiver reports, the sender's name, goodbye; bytes to reports and back."""

from struct import Struct

import msgspec

SENDER_REPORT, RECEIVER_REPORT, DESCRIPTION, BYE = 200, 201, 202, 203
CNAME = 1
MAX_BYTES = 1500
MAX_PACKETS = 32  # in one datagram
MAX_REASON = 80  # bytes

_HEADER = Struct("!BBH")
_WORD = Struct("!I")
_SENDER = Struct("!IQIII")
_BLOCK = Struct("!IIIIII")


class Block(msgspec.Struct, frozen=True):
    """The report on one received stream."""

    ssrc: int  # of that stream
    fraction_lost: int  # of 256, since the last report
    lost: int  # in all; may be below zero
    highest: int  # sequence number, with cycles
    jitter: int  # in samples
    last_sr: int = 0  # the middle 32 bits of the last sender report's NTP time; 0 before one came
    delay: int = 0  # since then, in 1/65536 s


class RtcpReport(msgspec.Struct, frozen=True):
    """A receiver report; with `ntp` a sender report."""

    ssrc: int  # of the reporting side
    blocks: tuple[Block, ...] = ()
    ntp: int | None = None  # 32.32 s
    timestamp: int = 0  # of RTP at that time
    packets: int = 0  # sent so far
    octets: int = 0  # of payload


class Name(msgspec.Struct, frozen=True):
    """A source's canonical name (SDES CNAME)."""

    ssrc: int
    cname: str


class Goodbye(msgspec.Struct, frozen=True):
    """Sources that leave."""

    ssrcs: tuple[int, ...]
    reason: str = ""


Item = RtcpReport | Name | Goodbye


def parse(data: bytes) -> list[Item]:
    """The packets of one datagram; unknown kinds are left out. Raises ValueError if it is not RTCP."""
    if not 8 <= len(data) <= MAX_BYTES or len(data) % 4:
        raise ValueError(f"{len(data)} bytes are no RTCP")
    items: list[Item] = []
    at = packets = 0
    while at < len(data):
        flags, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 + 4 * words
        packets += 1
        if flags >> 6 != 2 or end > len(data) or packets > MAX_PACKETS:
            raise ValueError("RTCP of another version, or longer than its datagram")
        body = data[at + 4 : end]
        if flags & 0x20:
            if not body or body[-1] > len(body) or body[-1] % 4 or body[-1] == 0:
                raise ValueError("RTCP padding does not fit")
            body = body[: -body[-1]]
        items += _parse_one(kind, flags & 0x1F, body)
        at = end
    return items


def _parse_one(kind: int, count: int, body: bytes) -> list[Item]:
    if kind in (SENDER_REPORT, RECEIVER_REPORT):
        return [_parse_report(kind, count, body)]
    if kind == DESCRIPTION:
        return list(_parse_names(count, body))
    if kind == BYE:
        if len(body) < 4 * count:
            raise ValueError("RTCP BYE is too short")
        sources = tuple(_WORD.unpack_from(body, 4 * n)[0] for n in range(count))
        rest = body[4 * count :]
        return [Goodbye(sources, rest[1 : 1 + rest[0]].decode("utf-8", "replace") if rest else "")]
    return []


def _parse_report(kind: int, count: int, body: bytes) -> RtcpReport:
    start = _SENDER.size if kind == SENDER_REPORT else _WORD.size
    if len(body) < start + count * _BLOCK.size:
        raise ValueError("RTCP report is too short")
    blocks = []
    for n in range(count):
        ssrc, losses, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, start + n * _BLOCK.size)
        lost = losses & 0xFFFFFF
        blocks.append(Block(ssrc, losses >> 24, lost - (lost >> 23 << 24), highest, jitter, last_sr, delay))
    if kind == RECEIVER_REPORT:
        return RtcpReport(_WORD.unpack_from(body)[0], tuple(blocks))
    ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
    return RtcpReport(ssrc, tuple(blocks), ntp, timestamp, packets, octets)


def _parse_names(count: int, body: bytes) -> list[Name]:
    names, at = [], 0
    for _ in range(count):
        if at + 4 > len(body):
            raise ValueError("RTCP SDES is too short")
        ssrc = _WORD.unpack_from(body, at)[0]
        at += 4
        while at < len(body) and body[at]:
            if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
                raise ValueError("RTCP SDES item is longer than its packet")
            if body[at] == CNAME:
                names.append(Name(ssrc, body[at + 2 : at + 2 + body[at + 1]].decode("utf-8", "replace")))
            at += 2 + body[at + 1]
        at = (at // 4 + 1) * 4
    return names


def build(*items: Item) -> bytes:
    """A compound packet; the first item must be a report."""
    return b"".join(map(_build_one, items))


def _build_one(item: Item) -> bytes:
    match item:
        case RtcpReport():
            blocks = b"".join(map(_build_block, item.blocks))
            if item.ntp is None:
                return _packet(RECEIVER_REPORT, len(item.blocks), _WORD.pack(item.ssrc) + blocks)
            sender = _SENDER.pack(item.ssrc, item.ntp, item.timestamp, item.packets, item.octets)
            return _packet(SENDER_REPORT, len(item.blocks), sender + blocks)
        case Name():
            cname = item.cname.encode()[:255]
            return _packet(DESCRIPTION, 1, _WORD.pack(item.ssrc) + bytes([CNAME, len(cname)]) + cname + b"\0")
        case Goodbye():
            reason = item.reason.encode()[:MAX_REASON]
            sources = b"".join(map(_WORD.pack, item.ssrcs))
            return _packet(BYE, len(item.ssrcs), sources + (bytes([len(reason)]) + reason if reason else b""))


def _build_block(block: Block) -> bytes:
    lost = min(max(block.lost, -0x80_0000), 0x7F_FFFF) & 0xFF_FFFF
    losses = block.fraction_lost << 24 | lost
    return _BLOCK.pack(block.ssrc, losses, block.highest, block.jitter, block.last_sr, block.delay)


def _packet(kind: int, count: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def ntp(now_ms: float) -> int:
    """The time as 32.32 s, of any clock: reports only compare it with itself."""
    return int(now_ms * (1 << 32) / 1000) & 0xFFFF_FFFF_FFFF_FFFF


def middle(ntp_time: int) -> int:
    """The middle 32 bits of an NTP time: 16.16 s."""
    return ntp_time >> 16 & 0xFFFF_FFFF


def round_trip_ms(block: Block, now_ms: float) -> float | None:
    """The round-trip time, from a report on our stream; None if it refers to no report of ours."""
    if block.last_sr == 0:
        return None
    taken = middle(ntp(now_ms)) - block.last_sr - block.delay & 0xFFFF_FFFF
    return taken * 1000 / 65536 if taken < 0x8000_0000 else None
