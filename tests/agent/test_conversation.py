"""The shell of a session: engine commands go to the engine, line commands to the line, in order."""

import asyncio
import logging
from pathlib import Path

import pytest

from agent import events as e
from agent.conversation import Conversation
from agent.engine.base import Engine
from agent.engine.simulated import SimulatedModel, SimulatedSynthesizer
from agent.records import Records
from agent.state import State
from agent.tools import Tools
from config.agent import AgentSettings
from config.engine import SimulatedSettings
from config.logging import Log
from config.settings import Settings

pytestmark = pytest.mark.looptime

WORDS = 60


class Line:
    """Takes commands; plays everything at once when told to."""

    def __init__(self, tmp_path: Path, words: int = WORDS) -> None:
        self.commands: list[e.Command] = []
        self.news = asyncio.Event()
        simulated = SimulatedSettings(
            first_word_ms=0, word_ms=0, words=words, first_audio_ms=0, audio_ms_per_word=300, delivery_speed=10_000
        )
        self.conversation = Conversation(
            "CA1",
            AgentSettings(name="desk"),
            Engine(SimulatedModel(simulated), SimulatedSynthesizer(simulated)),
            Settings(),
            on_command=self.take,
            log=Log(logging.getLogger("test"), {}),
            tools=Tools({}, Records(tmp_path)),
        )

    def take(self, command: e.Command) -> None:
        self.commands.append(command)
        self.news.set()

    def played_ms(self) -> float:
        return sum(len(play.pcm) / 16 for play in self.commands if isinstance(play, e.Play))

    async def settle(self) -> None:
        before = -1
        while len(self.commands) != before:
            before = len(self.commands)
            await asyncio.sleep(0.02)


async def test_the_engine_runs_ahead_of_the_ear_only_so_far(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.conversation.start()
    await line.settle()
    buffer_ms = Settings().playout.buffer_ms
    assert buffer_ms <= line.played_ms() <= buffer_ms + 300
    reply = next(command.reply for command in line.commands if isinstance(command, e.Play))
    line.conversation.handle(e.Played(reply, 3000))
    await line.settle()
    assert buffer_ms + 3000 <= line.played_ms() <= buffer_ms + 3300
    while line.conversation.session.state is State.SPEAKING:
        line.conversation.handle(e.Played(reply, line.played_ms()))
        await line.settle()
    assert line.played_ms() == 300 * WORDS
    await line.conversation.close()


async def test_closing_ends_every_task_of_the_call(tmp_path: Path) -> None:
    line = Line(tmp_path)
    before = asyncio.all_tasks()
    line.conversation.start()
    await line.settle()
    await line.conversation.close()
    assert asyncio.all_tasks() == before
    assert line.conversation.session.state is State.ENDED
