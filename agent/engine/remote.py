"""The models in a process of their own, behind the same three protocols.

Models take the interpreter for milliseconds at a time, and the audio of hundreds of calls cannot wait for that. So
`in_process` gives an Engine whose parts hand every request to one child process (`agent.engine.worker`). It is started
by the first `load` and is started again, after a while, whenever it dies or hangs. A request that was on its way then
raises EngineError at once, and so do new ones until the child is ready again.
"""

import asyncio
import itertools
import logging
import pickle
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from agent.engine import wire
from agent.engine.base import Engine, ModelEvent, ReplyRequest, SpeakRequest, Speech, SpeechBlock, Transcript
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.logging import TextFormatter
from config.settings import EngineSettings

BUILD = "agent.engine.profiles.build_models"
MAX_WAITING = 1 << 26  # bytes that the child has not read yet; beyond it requests are refused
STATUS_S = 0.5  # after the connection's end until the child's exit status is there
KILLED_S = 10  # until a killed process is gone

T = TypeVar("T")

logger = logging.getLogger("voxline.engine.remote")


class Limits(msgspec.Struct, frozen=True):
    """How long the child may take for what, and when it is started again."""

    ping_s: float = 1.0  # between two pings
    silent: int = 15  # pings without an answer after which it counts as hung
    silent_loading: int = 120  # the same while it loads: imports and CUDA may keep the interpreter for themselves
    back_off_s: float = 0.5  # before it is started again; doubled each time
    longest_back_off_s: float = 30.0
    proven_s: float = 60.0  # ready for so long: the next back-off is the first again
    close_s: float = 8.0  # to give everything back; then it is killed


class Shape(msgspec.Struct, frozen=True):
    """Which parts a profile has; see Engine."""

    recognizer: bool
    beside: bool


def shape_of(settings: EngineSettings) -> Shape:
    """What `profiles.build_models` gives for these settings, told without importing any model's packages."""
    match settings.profile:
        case "gpu":
            return Shape(recognizer=settings.voxtral.transcripts != "off", beside=True)
        case "cascade":
            return Shape(recognizer=True, beside=settings.cascade.audio)
        case "openai":
            return Shape(recognizer=True, beside=settings.openai.audio)
        case _:
            raise EngineError(f"the profile {settings.profile!r} has no models")


def in_process(
    settings: EngineSettings, agents: dict[str, AgentSettings], *, factory: str = BUILD, limits: Limits | None = None
) -> Engine:
    """An engine whose parts live in one child process, which builds them with `factory` (module.function, called with
    the settings and the agents, in `shape_of` these settings). Nothing is started before `load`."""
    shape = shape_of(settings)
    process = EngineProcess(factory, pickle.dumps((settings, agents)), shape, limits or Limits())
    recognizer = RemoteRecognizer(process) if shape.recognizer else None
    return Engine(RemoteModel(process), RemoteSynthesizer(process), recognizer, shape.beside)


class Stream:
    """The answer to one request, item by item."""

    def __init__(self, child: "Child", number: int) -> None:
        self._child = child
        self._number = number
        self._items: asyncio.Queue[Any] = asyncio.Queue(wire.WINDOW + 1)  # its last word included
        self._taken = 0  # not acknowledged yet

    def put(self, item: Any) -> None:
        """An item, or the last word: None or an EngineError."""
        self._items.put_nowait(item)

    async def get(self) -> Any:
        """The next item, None at the end; raises EngineError."""
        item = await self._items.get()
        if isinstance(item, EngineError):
            raise item
        self._taken += 1
        if self._taken == wire.WINDOW // 2:
            self._child.acknowledge(self._number, self._taken)
            self._taken = 0
        return item

    def close(self) -> None:
        """Nobody reads it any more."""
        self._child.forget(self._number)


