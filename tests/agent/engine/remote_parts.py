"""Small real engines that a worker of the tests builds: each does what the words it is given tell it to do."""

import asyncio
import ctypes
import os
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np

from agent.engine.base import (
    Backchannel,
    Done,
    Engine,
    Expect,
    Incomplete,
    Meaning,
    ModelEvent,
    Next,
    ReplyRequest,
    SpeakRequest,
    Speech,
    SpeechBlock,
    Text,
    ToolCall,
    Transcript,
    Word,
    clearest,
)
from agent.engine.embedded.dialogue import DialogueModel
from agent.engine.embedded.synthesizer import EspeakSynthesizer
from agent.exceptions import EngineError

RATE = 24_000
ALL = (
    Incomplete(),
    Backchannel(),
    Text("Grüezi, 你好 "),
    ToolCall("book", {"day": "monday", "seats": 2, "names": ["a", None]}),
    Done({"slots": {"n": [1, 2.5, None, True]}}, Expect.DIGITS, Next.TRANSFER, "desk", interruptible=False),
)


class Happenings:
    """What has happened in this process, by name; whoever asks for one waits until it has."""

    def __init__(self) -> None:
        self._events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def add(self, name: str) -> None:
        self._events[name].set()

    async def wait(self, name: str) -> None:
        await self._events[name].wait()


happened = Happenings()
Events = AsyncGenerator[ModelEvent, None]


class Model:
    """Obeys the request's transcript: one of the commands below and its argument. `Done` comes last."""

    def __init__(self) -> None:
        self._made = 0

    async def load(self) -> None:
        pass

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        command, _, argument = (request.transcript or "").partition(" ")
        async with aclosing(getattr(self, f"_{command}")(argument, request)) as events:
            async for event in events:
                yield event
        yield Done()

    def cancel(self, request: str) -> None:
        happened.add(f"cancelled {request}")

    async def close(self) -> None:
        pass

    async def _everything(self, _: str, __: ReplyRequest) -> Events:
        for event in ALL:
            yield event

    async def _request(self, _: str, request: ReplyRequest) -> Events:
        yield Text(repr(request))

    async def _pid(self, _: str, __: ReplyRequest) -> Events:
        yield Text(str(os.getpid()))

    async def _count(self, most: str, _: ReplyRequest) -> Events:
        for self._made in range(1, int(most) + 1):
            yield Text(str(self._made))

    async def _made_so_far(self, _: str, __: ReplyRequest) -> Events:
        yield Text(str(self._made))

    async def _tell(self, name: str, _: ReplyRequest) -> Events:
        happened.add(name)
        yield Text("told")

    async def _wait(self, name: str, request: ReplyRequest) -> Events:
        try:
            yield Text("waiting")
            await happened.wait(name)
            yield Text("over")
        finally:
            happened.add(f"closed {request.id}")

    async def _fail(self, _: str, __: ReplyRequest) -> Events:
        yield Text("so far")
        raise EngineError("no more room for tokens: lower engine.voxtral.slots")

    async def _bug(self, _: str, __: ReplyRequest) -> Events:
        yield Text("so far")
        raise ValueError("a bug")

    async def _chatter(self, words: str, _: ReplyRequest) -> Events:
        print(words, flush=True)  # noqa: T201 (as libraries do)
        yield Text("printed")

    async def _cancelled(self, _: str, __: ReplyRequest) -> Events:
        yield Text("so far")
        raise asyncio.CancelledError

    async def _object(self, _: str, __: ReplyRequest) -> Events:
        yield Done({"object": object()})

    async def _large(self, length: str, _: ReplyRequest) -> Events:
        yield Text("x" * int(length))

    async def _die(self, _: str, __: ReplyRequest) -> Events:
        yield Text("goodbye")
        os._exit(7)

    async def _crash(self, _: str, __: ReplyRequest) -> Events:
        yield Text("goodbye")
        ctypes.string_at(0)

    async def _block(self, _: str, __: ReplyRequest) -> Events:
        yield Text("now")
        time.sleep(1000)  # noqa: ASYNC251 (the event loop is to hang)


