"""Server-sent events from bytes in any pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.openai.sse import MAX_EVENT, EventStream
from agent.exceptions import EngineError


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(
    events=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1), max_size=6),
    newlines=st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=1, max_size=6),
    places=st.lists(st.integers(0, 10_000), max_size=40),
)
def test_where_the_bytes_are_cut_does_not_matter(events: list[str], newlines: list[str], places: list[int]) -> None:
    ends = [newlines[number % len(newlines)] for number in range(len(events))]
    data = "".join(f": ping{end}event: x{end}data: {event}{end}{end}" for event, end in zip(events, ends, strict=True))
    stream = EventStream()
    got = [event for piece in cut(data.encode(), places) for event in stream.feed(piece)]
    assert got == events


@given(data=st.binary(max_size=200), places=st.lists(st.integers(0, 300), max_size=20))
def test_nonsense_is_read_the_same_in_one_piece_and_in_many(data: bytes, places: list[int]) -> None:
    whole, pieces = EventStream(), EventStream()
    assert whole.feed(data) == [event for piece in cut(data, places) for event in pieces.feed(piece)]


def test_every_byte_alone() -> None:
    stream = EventStream()
    data = 'data: {"a":\r\ndata:  "é…"}\r\n\r\nid: 7\rdata:x\r\rdata\n\n'.encode()
    got = [event for number in range(len(data)) for event in stream.feed(data[number : number + 1])]
    assert got == ['{"a":\n "é…"}', "x"]


def test_an_event_is_given_as_soon_as_its_last_byte_is_there() -> None:
    stream = EventStream()
    assert stream.feed(b"data: a\n") == []
    assert stream.feed(b"\ndata: b") == ["a"]
    assert stream.feed(b"\r\n\r") == ["b"]


@pytest.mark.parametrize("piece", [b"x" * 60_000, b"data: " + b"x" * 60_000 + b"\n"])
def test_an_endless_event_is_an_error(piece: bytes) -> None:
    stream = EventStream()
    with pytest.raises(EngineError, match=str(MAX_EVENT)):
        for _ in range(20):
            stream.feed(piece)