class Child:
    """One life of the child process, from its start to its end."""

    def __init__(self, shape: Shape, limits: Limits) -> None:
        self._shape = shape
        self._limits = limits
        self._channel = wire.Channel(wire.FromWorker, self._receive, self._lost)
        self._process: asyncio.subprocess.Process | None = None
        self._exit: asyncio.Task[int] | None = None
        self._settled = asyncio.Event()  # ready, refused or gone
        self._gone = asyncio.Event()
        self._refusal = ""
        self._answered = False  # the last ping
        self._streams: dict[int, Stream] = {}
        self._numbers = itertools.count(1)

    @property
    def pid(self) -> int | None:
        """Of the process, once it is started."""
        return self._process.pid if self._process else None

    async def load(self, start: wire.Start) -> None:
        """Start the process and wait until it has loaded; raises its EngineError, or tells how it ended."""
        try:
            await self._run()
        except (OSError, RuntimeError) as error:
            raise EngineError(f"the engine's process cannot be started: {error}") from error
        self._channel.send(start)
        await self._watch(self._settled, self._limits.silent_loading)
        if self._refusal:
            raise EngineError(self._refusal)
        if self._gone.is_set():
            raise await self._death()

    async def died(self) -> EngineError:
        """Wait for its death, or for its hanging; tells how it was."""
        try:
            await self._watch(self._gone, self._limits.silent)
        except EngineError as error:
            return error
        return await self._death()

    async def end(self, error: EngineError) -> None:
        """End all streams with this error, and the process in peace or by force; it is gone afterwards."""
        for stream in self._streams.values():
            stream.put(EngineError(str(error)))
        self._streams.clear()
        self._channel.close()  # for the child the sign to end
        if self._process is None or self._exit is None:
            return
        await asyncio.wait([self._exit], timeout=self._limits.close_s + 1)
        if not self._exit.done():
            self._kill()
            await asyncio.wait([self._exit], timeout=KILLED_S)

    def open(self, ask: Callable[[int, T], wire.Request], what: T) -> Stream:
        """Send a request; EngineError when it cannot travel."""
        if self._channel.waiting > MAX_WAITING:
            raise EngineError(f"the engine's process has {MAX_WAITING >> 20} MB of requests waiting: it is too slow")
        number = next(self._numbers)
        self._channel.send(ask(number, what))
        stream = self._streams[number] = Stream(self, number)
        return stream

    def acknowledge(self, number: int, count: int) -> None:
        """Items of a stream have been taken."""
        if number in self._streams:
            self._channel.send(wire.Ack(number, count))

    def forget(self, number: int) -> None:
        """A stream is not read any more; stops it unless it has ended."""
        if self._streams.pop(number, None):
            self._channel.send(wire.Stop(number))

    def cancel(self, part: wire.Part, name: str) -> None:
        """`cancel` of a part."""
        self._channel.send(wire.Cancel(part, name))

    async def _run(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "agent.engine.worker"),
                    *("--fd", str(theirs.fileno()), "--grace", str(self._limits.close_s)),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                )
            self._exit = asyncio.create_task(self._process.wait(), name="engine process")
            self._exit.add_done_callback(lambda _: self._lost())
            await asyncio.get_running_loop().create_unix_connection(lambda: self._channel, sock=ours)
        except BaseException:
            ours.close()
            raise

    def _receive(self, frame: wire.FromWorker) -> None:
        match frame:
            case wire.Said() | wire.Spoken() | wire.Heard():
                if stream := self._streams.get(frame.id):
                    stream.put(frame.item)
            case wire.Ended() | wire.Failed():
                if stream := self._streams.pop(frame.id, None):
                    stream.put(EngineError(frame.message) if isinstance(frame, wire.Failed) else None)
            case wire.Pong():
                self._answered = True
            case wire.Ready():
                if Shape(frame.recognizer, frame.beside) != self._shape:
                    self._refusal = f"the engine's process has built other parts than {self._shape}"
                self._settled.set()
            case wire.Refused():
                self._refusal = frame.message
                self._settled.set()

    def _lost(self) -> None:
        self._gone.set()
        self._settled.set()

    async def _watch(self, end: asyncio.Event, most: int) -> None:
        """Ping it until `end`; one that leaves `most` pings in a row without an answer is killed: EngineError."""
        silent = 0
        while not end.is_set():
            self._answered = False
            self._channel.send(wire.Ping())
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.ping_s):
                    await end.wait()
            silent = 0 if self._answered else silent + 1
            if silent >= most and not end.is_set():
                self._kill()
                raise EngineError(f"the engine's process did not answer for {silent * self._limits.ping_s:g} s")

    async def _death(self) -> EngineError:
        assert self._exit
        await asyncio.wait([self._exit], timeout=STATUS_S)
        status = self._exit.result() if self._exit.done() else None
        if status is None:
            how = "dropped its connection"
        else:
            how = f"died (signal {-status})" if status < 0 else f"died (status {status})"
        return EngineError(f"the engine's process {how}: what it wrote last is in the log; it is started again")

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            if self._process:
                self._process.kill()


