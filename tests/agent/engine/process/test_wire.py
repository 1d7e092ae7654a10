"""Frames: what goes in comes out, however the bytes are cut; what cannot travel is refused with a reason."""

import asyncio
import itertools
import logging
import socket
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import (
    Backchannel,
    Cue,
    Done,
    Expect,
    Incomplete,
    Meaning,
    Next,
    ReplyRequest,
    SpeakRequest,
    Speech,
    SpeechBlock,
    Text,
    ToolCall,
    ToolResult,
    Transcript,
    Turn,
    Word,
)
from agent.engine.process import wire
from agent.exceptions import EngineError

REQUEST = ReplyRequest(
    "CA1.3",
    "CA1",
    "front_desk",
    Cue.TOOL,
    "at ten",
    bytes(range(256)),
    "12#",
    (Turn("agent", "Hello …", interrupted=True), Turn("caller", "hi")),
    {"slots": {"day": None, "numbers": [1, 2.5]}},
    (ToolResult("book", {"day": "monday"}, {"id": 7}), ToolResult("book", {}, error="full")),
    early=True,
    wide=bytes(range(256)) * 2,
)
TO_WORKER = [
    wire.Start("module.build", b"\x80pickled", logging.DEBUG, log_text=True),
    wire.Reply(1, REQUEST),
    wire.Reply(2, ReplyRequest("r", "c", "a", Cue.GREET)),
    wire.Speak(3, SpeakRequest("r.0", "Grüezi.", "af_heart", 1.2, "de")),
    wire.Hear(4, SpeechBlock("c/u1", "c", "a", b"\0\1" * 800, Expect.DIGITS, over=True)),
    wire.Hear(5, SpeechBlock("c/u1", "c", "a", b"\0\1" * 800, wide=b"\0\1" * 1600)),
    wire.Finish(2**40, "c/u1"),
    wire.Cancel("recognizer", "c/u1"),
    wire.Stop(4),
    wire.Ack(3, 16),
    wire.Ping(),
]
FROM_WORKER = [
    wire.Ready(recognizer=True, transcribes_in_background=False),
    wire.Refused("no weights"),
    wire.Said(1, Text("Well, ")),
    wire.Said(1, ToolCall("book", {"day": "monday", "list": [{"a": 1}]})),
    wire.Said(1, Incomplete()),
    wire.Said(1, Backchannel()),
    wire.Said(1, Done({"n": 1}, Expect.YES_NO, Next.TRANSFER, "desk", interruptible=False)),
    wire.Recognized(4, Transcript("no", final=True, meaning=Meaning.TURN, complete=False)),
    wire.Ended(1),
    wire.Failed(2, "lost"),
    wire.Pong(),
]


def both_ways(frame: Any, kinds: Any) -> Any:
    [came] = wire.Frames(kinds).feed(bytes(wire.encode(frame)))
    return came


@pytest.mark.parametrize("frame", TO_WORKER, ids=repr)
def test_frames_to_the_worker(frame: Any) -> None:
    assert both_ways(frame, wire.ToWorker) == frame


@pytest.mark.parametrize("frame", FROM_WORKER, ids=repr)
def test_frames_from_the_worker(frame: Any) -> None:
    assert both_ways(frame, wire.FromWorker) == frame


@pytest.mark.parametrize("length", [0, 1, 24_000])
def test_audio_is_the_same_to_the_bit(length: int) -> None:
    audio = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    speech = both_ways(wire.Spoken(5, Speech(audio, 24_000, (Word("hi", 0, 12.25),))), wire.FromWorker).item
    assert speech.audio.dtype == np.float32
    assert speech.audio.tobytes() == audio.tobytes()
    assert (speech.rate, speech.words) == (24_000, (Word("hi", 0, 12.25),))


def test_what_comes_out_of_numpy_travels_too() -> None:
    """Strided audio in double precision, and NumPy's own numbers."""
    word = Word("hi", np.float32(1.5), np.int64(20))  # type: ignore[arg-type]
    doubles: Any = np.arange(10.0)[::2]
    speech = both_ways(wire.Spoken(5, Speech(doubles, np.int32(8000), (word,))), wire.FromWorker).item  # type: ignore[arg-type]
    assert speech.audio.tolist() == [0, 2, 4, 6, 8]
    assert speech.audio.dtype == np.float32
    assert (speech.rate, speech.words) == (8000, (Word("hi", 1.5, 20),))


