"""One RTP packet (RFC 3550, 5.1): bytes to fields and back."""

from struct import Struct

import msgspec

MAX_BYTES = 2048  # more than 200 ms of G.711, encrypted
HEADER = Struct("!BBHII")
VERSION = 0x80
PADDING, EXTENSION, CSRC_COUNT = 0x20, 0x10, 0x0F
MARKER = 0x80
KEEP_ALIVES = (b"\r\n", b"\r\n\r\n")


class Packet(msgspec.Struct, gc=False):
    """An RTP packet without its CSRCs, extension and padding. Timestamps count samples."""

    payload_type: int  # 0-127
    sequence: int  # 16 bits
    timestamp: int  # 32 bits
    ssrc: int  # 32 bits
    payload: bytes
    marker: bool = False


def is_other(data: bytes) -> bool:
    """Whether a datagram is neither RTP nor RTCP, and not damaged either: STUN, ZRTP, DTLS or TURN, recognized by the
    first byte (RFC 7983), or a keep-alive, which may be empty or an empty line (RFC 6263)."""
    return not data or data[0] < 4 or 16 <= data[0] < 80 or data in KEEP_ALIVES


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram on a port shared by both is RTCP (RFC 5761, 4)."""
    return len(data) >= 2 and 192 <= data[1] <= 223


def parse(data: bytes) -> Packet:
    """Read one datagram. Raises ValueError if it is not RTP."""
    length = len(data)
    if not HEADER.size <= length <= MAX_BYTES:
        raise ValueError(f"{length} bytes are no RTP packet")
    flags, kind, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    if flags & 0xC0 != VERSION:
        raise ValueError(f"RTP version is {flags >> 6}, not 2")
    start, end = HEADER.size, length
    if flags != VERSION:
        start += 4 * (flags & CSRC_COUNT)
        if flags & EXTENSION:
            start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
        if flags & PADDING:
            if data[-1] == 0:
                raise ValueError("RTP padding of 0 bytes")
            end -= data[-1]
        if start > end:
            raise ValueError("RTP header and padding are longer than the packet")
    return Packet(kind & 0x7F, sequence, timestamp, ssrc, data[start:end], kind >= MARKER)


def encode(packet: Packet) -> bytes:
    """The packet as a datagram."""
    kind = packet.payload_type | (MARKER if packet.marker else 0)
    return HEADER.pack(VERSION, kind, packet.sequence, packet.timestamp, packet.ssrc) + packet.payload
