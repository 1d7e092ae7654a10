"""The protocol between the server and the models' process: frames over one Unix socket.

A frame is its length (4 bytes, big-endian) and a MessagePack array that begins with its name. Requests and events
travel as they stand in `base`, audio as raw float32. `encode` and `Frames` do no I/O; `Channel` is the socket.

Towards the worker: Start once, then requests (Reply, Speak, Hear, Finish, Learn) under ids of the connection's own,
Cancel by the id of a request or an utterance, Forget, Stop and Ack for a stream, and Ping. Back come Ready or Refused
once, then items (Said, Spoken, Recognized), each stream's last word (Ended or Failed), and Pong. A stream has at most
WINDOW items on the way that are not acknowledged, so whoever reads slowly holds up that one stream and fills nobody's
memory.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Literal, cast

import msgspec
import numpy as np

from agent.engine.base import ModelEvent, ReplyRequest, SpeakRequest, Speech, SpeechBlock, Transcript
from agent.exceptions import EngineError

MAX_FRAME = 1 << 24  # bytes; the longest utterance has one and a half million, a minute of speech at 24 kHz six million
WINDOW = 32  # items of one stream that the other side has not taken yet
DEVICE_LOST = 70  # status of a worker that has ended because its GPU is lost to it
_HEAD = 4  # bytes

Part = Literal["model", "synthesizer", "recognizer"]

logger = logging.getLogger("voxline.engine.wire")


class _Frame(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Start(_Frame, frozen=True):
    """Build the engine and load it."""

    factory: str  # module.function: (EngineSettings, agents) -> Engine
    settings: bytes  # both pickled: phrases have no other form, and JSON would mask the secrets
    log_level: int
    log_text: bool  # else JSON lines


class Reply(_Frame, frozen=True):
    """SpeechModel.reply."""

    id: int
    request: ReplyRequest


class Speak(_Frame, frozen=True):
    """Synthesizer.speak."""

    id: int
    request: SpeakRequest


class Hear(_Frame, frozen=True):
    """Recognizer.hear: a stream of one item."""

    id: int
    block: SpeechBlock


class Finish(_Frame, frozen=True):
    """Recognizer.finish: a stream of one item."""

    id: int
    utterance: str


class Learn(_Frame, frozen=True):
    """Engine.learn: a stream of no items."""

    id: int
    agents: bytes  # pickled


class Forget(_Frame, frozen=True):
    """Engine.forget."""

    agents: list[str]


class Cancel(_Frame, frozen=True):
    """`cancel` of a part."""

    part: Part
    name: str  # of a request or an utterance


class Stop(_Frame, frozen=True):
    """Nobody reads this stream any more."""

    id: int


class Ack(_Frame, frozen=True):
    """So many more items of the stream have been taken."""

    id: int
    count: int


class Ping(_Frame, frozen=True):
    """Is your event loop alive?"""


class Ready(_Frame, frozen=True):
    """Everything is loaded."""

    recognizer: bool  # whether there is one
    transcribes_in_background: bool  # see Engine


class Refused(_Frame, frozen=True):
    """It cannot be loaded."""

    message: str


class Said(_Frame, frozen=True):
    """An item of Reply."""

    id: int
    item: ModelEvent


class Spoken(_Frame, frozen=True):
    """An item of Speak."""

    id: int
    item: Speech


class Recognized(_Frame, frozen=True):
    """The item of Hear or Finish."""

    id: int
    item: Transcript


class Ended(_Frame, frozen=True):
    """The stream is over."""

    id: int


class Failed(_Frame, frozen=True):
    """The stream ended in an error."""

    id: int
    message: str


class Pong(_Frame, frozen=True):
    """It is."""


Request = Reply | Speak | Hear | Finish | Learn
ToWorker = Start | Request | Forget | Cancel | Stop | Ack | Ping
FromWorker = Ready | Refused | Said | Spoken | Recognized | Ended | Failed | Pong
Frame = ToWorker | FromWorker


def encode(frame: Frame) -> bytearray:
    """A frame as bytes, its length first; EngineError when something in it cannot travel, or it is too large."""
    data = bytearray(_HEAD)
    try:
        _encoder.encode_into(frame, data, _HEAD)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        name = type(frame).__name__
        raise EngineError(f"{name} cannot be sent to another process, only plain data can: {error}") from error
    size = len(data) - _HEAD
    if size > MAX_FRAME:
        raise EngineError(f"{type(frame).__name__} of {size} bytes: at most {MAX_FRAME} go between processes")
    data[:_HEAD] = size.to_bytes(_HEAD, "big")
    return data


class Frames:
    """Bytes into frames of these kinds. What it holds is bounded by one frame."""

    def __init__(self, kinds: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(kinds, dec_hook=_from_plain)
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """The frames that are whole now. Kinds that are not known are left out; EngineError for anything else."""
        self._data += data
        frames: list[Any] = []
        at = 0
        while len(self._data) - at >= _HEAD:
            begin = at + _HEAD
            end = begin + int.from_bytes(self._data[at:begin], "big")
            if end - begin > MAX_FRAME:
                raise EngineError(f"a frame of {end - begin} bytes: at most {MAX_FRAME} are allowed")
            if end > len(self._data):
                break
            frames += self._decode(bytes(memoryview(self._data)[begin:end]))
            at = end
        del self._data[:at]
        return frames

    def _decode(self, data: bytes) -> list[Any]:
        try:
            return [self._decoder.decode(data)]
        except msgspec.ValidationError as error:  # of another version, after an update under a running server
            logger.warning("a frame that is not known here is ignored: %s", error)
            return []
        except msgspec.DecodeError as error:
            raise EngineError(f"a frame that is no MessagePack: {error}") from error


class Channel(asyncio.Protocol):
    """One end of the socket. `on_frame` is called with every frame, `on_lost` once when the other end is gone."""

    def __init__(self, kinds: Any, on_frame: Callable[[Any], None], on_lost: Callable[[], None]) -> None:
        self._frames = Frames(kinds)
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._room = asyncio.Event()  # set while the socket takes more
        self._room.set()
        self._transport: asyncio.Transport | None = None

    @property
    def waiting(self) -> int:
        """Bytes that the other end has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def send(self, frame: Frame) -> None:
        """Send at once, or keep it for when there is room; nothing when the other end is gone. See `encode`."""
        data = encode(frame)
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the socket takes more."""
        await self._room.wait()

    def close(self) -> None:
        """Drop the connection; what has not been sent is lost."""
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        try:
            for frame in self._frames.feed(data):
                self._on_frame(frame)
        except EngineError as error:
            logger.error("the connection is dropped: %s", error)
            self.close()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._room.clear()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._room.set()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """See asyncio.Protocol."""
        self._room.set()
        self._on_lost()


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value, np.float32).data
    if isinstance(value, np.generic):  # a number that came out of NumPy
        return value.item()
    raise TypeError(f"{type(value).__name__} is none")


def _from_plain(_: Any, value: Any) -> Any:
    return np.frombuffer(value, np.float32)


_encoder = msgspec.msgpack.Encoder(enc_hook=_to_plain)