@given(
    st.lists(st.sampled_from(FROM_WORKER), max_size=12),
    st.lists(st.integers(min_value=0, max_value=2000), max_size=40),
)
def test_any_cut_of_the_bytes_gives_the_same_frames(frames: list[Any], cuts: list[int]) -> None:
    data = b"".join(map(bytes, map(wire.encode, frames)))
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    reader = wire.Frames(wire.FromWorker)
    came = [frame for begin, end in itertools.pairwise(edges) for frame in reader.feed(data[begin:end])]
    assert came == frames


def test_a_frame_comes_with_its_last_byte() -> None:
    reader = wire.Frames(wire.FromWorker)
    *most, last = bytes(wire.encode(wire.Ended(1)))
    assert [reader.feed(bytes([byte])) for byte in most] == [[]] * len(most)
    assert reader.feed(bytes([last])) == [wire.Ended(1)]


def test_a_frame_that_is_too_large_is_refused_on_both_ends() -> None:
    with pytest.raises(EngineError, match=r"Said of \d+ bytes: at most 16777216"):
        wire.encode(wire.Said(1, Text("x" * wire.MAX_FRAME)))
    fits = wire.encode(wire.Said(1, Text("x" * (wire.MAX_FRAME - 100))))
    assert len(fits) < wire.MAX_FRAME
    with pytest.raises(EngineError, match="a frame of 16777217 bytes"):
        wire.Frames(wire.FromWorker).feed((wire.MAX_FRAME + 1).to_bytes(4, "big"))


def circle() -> dict[str, Any]:
    state: dict[str, Any] = {}
    state["again"] = state
    return state


@pytest.mark.parametrize(
    "state", [{"a": object()}, {"a": 2**70}, {"a": "\ud800"}, circle()], ids=["object", "number", "surrogate", "circle"]
)
def test_what_cannot_travel_is_an_error_with_its_reason(state: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="Said cannot be sent to another process"):
        wire.encode(wire.Said(1, Done(state)))


def test_frames_of_another_version_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    reader = wire.Frames(wire.FromWorker)
    newer = wire.encode(wire.Said(1, Text("a"))).replace(b"Said", b"Sung")
    assert reader.feed(bytes(newer + wire.encode(wire.Ended(1)))) == [wire.Ended(1)]
    assert "Sung" in caplog.text


def test_garbage_is_an_error() -> None:
    with pytest.raises(EngineError, match="no MessagePack"):
        wire.Frames(wire.FromWorker).feed(b"\0\0\0\2\xc1\xc1")


class End:
    """One end of a pair of sockets."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[Any] = asyncio.Queue()
        self.lost = asyncio.Event()
        self.channel = wire.Channel(wire.FromWorker, self.frames.put_nowait, self.lost.set)

    async def connect(self, end: socket.socket) -> None:
        await asyncio.get_running_loop().create_unix_connection(lambda: self.channel, sock=end)


async def test_a_channel_waits_while_the_other_end_does_not_read() -> None:
    ours, theirs = socket.socketpair()
    end = End()
    await end.connect(ours)
    assert end.channel.waiting == 0
    while end.channel.waiting < 200_000:  # until the socket is full, and more than it may be
        end.channel.send(wire.Said(1, Text("x" * 100_000)))
    end.channel.send(wire.Said(2, Text("last")))
    drained = asyncio.create_task(end.channel.drain())
    await asyncio.sleep(0)
    assert not drained.done()
    other = End()
    await other.connect(theirs)
    async with asyncio.timeout(30):
        await drained
        while await other.frames.get() != wire.Said(2, Text("last")):
            pass
    end.channel.close()
    async with asyncio.timeout(30):
        await asyncio.gather(end.lost.wait(), other.lost.wait())
    end.channel.send(wire.Said(3, Text("into the void")))
    await end.channel.drain()


async def test_garbage_drops_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = socket.socketpair()
    end = End()
    await end.connect(ours)
    with theirs:
        theirs.sendall(b"\xff\xff\xff\xff")
        async with asyncio.timeout(30):
            await end.lost.wait()
    assert "a frame of 4294967295 bytes" in caplog.text
