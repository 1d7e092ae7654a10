"""The models' process: builds an engine and serves its parts to the server that started it.

It is started by remote.py, as `python -m agent.engine.process.worker --fd N --grace S`, with one end of a pair of
sockets as file descriptor N. It lives as long as the other end: when that is closed, or its owner is killed, it gives
everything back and ends, after S seconds by force, whatever its threads or its event loop are doing.

Signals: it ignores SIGTERM, SIGINT and SIGHUP, and stays in the server's process group. Ctrl-C in a terminal, and
systemd with its usual KillMode=control-group, signal both processes; the server then goes on until its calls have
ended, and needs its models for that. systemd's SIGKILL after TimeoutStopSec ends both. (Before it has set this up, in
its first half second, a SIGTERM does end it, but then no call depends on it yet.)
"""

import argparse
import asyncio
import faulthandler
import gc
import logging
import os
import pickle
import select
import signal
import socket
import threading
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from importlib import import_module
from typing import Any

import uvloop

from agent.engine.base import Engine
from agent.engine.process import protocol
from agent.engine.profiles import missing_package
from agent.exceptions import DeviceLost, EngineError
from config.agent import AgentSettings
from config.engine import EngineSettings
from config.logging import configure_logging
from config.privacy import leave_the_hub
from config.settings import LogSettings

Answer = type[protocol.Said] | type[protocol.Spoken] | type[protocol.Recognized]

logger = logging.getLogger("voxline.engine.worker")


class OutgoingStream:
    """One request that is being answered."""

    def __init__(self) -> None:
        self.window = asyncio.Semaphore(protocol.WINDOW)  # how many more items may be sent
        self.task: asyncio.Task[None] | None = None


