"""RTCP: what is built is the standard's bytes and parses to the same; round trips; nothing bad gets through."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.rtp.rtcp import Block, Goodbye, Item, Name, RtcpReport, build, middle, ntp, parse, round_trip_ms

WORD = st.integers(0, 0xFFFFFFFF)
BLOCKS = st.lists(
    st.builds(
        Block,
        ssrc=WORD,
        fraction_lost=st.integers(0, 255),
        lost=st.integers(-0x800000, 0x7FFFFF),
        highest=WORD,
        jitter=WORD,
        last_sr=WORD,
        delay=WORD,
    ),
    max_size=31,
).map(tuple)
REPORTS = st.builds(RtcpReport, ssrc=WORD, blocks=BLOCKS) | st.builds(
    RtcpReport, ssrc=WORD, blocks=BLOCKS, ntp=st.integers(0, 2**64 - 1), timestamp=WORD, packets=WORD, octets=WORD
)
ITEMS = (
    REPORTS
    | st.builds(Name, ssrc=WORD, cname=st.text("abc@.-é", max_size=60))
    | st.builds(Goodbye, ssrcs=st.lists(WORD, max_size=5).map(tuple), reason=st.text("bye é", max_size=30))
)


@given(st.lists(ITEMS, min_size=1, max_size=4))
def test_what_is_built_parses_to_the_same(items: list[Item]) -> None:
    data = build(*items)
    assert len(data) % 4 == 0
    if 8 <= len(data) <= 1500:
        assert parse(data) == items


def test_the_bytes_are_those_of_the_standard() -> None:
    block = Block(ssrc=2, fraction_lost=64, lost=-1, highest=0x10005, jitter=80, last_sr=0x11112222, delay=65536)
    data = build(RtcpReport(1, (block,), ntp=0xAAAABBBBCCCCDDDD, timestamp=160, packets=3, octets=480), Name(1, "ab"))
    assert data.hex() == (
        "81c8000c" "00000001" "aaaabbbbccccdddd" "000000a0" "00000003" "000001e0"
        "00000002" "40ffffff" "00010005" "00000050" "11112222" "00010000"
        "81ca0003" "00000001" "01026162" "00000000"
    )  # fmt: skip


def test_the_round_trip_of_the_standards_own_example() -> None:
    """RFC 3550, figure 2: A = 0xb710:8000 (46864.500 s), DLSR 0x0005:4000, LSR 0xb705:2000 give 6.125 s."""
    block = Block(1, 0, 0, 0, 0, last_sr=0xB7052000, delay=0x00054000)
    assert round_trip_ms(block, 46864.500 * 1000) == pytest.approx(6125.0, abs=0.1)
    assert middle(ntp(46864.500 * 1000)) == 0xB7108000


def test_no_round_trip_without_a_report_of_ours_or_against_the_clock() -> None:
    assert round_trip_ms(Block(1, 0, 0, 0, 0), 1000) is None
    assert round_trip_ms(Block(1, 0, 0, 0, 0, last_sr=middle(ntp(5000))), 4000) is None


def test_unknown_kinds_and_padding_are_passed_over() -> None:
    application = b"\x80\xcc\0\2" + b"\0\0\0\1name"
    extended = b"\x80\xcf\0\1\0\0\0\1"
    padded_bye = b"\xa1\xcb\0\2\0\0\0\x09\0\0\0\4"
    assert parse(build(RtcpReport(1)) + application + extended + padded_bye) == [RtcpReport(1), Goodbye((9,))]


def test_other_items_of_a_source_are_passed_over() -> None:
    items = b"\2\3Ann" + b"\1\2me" + b"\0\0\0"
    data = b"\x81\xca" + (1 + len(items) // 4).to_bytes(2) + b"\0\0\0\5" + items
    assert parse(data) == [Name(5, "me")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\xc9\0\0",
        b"\x80\xc9\0\1\0\0\0",
        b"\x40\xc9\0\1\0\0\0\1",
        b"\x80\xc9\0\7\0\0\0\1",  # longer than the datagram
        b"\x81\xc9\0\1\0\0\0\1",  # a block that is not there
        b"\x80\xc8\0\1\0\0\0\1",  # a sender report without its sender's part
        b"\x82\xcb\0\1\0\0\0\1",
        b"\x82\xca\0\1\0\0\0\1",
        b"\x81\xca\0\2\0\0\0\1\1\x09ab",
        b"\xa0\xc9\0\1\0\0\0\0",
        b"\xa0\xc9\0\1\0\0\0\x08",
        b"\x80\xc9\0\0" * 33,
    ],
)
def test_what_is_no_rtcp_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="RTCP"):
        parse(data)


@given(st.binary(max_size=120), st.sampled_from([200, 201, 202, 203, 204]), st.integers(0, 63))
def test_any_bytes_parse_or_raise_value_error(body: bytes, kind: int, flags: int) -> None:
    body = body[: len(body) // 4 * 4]
    packet = bytes([0x80 | flags, kind]) + (len(body) // 4).to_bytes(2) + body
    for data in (body, packet, packet + body):
        with contextlib.suppress(ValueError):
            assert len(parse(data)) <= len(data)
