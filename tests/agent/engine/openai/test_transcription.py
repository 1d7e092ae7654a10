"""Utterances that are written down when they are over."""

import asyncio
import io
import wave
from typing import Any

import numpy as np
import pytest

from agent.engine.base import SpeechBlock, Transcript
from agent.engine.openai.transcription import LONGEST_S, MAX_UTTERANCES, OpenAIRecognizer
from agent.exceptions import EngineError
from tests.agent.engine.openai.server import BREAK, Server, Status

TONE = (8000 * np.sin(2 * np.pi * 500 * np.arange(1600) / 8000)).astype("<i2").tobytes()  # 200 ms


def block(utterance: str = "CA1/u1", audio: bytes = TONE, wide: bytes = b"") -> SpeechBlock:
    return SpeechBlock(utterance, "CA1", "desk", audio, wide=wide)


async def heard(server: Server, *script: Any, blocks: int = 1, **settings: Any) -> Transcript:
    server.script("stt", script)
    recognizer = OpenAIRecognizer(server.settings(**settings))
    try:
        for _ in range(blocks):
            await recognizer.hear(block())
        return await recognizer.finish("CA1/u1")
    finally:
        await recognizer.close()


async def test_all_blocks_are_written_down_together(server: Server) -> None:
    assert await heard(server, " Good morning.\n", blocks=5) == Transcript("Good morning.", final=True)
    (asked,) = server.asked
    assert asked.headers["content-type"].startswith("multipart/form-data")
    assert {key: asked.body[key] for key in asked.body if key != "file"} == {
        "model": "stt",
        "response_format": "json",
        "temperature": "0",
    }
    with wave.open(io.BytesIO(asked.body["file"])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert len(samples) == 16_000
    assert np.argmax(np.abs(np.fft.rfft(samples))) == 500


async def test_of_a_wide_band_line_16_khz_is_written_down(server: Server) -> None:
    server.script("stt", ["Hello."])
    recognizer = OpenAIRecognizer(server.settings())
    wide = np.random.default_rng(0).integers(-9000, 9000, 3200).astype("<i2")
    for at in (0, 1600):
        await recognizer.hear(block(audio=TONE[:1600], wide=wide[at : at + 1600].tobytes()))
    await recognizer.finish("CA1/u1")
    with wave.open(io.BytesIO(server.asked[0].body["file"])) as file:
        assert file.getframerate() == 16_000
        assert file.readframes(file.getnframes()) == wide.tobytes()
    await recognizer.close()


async def test_before_the_end_it_has_no_idea(server: Server) -> None:
    recognizer = OpenAIRecognizer(server.settings())
    partial = await recognizer.hear(block())
    assert partial == Transcript("", final=False, meaning=None, complete=None)
    await recognizer.close()


async def test_without_a_model_of_its_own_it_uses_the_chat_models(server: Server) -> None:
    server.script("chat", ["Hello."])
    assert (await heard(server, transcription_model="")).text == "Hello."
    assert server.asked[0].body["model"] == "chat"


async def test_an_utterance_that_is_not_known_is_empty(server: Server) -> None:
    recognizer = OpenAIRecognizer(server.settings())
    assert await recognizer.finish("CA1/u1") == Transcript("", final=True)
    await recognizer.hear(block(audio=b""))
    assert await recognizer.finish("CA1/u1") == Transcript("", final=True)
    await recognizer.hear(block())
    recognizer.cancel("CA1/u1")
    recognizer.cancel("unknown")
    assert await recognizer.finish("CA1/u1") == Transcript("", final=True)
    assert not server.asked
    await recognizer.close()


@pytest.mark.parametrize("wide", [b"", bytes(32_000)])
async def test_what_is_longer_than_a_minute_is_not_heard(server: Server, wide: bytes) -> None:
    server.script("stt", ["Long."])
    recognizer = OpenAIRecognizer(server.settings())
    for _ in range(70):
        await recognizer.hear(block(audio=bytes(16_000), wide=wide))
    await recognizer.finish("CA1/u1")
    with wave.open(io.BytesIO(server.asked[0].body["file"])) as file:
        assert file.getnframes() == LONGEST_S * 16_000 == 60 * 16_000
    await recognizer.close()


async def test_of_too_many_utterances_the_oldest_is_forgotten(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    recognizer = OpenAIRecognizer(server.settings())
    for number in range(MAX_UTTERANCES + 1):
        await recognizer.hear(block(f"CA{number}/u1", b"\0\0"))
    assert "too many utterances" in caplog.text
    assert await recognizer.finish("CA0/u1") == Transcript("", final=True)
    assert not server.asked
    assert (await recognizer.finish(f"CA{MAX_UTTERANCES}/u1")).text == "heard"
    await recognizer.close()


async def test_many_utterances_at_once(server: Server) -> None:
    gate = asyncio.Event()
    server.script("stt", *[[gate, f"Words {number}."] for number in range(20)])
    recognizer = OpenAIRecognizer(server.settings())
    for number in range(20):
        await recognizer.hear(block(f"CA{number}/u1"))
    finishing = [asyncio.create_task(recognizer.finish(f"CA{number}/u1")) for number in range(20)]
    await server.until(lambda: len(server.asked) == 20)
    gate.set()
    texts = [transcript.text for transcript in await asyncio.gather(*finishing)]
    assert sorted(texts) == sorted(f"Words {number}." for number in range(20))
    await recognizer.close()


async def test_cancel_hangs_up_and_gives_nothing(server: Server) -> None:
    server.script("stt", [asyncio.Event(), "Hello."])
    recognizer = OpenAIRecognizer(server.settings())
    await recognizer.hear(block())
    finishing = asyncio.create_task(recognizer.finish("CA1/u1"))
    await server.until(lambda: server.asked)
    recognizer.cancel("CA1/u1")
    assert await finishing == Transcript("", final=True)
    await server.until(server.asked[0].gone.is_set)
    await recognizer.close()


async def test_a_refusal_that_may_pass_is_tried_again_and_others_are_errors(server: Server) -> None:
    server.script("stt", [Status(503, "")], [BREAK, ""], ["Hello."])
    recognizer = OpenAIRecognizer(server.settings(retries=2))
    await recognizer.hear(block())
    assert (await recognizer.finish("CA1/u1")).text == "Hello."
    await recognizer.close()
    with pytest.raises(EngineError, match="400 too short"):
        await heard(server, Status(400, {"error": {"message": "too short"}}))
    with pytest.raises(EngineError, match="otherwise than OpenAI's API"):
        await heard(server, Status(200, {"words": "hello"}))


async def test_load_asks_for_the_recognizers_model(server: Server) -> None:
    recognizer = OpenAIRecognizer(server.settings(transcription_model="other"))
    with pytest.raises(EngineError, match=r"no model 'other'.*transcription_model"):
        await recognizer.load()
    await recognizer.close()
