"""What goes over a browser's WebSocket, and what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.browser import messages
from telephony.lines.browser.messages import Block, Frame, Heard, Key, Start, Stopped, pack, parse, text, unpack
from telephony.lines.exceptions import ProtocolError

COUNT = st.integers(0, 2**32 - 1)
SHORT = st.integers(0, 2**16 - 1)


@given(st.binary(max_size=4000) | st.text(max_size=5000))
def test_garbage_is_refused_with_a_reason(message: str | bytes) -> None:
    try:
        parse(message)
    except ProtocolError as error:
        assert error.reason
        assert error.code in (1007, 1009)


@given(COUNT.map(lambda n: n // 2 * 2), st.builds(Heard, SHORT, COUNT, COUNT, SHORT), st.integers(1, 800))
def test_audio_arrives_as_it_was_sent(sequence: int, heard: Heard, pairs: int) -> None:
    pcm = bytes(range(4)) * pairs
    assert parse(pack(sequence, pcm, heard)) == Frame(sequence, pcm, heard)


@given(COUNT, SHORT, st.integers(0, 2**20), st.binary(min_size=2, max_size=100).map(lambda b: b[: len(b) // 2 * 2]))
def test_so_does_the_agents(position: int, epoch: int, reply: int, pcm: bytes) -> None:
    assert unpack(Block(position, epoch, reply, pcm).pack()) == Block(position, epoch, reply % 2**16, pcm)


def test_messages_are_told_apart() -> None:
    assert parse(text("key", key="#")) == Key("#")
    assert parse(text("start", token="t")) == Start("t")
    assert parse('{"type":"stopped","epoch":1,"heard":2,"fade":3}') == Stopped(1, 2, 3)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "dance"},
        {"type": "start"},
        {"type": "start", "token": ""},
        {"type": "start", "token": "t", "agent": "x"},
        {"type": "key", "key": "E"},
        {"type": "key", "key": "12"},
        {"type": "stopped", "epoch": -1, "heard": 0, "fade": 0},
        {"type": "stopped", "epoch": 0, "heard": 2**32, "fade": 0},
        {"type": "resume", "call": "a"},
        [],
        None,
    ],
)
def test_malformed_messages_say_what_is_wrong(message: object) -> None:
    with pytest.raises(ProtocolError, match="no message of a page"):
        parse(json.dumps(message))


@pytest.mark.parametrize("size", [0, 15, 16, 18, 17, 21, 16 + 3204])
def test_audio_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError, match="an even number of samples"):
        parse(bytes(size))


def test_audio_begins_at_an_even_sample() -> None:
    with pytest.raises(ProtocolError, match="odd"):
        parse(pack(1, bytes(4), Heard(0, 0, 0, 0)))


def test_a_long_text_is_too_big() -> None:
    with pytest.raises(ProtocolError) as refused:
        parse(" " * (messages.MAX_TEXT + 1))
    assert refused.value.code == 1009
