"""The models in a process of their own, behind the same three protocols.

A GPU's error ends the process that it happens in, and calls must not end with it. So `in_process` gives an Engine whose
parts hand every request to one child process (`agent.engine.process.worker`). It is started by the first `load`, and
again, after a while, whenever it dies or hangs. A request that was on its way then raises EngineError at once, and so
do new ones until the child is ready again.

For the audio's sake alone it need not be, as far as is known: on two cores that the models fill, another task of the
loop was late by 4 to 10 ms (p99) beside the child, and by 4 to 5 beside the models' threads (bench/engine.py, narrow
models on a CPU). With a GPU neither has been measured.
"""

import asyncio
import logging
import pickle
from collections.abc import AsyncGenerator, Callable, Collection
from typing import Any, TypeVar

from agent.engine.base import Engine, ModelEvent, ReplyRequest, SpeakRequest, Speech, SpeechBlock, Transcript
from agent.engine.process import protocol
from agent.engine.process.child import Child, EngineParts, Limits
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.engine import EngineSettings
from config.logging import TextFormatter

BUILD = "agent.engine.profiles.build_models"

T = TypeVar("T")

logger = logging.getLogger("voxline.engine.remote")


def parts_of(settings: EngineSettings) -> EngineParts:
    """What `profiles.build_models` gives for these settings, told without importing any model's packages."""
    match settings.profile:
        case "gpu":
            return EngineParts(recognizer=settings.voxtral.transcripts != "off", transcribes_in_background=True)
        case "cascade":
            return EngineParts(
                recognizer=settings.cascade.recognizer != "embedded", transcribes_in_background=settings.cascade.audio
            )
        case "openai":
            return EngineParts(recognizer=True, transcribes_in_background=settings.openai.audio)
        case _:
            raise EngineError(f"the profile {settings.profile!r} has no models")


def in_process(
    settings: EngineSettings, agents: dict[str, AgentSettings], *, factory: str = BUILD, limits: Limits | None = None
) -> Engine:
    """An engine whose parts live in one child process, which builds them with `factory` (module.function, called with
    the settings and the agents, in `parts_of` these settings). Nothing is started before `load`."""
    parts = parts_of(settings)
    process = EngineProcess(factory, settings, agents, parts, limits or Limits())
    recognizer = RemoteRecognizer(process) if parts.recognizer else None
    model, synthesizer = RemoteModel(process), RemoteSynthesizer(process)
    return Engine(model, synthesizer, recognizer, parts.transcribes_in_background, learners=(process,))


class EngineProcess:
    """The child process through all its lives."""

    def __init__(
        self,
        factory: str,
        settings: EngineSettings,
        agents: dict[str, AgentSettings],
        parts: EngineParts,
        limits: Limits,
    ) -> None:
        self._factory = factory
        self._settings = settings
        self._agents = agents
        self._parts = parts
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

    async def stream(self, ask: Callable[[int, T], protocol.Request], what: T) -> AsyncGenerator[Any, None]:
        """Send a request and give what comes of it; raises EngineError."""
        stream = self.child().open(ask, what)
        try:
            while (item := await stream.get()) is not None:
                yield item
        finally:
            stream.close()

    async def learn(self, agents: dict[str, AgentSettings]) -> None:
        """See Learner. A process that is not ready learns them when it starts."""
        self._agents = self._agents | agents
        if self.ready:
            async for _ in self.stream(protocol.Learn, pickle.dumps(agents)):
                pass

    def forget(self, agents: Collection[str]) -> None:
        """See Learner."""
        self._agents = {name: agent for name, agent in self._agents.items() if name not in agents}
        if self._child:
            self._child.unlearn(list(agents))

    def cancel(self, part: protocol.Part, name: str) -> None:
        """`cancel` of a part; nothing while there is no child."""
        if self._child:
            self._child.cancel(part, name)

    async def _live(self) -> None:
        limits = self._limits
        back_off = limits.back_off_s
        while True:
            child = Child(self._parts, limits)
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
            known = self._agents
            await child.load(self._start())
            took = round(clock() - began, 1)
            logger.info("the engine's process is ready", extra={"pid": child.pid, "took_s": took})
            began = clock()
            self._child = child
            if more := {name: agent for name, agent in self._agents.items() if name not in known}:
                child.open(protocol.Learn, pickle.dumps(more))
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

    def _start(self) -> protocol.Start:
        root = logging.getLogger()
        text = any(isinstance(handler.formatter, TextFormatter) for handler in root.handlers)
        return protocol.Start(self._factory, pickle.dumps((self._settings, self._agents)), root.level, text)


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
        return self._process.stream(protocol.Reply, request)

    def cancel(self, request: str) -> None:
        """See SpeechModel."""
        self._process.cancel("model", request)


class RemoteSynthesizer(_RemotePart):
    """A Synthesizer in the child process."""

    def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        """See Synthesizer."""
        return self._process.stream(protocol.Speak, request)

    def cancel(self, request: str) -> None:
        """See Synthesizer."""
        self._process.cancel("synthesizer", request)


class RemoteRecognizer(_RemotePart):
    """A Recognizer in the child process."""

    async def hear(self, block: SpeechBlock) -> Transcript:
        """See Recognizer."""
        return await self._one(protocol.Hear, block)

    async def finish(self, utterance: str) -> Transcript:
        """See Recognizer."""
        return await self._one(protocol.Finish, utterance)

    def cancel(self, utterance: str) -> None:
        """See Recognizer."""
        self._process.cancel("recognizer", utterance)

    async def _one(self, ask: Callable[[int, T], protocol.Request], what: T) -> Transcript:
        answers: list[Transcript] = [answer async for answer in self._process.stream(ask, what)]
        return answers[0]
