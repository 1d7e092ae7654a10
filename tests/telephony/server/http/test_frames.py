"""Whole frames out of any pieces of a stream, as the library would read them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from telephony.server.http.frames import TEXT, Frames, text, text_frame

MAX_BYTES = 70_000

payloads = st.one_of(
    st.binary(max_size=200), st.integers(126, MAX_BYTES).map(lambda size: b"x" * size), st.just(b"x" * 125)
)
frames = st.builds(
    lambda opcode, data, fin: Frame(
        opcode, data[:125] if opcode >= Opcode.CLOSE else data, fin or opcode >= Opcode.CLOSE
    ),
    st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.CLOSE]),
    payloads,
    st.booleans(),
).map(lambda frame: frame.serialize(mask=True))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in pairwise(places)]


@given(st.lists(frames, max_size=6), st.lists(st.integers(0, 10**6), max_size=12))
def test_frames_come_out_whole_however_they_come_in(sent: list[bytes], cuts: list[int]) -> None:
    incoming = Frames(MAX_BYTES)
    received = [frame for piece in pieces(b"".join(sent), cuts) for frame, _ in incoming.feed(piece)]
    assert received == sent


@given(st.text(max_size=300))
def test_text_is_what_was_sent(message: str) -> None:
    frame = Frame(Opcode.TEXT, message.encode()).serialize(mask=True)
    ((whole, payload),) = Frames(MAX_BYTES).feed(frame)
    assert whole[0] == TEXT
    assert text(whole, payload) == message


def test_text_that_is_not_utf8_is_told() -> None:
    with pytest.raises(UnicodeDecodeError):
        text(Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=True), 6)


@pytest.mark.parametrize("cut", range(1, 16))
def test_long_header_in_two_pieces(cut: int) -> None:
    whole = Frame(Opcode.TEXT, b"y" * 66_000).serialize(mask=True)
    incoming = Frames(MAX_BYTES)
    assert incoming.feed(whole[:cut]) == []
    assert incoming.feed(whole[cut:]) == [(whole, 14)]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(Frame(Opcode.TEXT, b"hello").serialize(mask=False), id="not masked"),
        pytest.param(Frame(Opcode.TEXT, b"x" * (MAX_BYTES + 1)).serialize(mask=True)[:12], id="too long"),
        pytest.param(b"\x81\xff" + b"\xff" * 8, id="longer than anything"),
    ],
)
def test_what_will_be_refused_is_not_waited_for(bad: bytes) -> None:
    good = Frame(Opcode.PING, b"").serialize(mask=True)
    incoming = Frames(MAX_BYTES)
    assert incoming.feed(good + bad) == [(good, 6), (bad, 0)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_what_is_sent_is_what_the_library_would_send(size: int) -> None:
    message = "z" * (size - 2) + "é" if size > 1 else "z" * size
    assert text_frame(message) == Frame(Opcode.TEXT, message.encode()).serialize(mask=False)