class Worker:
    """Serves one engine over one channel; `over` is set when the other end is gone."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.channel = protocol.Channel(protocol.ToWorker, self._receive, self.over.set)
        self._engine: Engine | None = None
        self._loading: asyncio.Task[None] | None = None
        self._streams: dict[int, OutgoingStream] = {}

    async def close(self) -> None:
        """Stop what goes on and give everything back."""
        tasks = [stream.task for stream in self._streams.values() if stream.task]
        tasks += [self._loading] if self._loading else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for part in self._engine.parts() if self._engine else ():
            await part.close()

    def _receive(self, frame: protocol.ToWorker) -> None:
        match frame:
            case protocol.Ping():
                self.channel.send(protocol.Pong())
            case protocol.Start():
                self._loading = asyncio.create_task(self._load(frame), name="load")
            case protocol.Cancel():
                # Not at once: a request that came just before has its first step still to do.
                asyncio.get_running_loop().call_soon(self._cancel, frame)
            case protocol.Forget():
                if self._engine:
                    self._engine.forget(frame.agents)
            case protocol.Stop():
                if (stream := self._streams.get(frame.id)) and stream.task:
                    stream.task.cancel()
            case protocol.Ack():
                if stream := self._streams.get(frame.id):
                    for _ in range(frame.count):
                        stream.window.release()
            case _:
                stream = self._streams[frame.id] = OutgoingStream()
                stream.task = asyncio.create_task(self._answer(frame, stream), name=f"stream {frame.id}")
                stream.task.add_done_callback(lambda _: self._streams.pop(frame.id))

    # Loading

    async def _load(self, start: protocol.Start) -> None:
        configure_logging(LogSettings(format="text" if start.log_text else "json"))
        logging.getLogger().setLevel(start.log_level)
        try:
            engine = await self._build(start)
        except EngineError as error:
            self.channel.send(protocol.Refused(str(error)))
        except Exception as error:
            logger.exception("the engine cannot be loaded")
            self.channel.send(protocol.Refused(f"the engine cannot be loaded: {error!r}"))
        else:
            leave_the_hub()
            gc.collect()
            gc.freeze()  # what is loaded now stays: the collector need not walk through it while calls are on
            self.channel.send(protocol.Ready(engine.recognizer is not None, engine.transcribes_in_background))

    async def _build(self, start: protocol.Start) -> Engine:
        settings, agents = pickle.loads(start.settings)  # noqa: S301 (from the server, over a socket only it has)
        try:
            # In a thread: the packages of the models take many seconds to import, and pings come in.
            engine = self._engine = await asyncio.to_thread(_make, start.factory, settings, agents)
            for part in engine.parts():
                await part.load()
        except ImportError as error:
            raise missing_package(settings, error) from error
        return engine

    # Requests

    async def _answer(self, request: protocol.Request, stream: OutgoingStream) -> None:
        try:
            answer, items = self._items(request)
            async with aclosing(items):
                async for item in items:
                    await stream.window.acquire()
                    self.channel.send(answer(request.id, item))
                    await self.channel.drain()
            self.channel.send(protocol.Ended(request.id))
        except asyncio.CancelledError:  # by a part that was told to cancel; after a Stop nobody reads it
            self.channel.send(protocol.Failed(request.id, "the request was cancelled"))
            raise
        except DeviceLost as error:
            _end_at_once(error)
        except EngineError as error:
            self.channel.send(protocol.Failed(request.id, str(error)))
        except Exception as error:
            logger.exception("a request failed")
            self.channel.send(protocol.Failed(request.id, f"the engine failed: {error!r}"))

    def _items(self, request: protocol.Request) -> tuple[Answer, AsyncGenerator[Any, None]]:
        """The frames that the items of an answer travel in, and the items."""
        engine = self._engine
        if engine is None:
            raise EngineError("the engine's process has not loaded its engine")
        match request:
            case protocol.Reply():
                return protocol.Said, engine.model.reply(request.request)
            case protocol.Learn():
                return protocol.Said, _nothing(engine.learn(pickle.loads(request.agents)))  # noqa: S301 (see _build)
            case protocol.Speak():
                return protocol.Spoken, engine.synthesizer.speak(request.request)
        if engine.recognizer is None:
            raise EngineError("the engine's process has no recognizer")
        if isinstance(request, protocol.Hear):
            return protocol.Recognized, _once(engine.recognizer.hear(request.block))
        return protocol.Recognized, _once(engine.recognizer.finish(request.utterance))

    def _cancel(self, frame: protocol.Cancel) -> None:
        part = getattr(self._engine, frame.part, None)
        if part is not None:
            part.cancel(frame.name)


async def _once(item: Awaitable[Any]) -> AsyncGenerator[Any, None]:
    yield await item


async def _nothing(work: Awaitable[None]) -> AsyncGenerator[Any, None]:
    await work
    nothing: tuple[Any, ...] = ()
    for item in nothing:
        yield item


def _make(factory: str, settings: EngineSettings, agents: dict[str, AgentSettings]) -> Engine:
    module, _, function = factory.rpartition(".")
    engine: Engine = getattr(import_module(module), function)(settings, agents)
    return engine


def _end_at_once(error: DeviceLost) -> None:
    """Nothing can be saved, and closing may hang on the GPU; the server starts a new process."""
    logger.critical("the process of the models ends: %s", error)
    logging.shutdown()
    os._exit(protocol.DEVICE_LOST)


def _end_by_force(end: socket.socket, grace_s: float) -> None:
    """In a thread of its own: when the other end is gone, give the rest of the process this long to end by itself."""
    watch = select.poll()
    watch.register(end, 0)  # hang-ups are always told
    watch.poll()
    time.sleep(grace_s)
    os.write(2, b"the process of the models did not close in time\n")  # logging may be stuck
    os._exit(1)


async def _serve(end: socket.socket) -> None:
    worker = Worker()
    await asyncio.get_running_loop().create_unix_connection(lambda: worker.channel, sock=end)
    await worker.over.wait()
    try:
        await worker.close()
    except Exception:
        logger.exception("the engine did not close well")


def main() -> None:
    """See the module."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--fd", type=int, required=True)
    arguments.add_argument("--grace", type=float, required=True)
    given = arguments.parse_args()
    os.set_inheritable(given.fd, False)
    os.dup2(2, 1)  # the server's standard output is its own
    faulthandler.enable()  # a crash in C code leaves a trace in the log
    end = socket.socket(fileno=given.fd)
    threading.Thread(target=_end_by_force, args=(end.dup(), given.grace), daemon=True).start()
    uvloop.new_event_loop().run_until_complete(_serve(end))
    logging.shutdown()
    os._exit(0)  # without waiting for threads that may never end


if __name__ == "__main__":
    main()