class Voice:
    """Each word is 50 ms of rising numbers."""

    async def load(self) -> None:
        pass

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        for number, word in enumerate(request.text.split()):
            audio = np.arange(number, number + RATE // 20, dtype=np.float32)
            yield Speech(audio, RATE, (Word(word, np.float32(0.5), 50),))  # type: ignore[arg-type]

    def cancel(self, request: str) -> None:
        happened.add(f"cancelled {request}")

    async def close(self) -> None:
        pass


class Ears:
    """Hears how many bytes there were."""

    def __init__(self) -> None:
        self._heard: dict[str, int] = {}

    async def load(self) -> None:
        pass

    async def hear(self, block: SpeechBlock) -> Transcript:
        self._heard[block.utterance] = self._heard.get(block.utterance, 0) + len(clearest(block)[0])
        await asyncio.sleep(0)
        return Transcript(str(self._heard.get(block.utterance, 0)), meaning=Meaning.TURN, complete=False)

    async def finish(self, utterance: str) -> Transcript:
        if utterance == "unheard of":
            raise EngineError("never heard")
        return Transcript(str(self._heard.pop(utterance, 0)), final=True)

    def cancel(self, utterance: str) -> None:
        self._heard.pop(utterance, None)
        happened.add(f"cancelled {utterance}")

    async def close(self) -> None:
        pass


def build(settings: Any, agents: Any) -> Engine:
    return Engine(Model(), Voice(), Ears(), transcribes_in_background=True)


def build_without_ears(settings: Any, agents: Any) -> Engine:
    return Engine(Model(), Voice(), None, transcribes_in_background=True)


class Unloadable(Model):
    async def load(self) -> None:
        raise EngineError("no weights in /models: put them there")


def build_unloadable(settings: Any, agents: Any) -> Engine:
    return Engine(Unloadable(), Voice(), Ears(), transcribes_in_background=True)


class Broken(Model):
    async def load(self) -> None:
        raise OSError("the disk is on fire")


def build_broken(settings: Any, agents: Any) -> Engine:
    return Engine(Broken(), Voice(), Ears(), transcribes_in_background=True)


class Deadly(Model):
    async def load(self) -> None:
        os._exit(3)


def build_deadly(settings: Any, agents: Any) -> Engine:
    return Engine(Deadly(), Voice(), Ears(), transcribes_in_background=True)


class Hung(Model):
    async def load(self) -> None:
        time.sleep(1000)  # noqa: ASYNC251


def build_hung(settings: Any, agents: Any) -> Engine:
    return Engine(Hung(), Voice(), Ears(), transcribes_in_background=True)


def build_missing(settings: Any, agents: Any) -> Engine:
    import a_package_that_is_not_there  # type: ignore[import-not-found]

    return a_package_that_is_not_there.engine()  # type: ignore[no-any-return]


class Late(Model):
    """Loads once a file is there, which the settings name as the model."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    async def load(self) -> None:
        if not self._file.exists():
            raise EngineError("not yet")


def build_late(settings: Any, agents: Any) -> Engine:
    return Engine(Late(Path(settings.voxtral.model)), Voice(), Ears(), transcribes_in_background=True)


class Clinging(Model):
    async def close(self) -> None:
        await asyncio.Event().wait()


def build_clinging(settings: Any, agents: Any) -> Engine:
    return Engine(Clinging(), Voice(), Ears(), transcribes_in_background=True)


class Tidy(Model):
    """Leaves a file behind when it is closed in peace."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    async def close(self) -> None:
        self._file.write_text("closed")


def build_tidy(settings: Any, agents: Any) -> Engine:
    return Engine(Tidy(Path(settings.voxtral.model)), Voice(), Ears(), transcribes_in_background=True)


def build_told(settings: Any, agents: Any) -> Engine:
    """Raises what it was given, secrets included."""
    raise EngineError(f"{settings.openai.api_key.get_secret_value()} {agents!r}")


def build_embedded(_: Any, agents: Any) -> Engine:
    """The real dialogue and the real espeak-ng; pocketsphinx would take its time to load."""
    model = DialogueModel(agents)
    return Engine(model, EspeakSynthesizer(), Ears(), transcribes_in_background=True, learners=(model,))
