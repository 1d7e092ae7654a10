"""Conversations with an engine, without a line: how long each reply takes, and how late it makes other work of the
loop."""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import torch

from agent import events as e
from agent.engine.base import Cue, Engine, ReplyRequest
from agent.records import Records
from agent.speaking.generation import Generation
from agent.tools import Tools
from config.agent import AgentSettings
from config.logging import Log
from config.settings import ReplySettings
from config.streaming import RecognitionSettings

AGENT = AgentSettings(name="desk", instructions="You are the front desk of a dental practice. Be brief and warm. " * 4)
SPEAK_S, LISTEN_S = 3.0, 4.0
TICK_S = 0.01  # period of the work that must not be held up
REPLY_S = 120.0
CALLS = itertools.count(1)


class Figures(msgspec.Struct):
    """What was measured; times in milliseconds."""

    two_words: list[float] = []  # turn decided → two words are known
    words_to_audio: list[float] = []
    to_audio: list[float] = []  # turn decided → first audio
    cancel: list[float] = []  # cancel → nothing goes on
    late: list[float] = []  # of each tick
    tokens: int = 0
    failed: int = 0
    seconds: float = 0.0
    gpu_bytes: int = 0


class Conversation:
    """One caller with the engine: speaks, hears the beginning of the answer, speaks again."""

    def __init__(self, engine: Engine, figures: Figures) -> None:
        self.figures = figures
        self._call = f"CA{next(CALLS)}"
        self._count = 0
        self._decided = self._words = 0.0
        self._text = ""
        self._heard = asyncio.Event()  # the reply's first audio
        self._over = asyncio.Event()
        self._generation = Generation(
            self._call,
            AGENT,
            engine,
            Tools({}, Records(Path())),
            ReplySettings(),
            recognition=RecognitionSettings(),
            emit=self._emit,
            log=Log(logging.getLogger("bench"), {}),
        )

    async def turn(self) -> None:
        """One turn: a request with 3 s of audio, and its answer to the first audio and on to its end."""
        self._count += 1
        self._text, self._words = "", 0.0
        self._heard.clear()
        self._over.clear()
        noise = np.random.default_rng().standard_normal(round(8000 * SPEAK_S))
        request = ReplyRequest(
            f"{self._call}/{self._count}.0",
            self._call,
            AGENT.name,
            Cue.ANSWER,
            audio=(noise * 2000).astype("<i2").tobytes(),
        )
        self._decided = time.perf_counter()
        self._generation.start(e.StartReply(self._count, request, None))
        try:
            async with asyncio.timeout(REPLY_S):
                await self._over.wait()
        except TimeoutError:
            self._generation.cancel(self._count)
            self.figures.failed += 1

    async def close(self) -> None:
        """Cancel the reply in progress, and measure how long that takes."""
        begin = time.perf_counter()
        await self._generation.close()
        self.figures.cancel.append(1000 * (time.perf_counter() - begin))

    def _emit(self, event: e.Event) -> None:
        now = time.perf_counter()
        match event:
            case e.ReplyText():
                self.figures.tokens += 1
                self._text += event.text
                if not self._words and len(self._text.split()) >= 2:
                    self._words = now
                    self.figures.two_words.append(1000 * (now - self._decided))
            case e.ReplyAudio() if not self._heard.is_set():
                self._heard.set()
                self.figures.words_to_audio.append(1000 * (now - (self._words or self._decided)))
                self.figures.to_audio.append(1000 * (now - self._decided))
            case e.ReplyFailed():
                self.figures.failed += 1
                self._over.set()
            case e.ReplyEnded():
                self._over.set()


async def talk(engine: Engine, calls: int, seconds: float, *, at_once: bool) -> Figures:
    """Run this many conversations for this long: each in its own time, or all turns ending at the same moment."""
    figures = Figures()
    conversations = [Conversation(engine, figures) for _ in range(calls)]
    await asyncio.gather(*(conversation.turn() for conversation in conversations))  # warm
    figures = Figures()
    for conversation in conversations:
        conversation.figures = figures
    begin = time.perf_counter()
    end = begin + seconds
    ticker = asyncio.create_task(_tick(figures.late.append))
    cycle = SPEAK_S + LISTEN_S

    async def one(number: int, conversation: Conversation) -> None:
        await asyncio.sleep(0 if at_once else cycle * number / calls)
        while time.perf_counter() < end:
            started = time.perf_counter()
            await conversation.turn()
            await asyncio.sleep(max(0.0, min(started + cycle, end) - time.perf_counter()))

    await asyncio.gather(*(one(number, conversation) for number, conversation in enumerate(conversations)))
    figures.seconds = time.perf_counter() - begin
    ticker.cancel()
    await _cut_off(conversations)
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        figures.gpu_bytes = total - free
    return figures


async def _cut_off(conversations: list[Conversation]) -> None:
    """Begin all of them once more and cancel them in the middle."""
    going = [asyncio.create_task(conversation.turn()) for conversation in conversations]
    await asyncio.sleep(0.05)
    for conversation in conversations:
        await conversation.close()
    for task in going:
        task.cancel()
    await asyncio.gather(*going, return_exceptions=True)


async def _tick(late: Callable[[float], None]) -> None:
    """What the audio of other calls would suffer: how late a task runs that is due every 10 ms."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due += TICK_S
        await asyncio.sleep(max(0.0, due - loop.time()))
        late(1000 * (loop.time() - due))
        due = max(due, loop.time() - TICK_S)