class EngineProcess:
    """The child process through all its lives."""

    def __init__(self, factory: str, settings: bytes, shape: Shape, limits: Limits) -> None:
        self._factory = factory
        self._settings = settings
        self._shape = shape
        self._limits = limits
        self._child: Child | None = None  # the one that is ready
        self._settled = asyncio.Event()  # unset while an attempt to load is under way, or due after a death
        self._down = "the engine's process has not been started"  # why there is none
        self._life: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether requests are taken now."""
        return self._child is not None

    async def load(self) -> None:
        """Start it unless that was done, and wait until it is ready; raises EngineError when this attempt fails.

        Further attempts are made in the background until `close`.
        """
        if self._life is None:
            self._settled.clear()
            self._life = asyncio.create_task(self._live(), name="engine process")
        await self._settled.wait()
        self.child()

    async def close(self) -> None:
        """End it; requests on their way raise EngineError."""
        life, self._life = self._life, None
        if life:
            life.cancel()
            await asyncio.wait([life])
            self._settled.set()

    def child(self) -> Child:
        """The child that takes requests now; EngineError when there is none."""
        if self._child is None:
            raise EngineError(self._down)
        return self._child

    async def stream(self, ask: Callable[[int, T], wire.Request], what: T) -> AsyncGenerator[Any, None]:
        """Send a request and give what comes of it; raises EngineError."""
        stream = self.child().open(ask, what)
        try:
            while (item := await stream.get()) is not None:
                yield item
        finally:
            stream.close()

    def cancel(self, part: wire.Part, name: str) -> None:
        """`cancel` of a part; nothing while there is no child."""
        if self._child:
            self._child.cancel(part, name)

    async def _live(self) -> None:
        limits = self._limits
        back_off = limits.back_off_s
        while True:
            child = Child(self._shape, limits)
            if await self._one_life(child) >= limits.proven_s:
                back_off = limits.back_off_s
            logger.error("%s", self._down, extra={"pid": child.pid, "again_in_s": back_off})
            await asyncio.sleep(back_off)
            back_off = min(2 * back_off, limits.longest_back_off_s)

    async def _one_life(self, child: Child) -> float:
        """From the start of the process until it is gone; for how many seconds it was ready."""
        clock = asyncio.get_running_loop().time
        error = EngineError("the engine's process has been closed")
        began = clock()
        self._settled.clear()
        try:
            await child.load(self._start())
            took = round(clock() - began, 1)
            logger.info("the engine's process is ready", extra={"pid": child.pid, "took_s": took})
            began = clock()
            self._child = child
            self._settled.set()
            error = await child.died()
            return clock() - began
        except EngineError as refusal:
            error = refusal
            return 0.0
        finally:
            was_ready, self._child, self._down = self.ready, None, str(error)
            if was_ready:
                self._settled.clear()
            await child.end(error)
            if not was_ready:
                self._settled.set()

    def _start(self) -> wire.Start:
        root = logging.getLogger()
        text = any(isinstance(handler.formatter, TextFormatter) for handler in root.handlers)
        return wire.Start(self._factory, self._settings, root.level, text)


class _RemotePart:
    def __init__(self, process: EngineProcess) -> None:
        self._process = process

    @property
    def ready(self) -> bool:
        """Whether the process takes requests now."""
        return self._process.ready

    async def load(self) -> None:
        """See EngineProcess."""
        await self._process.load()

    async def close(self) -> None:
        """See EngineProcess."""
        await self._process.close()


class RemoteModel(_RemotePart):
    """A SpeechModel in the child process."""

    def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """See SpeechModel."""
        return self._process.stream(wire.Reply, request)

    def cancel(self, request: str) -> None:
        """See SpeechModel."""
        self._process.cancel("model", request)


class RemoteSynthesizer(_RemotePart):
    """A Synthesizer in the child process."""

    def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        """See Synthesizer."""
        return self._process.stream(wire.Speak, request)

    def cancel(self, request: str) -> None:
        """See Synthesizer."""
        self._process.cancel("synthesizer", request)


class RemoteRecognizer(_RemotePart):
    """A Recognizer in the child process."""

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        return await self._one(wire.Hear, block)

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer."""
        return await self._one(wire.Finish, utterance)

    def cancel(self, utterance: str) -> None:
        """See Recognizer."""
        self._process.cancel("recognizer", utterance)

    async def _one(self, ask: Callable[[int, T], wire.Request], what: T) -> Transcript:
        answers: list[Transcript] = [answer async for answer in self._process.stream(ask, what)]
        return answers[0]
