"""RTP packets: every field both ways, and nothing that is none gets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.rtp.packet import Packet, encode, is_other, is_rtcp, parse

PAYLOAD = bytes(range(160))


@given(
    st.builds(
        Packet,
        payload_type=st.integers(0, 127),
        sequence=st.integers(0, 0xFFFF),
        timestamp=st.integers(0, 0xFFFFFFFF),
        ssrc=st.integers(0, 0xFFFFFFFF),
        payload=st.binary(max_size=480),
        marker=st.booleans(),
    )
)
def test_what_is_encoded_parses_to_the_same(packet: Packet) -> None:
    assert parse(encode(packet)) == packet


def test_the_bytes_are_those_of_the_standard() -> None:
    data = encode(Packet(8, 0x1234, 0x89ABCDEF, 0xDEADBEEF, b"\xd5\xd5", marker=True))
    assert data.hex() == "8088123489abcdefdeadbeefd5d5"


def test_csrcs_extension_and_padding_are_passed_over() -> None:
    header = bytes([0x80 | 0x20 | 0x10 | 2, 0]) + bytes([0, 7]) + bytes(4) + bytes([0, 0, 0, 9])
    csrcs, extension, padding = b"\1" * 8, b"\xbe\xde\0\1" + b"\2" * 4, b"\0\0\3"
    packet = parse(header + csrcs + extension + PAYLOAD + padding)
    assert (packet.payload, packet.sequence, packet.ssrc) == (PAYLOAD, 7, 9)


def test_padding_alone_leaves_an_empty_payload() -> None:
    assert parse(b"\xa0\0" + bytes(10) + b"\0\0\0\4").payload == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(11),
        bytes(12),  # version 0: STUN and the like
        b"\xc0" + bytes(11),
        b"\x80" + bytes(2048),
        b"\x81" + bytes(11),  # a CSRC that is not there
        b"\x90" + bytes(11),  # an extension without its length
        b"\x90" + bytes(11) + b"\0\0\0\2" + bytes(4),  # one longer than the packet
        b"\xa0" + bytes(11) + b"\0",  # padding of 0
        b"\xa0" + bytes(11) + b"\2",  # padding that is longer than what there is
        b"\x8f" + bytes(11) + bytes(4 * 14),
    ],
)
def test_what_is_no_rtp_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"RTP|packet"):
        parse(data)


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_raise_value_error(data: bytes) -> None:
    for candidate in (data, b"\x80" + data, b"\xb3" + data):
        try:
            packet = parse(candidate)
        except ValueError:
            continue
        assert len(packet.payload) <= len(candidate) - 12


def test_the_longest_audio_there_is_parses() -> None:
    assert len(parse(b"\x80" + bytes(11) + bytes(1600)).payload) == 1600


@pytest.mark.parametrize(
    ("data", "other"),
    [
        (bytes.fromhex("000100002112a442") + bytes(12), True),  # STUN
        (bytes.fromhex("1000505a") + bytes(24), True),  # ZRTP
        (bytes.fromhex("16fefd0000") + bytes(20), True),  # DTLS
        (bytes.fromhex("40000004") + bytes(4), True),  # TURN's channels
        (b"", True),
        (b"\0", True),
        (b"\r\n", True),
        (b"\r\n\r\n", True),
        (b"\x80\0" + bytes(10), False),
        (b"\x81\xc8", False),
        (b"junk", False),
        (b"\xff" * 20, False),
        (b"\r\n no", False),
    ],
)
def test_other_protocols_on_the_port_are_told_apart(data: bytes, other: bool) -> None:
    assert is_other(data) == other


def test_rtcp_is_told_apart() -> None:
    assert is_rtcp(b"\x80\xc8")
    assert is_rtcp(b"\x81\xcb")
    assert not is_rtcp(b"\x80\x80")  # PCMU with its marker
    assert not is_rtcp(b"\x80\xe5")  # payload type 101 with its marker
    assert not is_rtcp(b"\x80")
