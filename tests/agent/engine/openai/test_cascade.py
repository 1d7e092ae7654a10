"""A call's whole engine over HTTP: utterance → transcript → words → speech, and no part waits for another's end."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent import events as e
from agent.engine.base import Cue, Engine, Expect, ReplyRequest
from agent.engine.openai.chat import ChatModel
from agent.engine.openai.synthesizer import OpenAISynthesizer
from agent.engine.openai.transcription import OpenAIRecognizer
from agent.records import Records
from agent.speaking.generation import Generation
from agent.tools import Tools
from config.agent import AgentSettings
from config.logging import Log
from config.settings import ReplySettings
from config.streaming import RecognitionSettings
from tests.agent.engine.openai.server import BREAK, Server

AGENT = AgentSettings(name="desk", voice="hf_alpha")
PCM = bytes(24_000)  # half a second


class Talk:
    """One call's `Replies` over the server, and the events that come of it."""

    def __init__(self, server: Server, folder: Path) -> None:
        settings = server.settings(audio=False)
        parts = ChatModel(settings, {"desk": AGENT}), OpenAISynthesizer(settings), OpenAIRecognizer(settings)
        self.engine = Engine(*parts)
        self.events: list[e.Event] = []
        self._news = asyncio.Event()
        self.replies = Generation(
            "CA1",
            AGENT,
            self.engine,
            Tools({}, Records(folder)),
            ReplySettings(),
            recognition=RecognitionSettings(),
            emit=self._emit,
            log=Log(logging.getLogger("test"), {}),
        )

    def _emit(self, event: e.Event) -> None:
        self.events.append(event)
        self._news.set()

    def all(self, kind: type[e.Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[e.Event]) -> Any:
        async with asyncio.timeout(30):
            while not (found := self.all(kind)):
                self._news.clear()
                await self._news.wait()
        return found[-1]

    def ask(self) -> None:
        """The caller has said something, and it is over."""
        for _ in range(3):
            self.replies.hear(e.Hear(1, np.zeros(1600, "<i2").tobytes(), Expect.OPEN))
        self.replies.start(e.StartReply(1, ReplyRequest("CA1/1.0", "CA1", "desk", Cue.ANSWER), utterance=1))


@pytest.fixture
async def talk(server: Server, tmp_path: Path) -> AsyncGenerator[Talk, None]:
    running = Talk(server, tmp_path)
    yield running
    await running.replies.close()
    for part in running.engine.parts():
        await part.close()
    await server.until_no_connection()


async def test_the_first_audio_is_there_before_the_model_has_finished(server: Server, talk: Talk) -> None:
    more = asyncio.Event()
    server.script("stt", ["When are you open?"])
    server.script("chat", ["We are ", "open, ", "as ", "always, ", more, "from nine to five."])
    server.script("tts", [PCM])
    for part in talk.engine.parts():
        await part.load()
    talk.ask()
    await talk.until(e.ReplyAudio)
    assert not talk.all(e.ReplyDone)
    assert not next(asked for asked in server.asked if asked.path == "/v1/chat/completions").complete
    more.set()
    await talk.until(e.ReplyEnded)
    assert [event.text for event in talk.all(e.Partial)] == ["", "", ""]
    assert talk.all(e.CallerSaid) == [e.CallerSaid(1, "When are you open?")]
    asked = {each.path.removeprefix("/v1/"): each.body for each in server.asked}
    assert asked["chat/completions"]["messages"][-1] == {"role": "user", "content": "When are you open?"}
    assert asked["audio/speech"]["voice"] == "hf_alpha"
    assert next(each.body["input"] for each in server.asked if "input" in each.body) == "We are open,"
    said = [word.text for audio in talk.all(e.ReplyAudio) for word in audio.words]
    assert " ".join(said) == "We are open, as always, from nine to five."


async def test_a_cancelled_reply_hangs_up_everywhere(server: Server, talk: Talk) -> None:
    server.script("stt", ["Hm."])
    server.script("chat", ["We are ", "open, ", asyncio.Event()])
    server.script("tts", [PCM, asyncio.Event()])
    talk.ask()
    await talk.until(e.ReplyAudio)
    talk.replies.cancel(1)
    _, chat, voice = server.asked
    await server.until(chat.gone.is_set)
    await server.until(voice.gone.is_set)
    assert not talk.all(e.ReplyFailed)


@pytest.mark.parametrize("part", ["stt", "chat", "tts"])
async def test_a_part_that_breaks_fails_the_reply_and_no_more(server: Server, talk: Talk, part: str) -> None:
    scripts = {"stt": ["Hm."], "chat": ["We are ", "open, ", "now."], "tts": [PCM]}
    for name, script in scripts.items():
        server.script(name, script if name != part else [BREAK, ""] if part == "stt" else [*script, BREAK])
    talk.ask()
    failed = await talk.until(e.ReplyFailed)
    assert "broken off" in failed.reason
    for name, script in scripts.items():
        server.script(name, script)
    talk.events.clear()
    talk.ask()
    await talk.until(e.ReplyEnded)
    assert talk.all(e.ReplyAudio)
