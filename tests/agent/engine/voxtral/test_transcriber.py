import asyncio

import pytest

from agent.engine.base import SpeechBlock, Transcript
from agent.engine.voxtral import model
from agent.engine.voxtral import streaming_mel as listening
from agent.engine.voxtral.mel import LONGEST, MelSpectrogram
from agent.engine.voxtral.model import VoxtralModel
from audio.rate import WIDE_RATE
from tests.agent.engine.voxtral.speaking import pcm
from tests.agent.engine.voxtral.test_model import events, polite, rambling, request

__all__ = ["polite", "rambling"]


def block(utterance: str, audio: bytes, agent: str = "desk") -> SpeechBlock:
    return SpeechBlock(utterance, "call", agent, audio)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random words end nowhere."""
    monkeypatch.setattr(model, "TRANSCRIPT_TOKENS", 12)


async def test_an_utterance_is_written_down_when_it_is_over(polite: VoxtralModel) -> None:
    recognizer = polite.transcriber
    for piece in range(4):
        assert await recognizer.hear(block("a", pcm(piece, 0.2))) == Transcript("")
    assert await recognizer.finish("a") == Transcript("good morning", final=True)
    assert await recognizer.finish("a") == Transcript("", final=True), "it is forgotten"


async def test_it_is_the_audio_that_is_written_down(rambling: VoxtralModel) -> None:
    recognizer = rambling.transcriber
    texts = []
    for name, seed in (("b", 1), ("c", 1), ("d", 2)):
        await recognizer.hear(block(name, pcm(seed, 2)))
        texts.append((await recognizer.finish(name)).text)
    assert texts[0] == texts[1] != texts[2]


async def test_a_reply_finds_what_was_heard_while_the_caller_spoke(
    rambling: VoxtralModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = request("r", audio=pcm(11, 2.1))
    expected = await events(rambling, asked)
    assert rambling._loaded
    rambling._loaded.streams._loop._decoder._heard.clear()
    for at in range(0, 32_000, 3200):
        await rambling.transcriber.hear(SpeechBlock("k", asked.call, "desk", asked.audio[at : at + 3200]))
    monkeypatch.setattr(MelSpectrogram, "__call__", lambda *_: pytest.fail("it was computed at once"))
    assert await events(rambling, asked) == expected
    assert (await rambling.transcriber.finish("k")).text


async def test_of_a_wide_band_line_16_khz_is_written_down_and_answered(
    rambling: VoxtralModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow, wide = pcm(21, 2.1), pcm(21, 2.1, WIDE_RATE)
    asked = request("w", audio=narrow, wide=wide)
    expected = await events(rambling, asked)
    assert expected != await events(rambling, request("n", audio=narrow))
    assert rambling._loaded
    rambling._loaded.streams._loop._decoder._heard.clear()
    for at in range(0, 32_000, 3200):
        piece = SpeechBlock("w", asked.call, "desk", narrow[at : at + 3200], wide=wide[2 * at : 2 * at + 6400])
        await rambling.transcriber.hear(piece)
    monkeypatch.setattr(MelSpectrogram, "__call__", lambda *_: pytest.fail("it was computed at once"))
    assert await events(rambling, asked) == expected
    heard = (await rambling.transcriber.finish("w")).text
    await rambling.transcriber.hear(block("o", narrow[:32_000]))
    assert heard != (await rambling.transcriber.finish("o")).text


async def test_the_agents_language_is_told(rambling: VoxtralModel) -> None:
    recognizer = rambling.transcriber
    texts = []
    for agent in ("desk", "indian", "unknown"):
        await recognizer.hear(block(agent, pcm(1, 2), agent))
        texts.append((await recognizer.finish(agent)).text)
    assert texts[0] == texts[2] != texts[1]


async def test_many_at_once(polite: VoxtralModel) -> None:
    recognizer = polite.transcriber
    for number in range(12):
        await recognizer.hear(block(f"e{number}", pcm(number, 0.3)))
    texts = await asyncio.gather(*(recognizer.finish(f"e{number}") for number in range(12)))
    assert texts == [Transcript("good morning", final=True)] * 12


async def test_an_unknown_or_cancelled_utterance_is_empty(polite: VoxtralModel) -> None:
    recognizer = polite.transcriber
    await recognizer.hear(block("f", pcm(1)))
    recognizer.cancel("f")
    recognizer.cancel("never")
    assert await recognizer.finish("f") == Transcript("", final=True)
    assert await recognizer.finish("never") == Transcript("", final=True)


async def test_cancelling_ends_a_transcript(rambling: VoxtralModel) -> None:
    recognizer = rambling.transcriber
    await recognizer.hear(block("g", pcm(1)))
    task = asyncio.create_task(recognizer.finish("g"))
    await asyncio.sleep(0)  # it has begun
    assert "g" in rambling._jobs
    recognizer.cancel("g")
    assert await task == Transcript("", final=True)
    assert "g" not in rambling._jobs


async def test_audio_is_bounded(polite: VoxtralModel, monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = polite.transcriber
    for _ in range(4):
        await recognizer.hear(block("h", pcm(1, 10)))
    item = polite.listening.get("h")
    assert item
    assert len(item.mel.whole()[0]) == 2 * LONGEST
    monkeypatch.setattr(listening, "MAX_UTTERANCES", 1)
    await recognizer.hear(block("i", pcm(1)))
    assert list(polite.listening._utterances) == ["i"], "the oldest is forgotten"
    await recognizer.close()
    assert not polite.listening._utterances
