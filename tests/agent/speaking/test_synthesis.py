"""A reply's text on its way to audio, with a voice whose every step the test decides."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
import pytest

from agent.engine.base import SpeakRequest, Speech, Word
from agent.exceptions import EngineError
from agent.speaking.chunks import LATEST
from agent.speaking.synthesis import Synthesis
from config.settings import ReplySettings

pytestmark = pytest.mark.looptime


class Voice:
    """Speaks a chunk word by word, when it is let."""

    def __init__(self) -> None:
        self.requests: list[SpeakRequest] = []
        self.cancelled: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    async def load(self) -> None: ...

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        self.requests.append(request)
        if gate := self.gates.get(request.text):
            await gate.wait()
        if "broken" in request.text:
            raise EngineError("no voice")
        for word in request.text.split():
            yield Speech(np.zeros(2400, np.float32), 24_000, (Word(word, 0, 100),))

    def cancel(self, request: str) -> None:
        self.cancelled.append(request)

    async def close(self) -> None: ...

    @property
    def texts(self) -> list[str]:
        return [request.text for request in self.requests]


class Reply:
    """One reply being spoken: `words` is what came out so far."""

    def __init__(self, voice: Voice, group: asyncio.TaskGroup, **settings: Any) -> None:
        request = SpeakRequest("CA1/1.0", "", "v", 1.5, "en-gb")
        self.speaking = Synthesis(request, voice, ReplySettings(**settings), group)
        self.words: list[str] = []
        self.came = asyncio.Event()
        self.task = group.create_task(self._listen())

    async def _listen(self) -> None:
        async for piece in self.speaking.audio():
            self.words += [word.text for word in piece.words]
            self.came.set()

    async def hears(self, text: str) -> None:
        async with asyncio.timeout(30):
            while " ".join(self.words) != text:
                self.came.clear()
                await self.came.wait()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_every_chunk_is_a_request_with_the_replys_voice() -> None:
    voice = Voice()
    async with asyncio.TaskGroup() as group:
        reply = Reply(voice, group)
        for text in ("Well ", "then, we are ", "open on Monday. Bye"):
            await reply.speaking.add(text)
        await reply.speaking.finish()
    assert voice.requests == [
        SpeakRequest(f"CA1/1.0.{number}", text, "v", 1.5, "en-gb")
        for number, text in enumerate(["Well then,", "we are open on Monday.", "Bye"])
    ]
    assert " ".join(reply.words) == "Well then, we are open on Monday. Bye"


async def test_a_model_that_stalls_has_its_first_words_spoken_with_a_comma_that_it_did_not_write() -> None:
    voice = Voice()
    async with asyncio.TaskGroup() as group:
        reply = Reply(voice, group, first_chunk_ms=5)
        await reply.speaking.add("We are open, open fr")
        await reply.speaking.add("")
        await reply.hears("We are open,")
        await reply.speaking.add("om nine, ")
        await reply.hears("We are open, open from nine,")
        await reply.speaking.add("to five. ")
        await reply.hears("We are open, open from nine, to five.")
        await reply.speaking.finish()
    assert voice.texts == ["We are open,", "open from nine,", "to five."]

    voice = Voice()
    async with asyncio.TaskGroup() as group:
        reply = Reply(voice, group, first_chunk_ms=5)
        await reply.speaking.add("Open means open from")
        await reply.hears("Open means open")
        await reply.speaking.add(" nine")
        await reply.speaking.finish()
    assert voice.texts == ["Open means open,", "from nine"]
    assert " ".join(reply.words) == "Open means open from nine"


async def test_a_steady_but_slow_model_is_not_waited_for_either() -> None:
    voice = Voice()
    async with asyncio.TaskGroup() as group:
        reply = Reply(voice, group, first_chunk_ms=20)
        words = 0
        while not voice.requests:
            await reply.speaking.add("word ")
            words += 1
            await asyncio.sleep(0.005)
        await reply.speaking.finish()
    assert 2 <= words < LATEST
    assert " ".join(reply.words) == " ".join(["word"] * words)


async def test_nothing_is_reordered_when_time_runs_out_while_chunks_wait_their_turn() -> None:
    voice = Voice()
    texts = ["One is first,", "two is the second of all.", "Three is the third of all.", "Four is the last of them."]
    voice.gates = {text: asyncio.Event() for text in texts}
    async with asyncio.TaskGroup() as group:
        reply = Reply(voice, group, first_chunk_ms=1, concurrent_tts_streams=1)
        adding = group.create_task(reply.speaking.add(" ".join(texts) + " Five, "))
        await asyncio.sleep(0.02)  # time runs out, again and again
        assert len(voice.requests) >= 2
        assert not adding.done()
        for gate in voice.gates.values():
            gate.set()
        await adding
        await reply.hears(" ".join(texts) + " Five,")
        await reply.speaking.finish()
    assert voice.texts == [*texts, "Five,"]


async def test_the_end_loses_nothing_that_time_was_about_to_cut() -> None:
    voice = Voice()
    voice.gates = {text: asyncio.Event() for text in ("One two,", "three,", "four,")}
    async with asyncio.TaskGroup() as group:
        reply = Reply(voice, group, first_chunk_ms=1, concurrent_tts_streams=1)
        for text in ("One two, ", "three, ", "four, "):
            await reply.speaking.add(text)
            await asyncio.sleep(0.01)
        finishing = group.create_task(reply.speaking.finish())
        await settle()
        assert not finishing.done()
        for gate in voice.gates.values():
            gate.set()
    assert " ".join(reply.words) == "One two, three, four,"


async def test_without_streaming_nothing_is_spoken_before_the_text_is_complete() -> None:
    voice = Voice()
    async with asyncio.TaskGroup() as group:
        reply = Reply(voice, group, first_chunk_ms=0, streaming=False, max_chars=100)
        await reply.speaking.add("Well then, we are open on Monday. ")
        await reply.speaking.add("And " * 100)
        await asyncio.sleep(0.01)
        assert not voice.requests
        await reply.speaking.finish()
    assert voice.texts[:2] == ["Well then,", "we are open on Monday."]
    assert sum(map(len, voice.texts)) <= 100


async def test_who_is_cancelled_stops_the_voice_and_the_clock() -> None:
    voice = Voice()
    voice.gates["Well then,"] = asyncio.Event()
    before = asyncio.all_tasks()

    async def speak() -> None:
        async with asyncio.TaskGroup() as group:
            reply = Reply(voice, group, first_chunk_ms=1)
            await reply.speaking.add("Well then, my ")
            await asyncio.Event().wait()

    task = asyncio.create_task(speak())
    await settle()
    assert voice.texts == ["Well then,"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert voice.cancelled == ["CA1/1.0.0"]
    assert asyncio.all_tasks() == before


async def test_a_voice_that_fails_ends_it_all() -> None:
    voice = Voice()
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            reply = Reply(voice, group)
            await reply.speaking.add("It is broken, ")
            await reply.speaking.finish()
    assert isinstance(caught.value.exceptions[0], EngineError)
