"""A whole call whose models die in the middle of it, with the real embedded engine to fall back on."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest

import config
from agent import events as e
from agent.conversation import Conversation
from agent.engine.base import Cue, Done, Engine, ModelEvent, ReplyRequest, SpeakRequest, Speech, Text, Word
from agent.engine.embedded.dialogue import DialogueModel
from agent.engine.embedded.recognizer import PocketsphinxRecognizer
from agent.engine.embedded.synthesizer import EspeakSynthesizer, say
from agent.engine.fallback import with_fallback
from agent.engine.fallback.model import FallbackModel
from agent.engine.fallback.recognizer import FallbackRecognizer
from agent.exceptions import EngineError
from agent.records import Records
from agent.state import State
from agent.tools import Tools
from audio.resample import to_line
from config.agent import load_agents
from config.engine import FallbackSettings
from config.logging import Log
from config.settings import Settings

AGENTS = load_agents(Path(config.__file__).parent / "agents")
FRAME = 320  # bytes, 20 ms
WINDOW_MS = 32


class Gpu:
    """A model that hears by itself, and a voice: what both need may be gone."""

    def __init__(self) -> None:
        self.alive = True
        self.log: list[str] = []

    async def load(self) -> None:
        self.log.append("load")

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        if not self.alive:
            raise EngineError("the GPU has fallen off the bus")
        yield Text("Good morning, this is Riverside Dental. " if request.cue is Cue.GREET else "I can hear you. ")
        yield Done({"turns": 1})

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        for word in request.text.split():
            if not self.alive:
                raise EngineError("the GPU has fallen off the bus")
            yield Speech(np.zeros(2400, np.float32), 24_000, (Word(word, 0, 100),))

    def cancel(self, request: str) -> None: ...

    async def close(self) -> None:
        self.log.append("close")


class Phone:
    """A caller on the line: speaks in media time, hears everything at once, waits for the engine in real time."""

    def __init__(self, engine: Engine, data: Path) -> None:
        self.news = asyncio.Event()
        self.commands: list[e.Command] = []
        self._windows = 0
        self.conversation = Conversation(
            "CA1",
            AGENTS["front_desk"],
            engine,
            Settings(),
            on_command=self.commands.append,
            log=Log(logging.getLogger("test"), {"call": "CA1"}),
            tools=Tools(AGENTS["front_desk"].tools, Records(data)),
            record=lambda *_: self.news.set(),
        )
        self.session = self.conversation.session
        self.conversation.start()

    async def hears(self) -> str:
        """What the agent says next, once the caller has heard all of it."""
        before = len(self._turns("agent"))
        async with asyncio.timeout(20):
            while len(self._turns("agent")) == before:
                plays = [command for command in self.commands if isinstance(command, e.Play)]
                if plays and self.session.state is State.SPEAKING:
                    reply = plays[-1].reply
                    ms = sum(len(play.pcm) / 16 for play in plays if play.reply == reply)
                    self.conversation.handle(e.Played(reply, ms))
                self.news.clear()
                if len(self._turns("agent")) == before:
                    await self.news.wait()
        return self._turns("agent")[-1]

    async def says(self, text: str) -> str:
        """The caller says it; gives the agent's answer."""
        pcm = to_line(*say(text, "en-us+adam", 0.9))
        self._send(pcm + bytes(-len(pcm) % FRAME), 0.95)
        self._send(bytes(50 * FRAME), 0.02)
        return await self.hears()

    def _send(self, pcm: bytes, probability: float) -> None:
        for start in range(0, len(pcm), FRAME):
            self.conversation.handle(e.CallerAudio(pcm[start : start + FRAME]))
            while (self._windows + 1) * WINDOW_MS <= self.session.now_ms:
                self._windows += 1
                self.conversation.handle(e.SpeechProbability(probability, self._windows * WINDOW_MS))

    def _turns(self, role: str) -> list[str]:
        return [turn.text for turn in self.session.memory.history.turns() if turn.role == role]


async def test_a_call_outlives_its_models(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gpu = Gpu()
    embedded = Engine(DialogueModel(AGENTS), EspeakSynthesizer(), PocketsphinxRecognizer(AGENTS, decoders=1))
    settings = FallbackSettings()
    engine = with_fallback(Engine(gpu, gpu, None, transcribes_in_background=True), embedded, settings, AGENTS)
    for part in engine.parts():
        await part.load()
    phone = Phone(engine, tmp_path)
    assert await phone.hears() == "Good morning, this is Riverside Dental."
    assert await phone.says("i'd like to book an appointment") == "I can hear you."

    gpu.alive = False
    answer = await phone.says("i'd like to book an appointment")
    assert answer == f"{settings.apology} Which day would you like?"
    assert await phone.says("on wednesday") == "At what time on Wednesday?"
    assert await phone.says("at three o'clock") == "So that's Wednesday at three o'clock. Is that right?"
    assert (await phone.says("yes please")).startswith("You're all set for Wednesday at three o'clock.")
    booking = json.loads((tmp_path / "bookings.jsonl").read_text())
    assert booking["arguments"] == {"day": "Wednesday", "time": "three o'clock"}
    assert "Goodbye" in await phone.says("no that's all")
    assert phone.session.state is State.ENDED
    assert not any(isinstance(command, e.HangUp) and command.failed for command in phone.commands)
    await phone.conversation.close()

    assert isinstance(engine.model, FallbackModel)
    assert engine.model.fallen == 1
    lines = [record for record in caplog.records if record.name == "voxline.engine.fallback"]
    assert {vars(line)["call"] for line in lines} == {"CA1"}

    late = Phone(engine, tmp_path)  # a caller who comes now never notices
    assert await late.hears() == "Hello, this is Riverside Dental. How can I help you?"
    await late.conversation.close()
    for part in engine.parts():
        await part.close()
    assert gpu.log == ["load"] * 2 + ["close"] * 2


def test_each_profiles_parts_are_wrapped_as_it_needs_them() -> None:
    gpu, ears = Gpu(), PocketsphinxRecognizer({})
    embedded = Engine(DialogueModel(AGENTS), EspeakSynthesizer(), PocketsphinxRecognizer(AGENTS))
    deaf, beside, waited_for = (
        with_fallback(models, embedded, FallbackSettings(), AGENTS)
        for models in (Engine(gpu, gpu), Engine(gpu, gpu, ears, transcribes_in_background=True), Engine(gpu, gpu, ears))
    )
    assert (deaf.recognizer, deaf.transcribes_in_background) == (None, False)
    assert (beside.recognizer, beside.transcribes_in_background) == (ears, True)
    assert isinstance(waited_for.recognizer, FallbackRecognizer)
    assert not waited_for.transcribes_in_background
