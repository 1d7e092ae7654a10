"""One run of the models' process: started, loaded, asked, watched, ended. See `remote`."""

import asyncio
import itertools
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from agent.engine.process import protocol
from agent.exceptions import EngineError

MAX_WAITING = 1 << 26  # bytes that the child has not read yet; beyond it requests are refused
STATUS_S = 0.5  # after the connection's end until the child's exit status is there
KILLED_S = 10  # until a killed process is gone

T = TypeVar("T")


class Limits(msgspec.Struct, frozen=True):
    """How long the child may take for what, and when it is started again."""

    ping_s: float = 1.0  # between two pings
    silent: int = 15  # pings without an answer after which it counts as hung
    silent_loading: int = 120  # the same while it loads: imports and CUDA may keep the interpreter for themselves
    back_off_s: float = 0.5  # before it is started again; doubled each time
    longest_back_off_s: float = 30.0
    proven_s: float = 60.0  # ready for so long: the next back-off is the first again
    close_s: float = 8.0  # to give everything back; then it is killed


class EngineParts(msgspec.Struct, frozen=True):
    """Which parts a profile has; see Engine."""

    recognizer: bool
    transcribes_in_background: bool


class AnswerStream:
    """The answer to one request, item by item."""

    def __init__(self, child: "Child", number: int) -> None:
        self._child = child
        self._number = number
        self._items: asyncio.Queue[Any] = asyncio.Queue(protocol.WINDOW + 1)  # its last word included
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
        if self._taken == protocol.WINDOW // 2:
            self._child.acknowledge(self._number, self._taken)
            self._taken = 0
        return item

    def close(self) -> None:
        """It is no longer read."""
        self._child.forget(self._number)


class Child:
    """One life of the child process, from its start to its end."""

    def __init__(self, parts: EngineParts, limits: Limits) -> None:
        self._parts = parts
        self._limits = limits
        self._channel = protocol.Channel(protocol.FromWorker, self._receive, self._lost)
        self._process: asyncio.subprocess.Process | None = None
        self._exit: asyncio.Task[int] | None = None
        self._settled = asyncio.Event()  # ready, refused or gone
        self._gone = asyncio.Event()
        self._refusal = ""
        self._answered = False  # the last ping
        self._streams: dict[int, AnswerStream] = {}
        self._numbers = itertools.count(1)

    @property
    def pid(self) -> int | None:
        """Of the process, once it is started."""
        return self._process.pid if self._process else None

    async def load(self, start: protocol.Start) -> None:
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
        """Wait for its death, or for its hanging; tells which."""
        try:
            await self._watch(self._gone, self._limits.silent)
        except EngineError as error:
            return error
        return await self._death()

    async def end(self, error: EngineError) -> None:
        """End all streams with this error, and the process gracefully or by force; it is gone afterwards."""
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

    def open(self, ask: Callable[[int, T], protocol.Request], what: T) -> AnswerStream:
        """Send a request; EngineError when it cannot travel."""
        if self._channel.waiting > MAX_WAITING:
            raise EngineError(f"the engine's process has {MAX_WAITING >> 20} MB of requests waiting: it is too slow")
        number = next(self._numbers)
        self._channel.send(ask(number, what))
        stream = self._streams[number] = AnswerStream(self, number)
        return stream

    def acknowledge(self, number: int, count: int) -> None:
        """Items of a stream have been taken."""
        if number in self._streams:
            self._channel.send(protocol.Ack(number, count))

    def forget(self, number: int) -> None:
        """A stream is not read any more; stops it unless it has ended."""
        if self._streams.pop(number, None):
            self._channel.send(protocol.Stop(number))

    def cancel(self, part: protocol.Part, name: str) -> None:
        """`cancel` of a part."""
        self._channel.send(protocol.Cancel(part, name))

    def unlearn(self, agents: list[str]) -> None:
        """`forget` of its engine."""
        self._channel.send(protocol.Forget(agents))

    async def _run(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "agent.engine.process.worker"),
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

    def _receive(self, frame: protocol.FromWorker) -> None:
        match frame:
            case protocol.Said() | protocol.Spoken() | protocol.Recognized():
                if stream := self._streams.get(frame.id):
                    stream.put(frame.item)
            case protocol.Ended() | protocol.Failed():
                if stream := self._streams.pop(frame.id, None):
                    stream.put(EngineError(frame.message) if isinstance(frame, protocol.Failed) else None)
            case protocol.Pong():
                self._answered = True
            case protocol.Ready():
                if EngineParts(frame.recognizer, frame.transcribes_in_background) != self._parts:
                    self._refusal = f"the engine's process has built other parts than {self._parts}"
                self._settled.set()
            case protocol.Refused():
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
            self._channel.send(protocol.Ping())
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
        elif status == protocol.DEVICE_LOST:
            how = "has lost its GPU and ended"
        else:
            how = f"died (signal {-status})" if status < 0 else f"died (status {status})"
        return EngineError(f"the engine's process {how}: what it wrote last is in the log; it is started again")

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            if self._process:
                self._process.kill()
