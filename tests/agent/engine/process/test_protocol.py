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
from agent.engine.process import protocol
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
    protocol.Start("module.build", b"\x80pickled", logging.DEBUG, log_text=True),
    protocol.Reply(1, REQUEST),
    protocol.Reply(2, ReplyRequest("r", "c", "a", Cue.GREET)),
    protocol.Speak(3, SpeakRequest("r.0", "Grüezi.", "af_heart", 1.2, "de")),
    protocol.Hear(4, SpeechBlock("c/u1", "c", "a", b"\0\1" * 800, Expect.DIGITS, over=True)),
    protocol.Hear(5, SpeechBlock("c/u1", "c", "a", b"\0\1" * 800, wide=b"\0\1" * 1600)),
    protocol.Finish(2**40, "c/u1"),
    protocol.Cancel("recognizer", "c/u1"),
    protocol.Stop(4),
    protocol.Ack(3, 16),
    protocol.Ping(),
]
FROM_WORKER = [
    protocol.Ready(recognizer=True, transcribes_in_background=False),
    protocol.Refused("no weights"),
    protocol.Said(1, Text("Well, ")),
    protocol.Said(1, ToolCall("book", {"day": "monday", "list": [{"a": 1}]})),
    protocol.Said(1, Incomplete()),
    protocol.Said(1, Backchannel()),
    protocol.Said(1, Done({"n": 1}, Expect.YES_NO, Next.TRANSFER, "desk", interruptible=False)),
    protocol.Recognized(4, Transcript("no", final=True, meaning=Meaning.TURN, complete=False)),
    protocol.Ended(1),
    protocol.Failed(2, "lost"),
    protocol.Pong(),
]


def both_ways(frame: Any, kinds: Any) -> Any:
    [came] = protocol.Frames(kinds).feed(bytes(protocol.encode(frame)))
    return came


@pytest.mark.parametrize("frame", TO_WORKER, ids=repr)
def test_frames_to_the_worker(frame: Any) -> None:
    assert both_ways(frame, protocol.ToWorker) == frame


@pytest.mark.parametrize("frame", FROM_WORKER, ids=repr)
def test_frames_from_the_worker(frame: Any) -> None:
    assert both_ways(frame, protocol.FromWorker) == frame


@pytest.mark.parametrize("length", [0, 1, 24_000])
def test_audio_is_the_same_to_the_bit(length: int) -> None:
    audio = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    speech = both_ways(protocol.Spoken(5, Speech(audio, 24_000, (Word("hi", 0, 12.25),))), protocol.FromWorker).item
    assert speech.audio.dtype == np.float32
    assert speech.audio.tobytes() == audio.tobytes()
    assert (speech.rate, speech.words) == (24_000, (Word("hi", 0, 12.25),))


def test_what_comes_out_of_numpy_travels_too() -> None:
    """Strided audio in double precision, and NumPy's own numbers."""
    word = Word("hi", np.float32(1.5), np.int64(20))  # type: ignore[arg-type]
    doubles: Any = np.arange(10.0)[::2]
    speech = both_ways(protocol.Spoken(5, Speech(doubles, np.int32(8000), (word,))), protocol.FromWorker).item  # type: ignore[arg-type]
    assert speech.audio.tolist() == [0, 2, 4, 6, 8]
    assert speech.audio.dtype == np.float32
    assert (speech.rate, speech.words) == (8000, (Word("hi", 1.5, 20),))


@given(
    st.lists(st.sampled_from(FROM_WORKER), max_size=12),
    st.lists(st.integers(min_value=0, max_value=2000), max_size=40),
)
def test_any_cut_of_the_bytes_gives_the_same_frames(frames: list[Any], cuts: list[int]) -> None:
    data = b"".join(map(bytes, map(protocol.encode, frames)))
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    reader = protocol.Frames(protocol.FromWorker)
    came = [frame for begin, end in itertools.pairwise(edges) for frame in reader.feed(data[begin:end])]
    assert came == frames


def test_a_frame_comes_with_its_last_byte() -> None:
    reader = protocol.Frames(protocol.FromWorker)
    *most, last = bytes(protocol.encode(protocol.Ended(1)))
    assert [reader.feed(bytes([byte])) for byte in most] == [[]] * len(most)
    assert reader.feed(bytes([last])) == [protocol.Ended(1)]


def test_a_frame_that_is_too_large_is_refused_on_both_ends() -> None:
    with pytest.raises(EngineError, match=r"Said of \d+ bytes: at most 16777216"):
        protocol.encode(protocol.Said(1, Text("x" * protocol.MAX_FRAME)))
    fits = protocol.encode(protocol.Said(1, Text("x" * (protocol.MAX_FRAME - 100))))
    assert len(fits) < protocol.MAX_FRAME
    with pytest.raises(EngineError, match="a frame of 16777217 bytes"):
        protocol.Frames(protocol.FromWorker).feed((protocol.MAX_FRAME + 1).to_bytes(4, "big"))


def circle() -> dict[str, Any]:
    state: dict[str, Any] = {}
    state["again"] = state
    return state


@pytest.mark.parametrize(
    "state", [{"a": object()}, {"a": 2**70}, {"a": "\ud800"}, circle()], ids=["object", "number", "surrogate", "circle"]
)
def test_what_cannot_travel_is_an_error_with_its_reason(state: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="Said cannot be sent to another process"):
        protocol.encode(protocol.Said(1, Done(state)))


def test_frames_of_another_version_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    reader = protocol.Frames(protocol.FromWorker)
    newer = protocol.encode(protocol.Said(1, Text("a"))).replace(b"Said", b"Sung")
    assert reader.feed(bytes(newer + protocol.encode(protocol.Ended(1)))) == [protocol.Ended(1)]
    assert "Sung" in caplog.text


def test_garbage_is_an_error() -> None:
    with pytest.raises(EngineError, match="no MessagePack"):
        protocol.Frames(protocol.FromWorker).feed(b"\0\0\0\2\xc1\xc1")


class End:
    """One end of a pair of sockets."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[Any] = asyncio.Queue()
        self.lost = asyncio.Event()
        self.channel = protocol.Channel(protocol.FromWorker, self.frames.put_nowait, self.lost.set)

    async def connect(self, end: socket.socket) -> None:
        await asyncio.get_running_loop().create_unix_connection(lambda: self.channel, sock=end)


async def test_a_channel_waits_while_the_other_end_does_not_read() -> None:
    ours, theirs = socket.socketpair()
    end = End()
    await end.connect(ours)
    assert end.channel.waiting == 0
    while end.channel.waiting < 200_000:  # until the socket is full, and more than it may be
        end.channel.send(protocol.Said(1, Text("x" * 100_000)))
    end.channel.send(protocol.Said(2, Text("last")))
    drained = asyncio.create_task(end.channel.drain())
    await asyncio.sleep(0)
    assert not drained.done()
    other = End()
    await other.connect(theirs)
    async with asyncio.timeout(30):
        await drained
        while await other.frames.get() != protocol.Said(2, Text("last")):
            pass
    end.channel.close()
    async with asyncio.timeout(30):
        await asyncio.gather(end.lost.wait(), other.lost.wait())
    end.channel.send(protocol.Said(3, Text("into the void")))
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
