"""A recognizer that breaks, and pocketsphinx that hears the same utterance in its place."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

import config
from agent.engine.base import SpeechBlock, Transcript
from agent.engine.embedded.recognizer import PocketsphinxRecognizer
from agent.engine.embedded.synthesizer import say
from agent.engine.fallback import recognizer as module
from agent.engine.fallback.circuit_breaker import CircuitBreaker
from agent.engine.fallback.recognizer import FallbackRecognizer
from agent.exceptions import EngineError
from audio.resample import to_both, to_line
from config.agent import AgentSettings, load_agents

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one embedded recognizer for all: it takes a while to load

AGENTS = load_agents(Path(config.__file__).parent / "agents") | {"talker": AgentSettings(name="talker")}
SAID = "what are your opening hours"
PCM = bytes(3200) + to_line(*say(SAID, "en-us+adam", 0.9)) + bytes(6400)
WIDE = bytes(6400) + to_both(*say(SAID, "en-us+adam", 0.9))[1] + bytes(12_800)


class Ears:
    """Counts what it hears; breaks at a block, or at the end, or hangs there."""

    def __init__(self, break_at: int | None = None) -> None:
        self.break_at = break_at  # -1: at the end
        self.error: Exception | None = EngineError("the ears are gone")
        self.heard: dict[str, int] = {}
        self.log: list[str] = []
        self.cancelled: list[str] = []

    async def load(self) -> None:
        self.log.append("load")

    async def hear(self, block: SpeechBlock) -> Transcript:
        self.heard[block.utterance] = self.heard.get(block.utterance, 0) + 1
        if self.heard[block.utterance] - 1 == self.break_at:
            await self._break()
        return Transcript(f"{self.heard[block.utterance]} blocks")

    async def finish(self, utterance: str) -> Transcript:
        if self.break_at == -1:
            await self._break()
        return Transcript(f"all {self.heard.pop(utterance, 0)}", final=True)

    async def _break(self) -> None:
        if self.error:
            raise self.error
        await asyncio.Event().wait()

    def cancel(self, utterance: str) -> None:
        self.cancelled.append(utterance)

    async def close(self) -> None:
        self.log.append("close")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedded() -> AsyncGenerator[PocketsphinxRecognizer, None]:
    made = PocketsphinxRecognizer(AGENTS, decoders=1)
    await made.load()
    yield made
    assert not made._utterances
    await made.close()


def with_ears(ears: Ears, embedded: PocketsphinxRecognizer, lost_s: float = 3600) -> FallbackRecognizer:
    return FallbackRecognizer(ears, embedded, CircuitBreaker("recognizer", lost_s), AGENTS)


async def recognize(
    recognizer: FallbackRecognizer,
    name: str = "CA1/u1",
    agent: str = "front_desk",
    narrow: bytes = b"",
    wide: bytes = b"",
) -> tuple[list[str], Transcript]:
    partials = []
    narrow = narrow or PCM
    for at in range(0, len(narrow), 3200):
        block = SpeechBlock(name, "CA1", agent, narrow[at : at + 3200], wide=wide[2 * at : 2 * at + 6400])
        partials.append((await recognizer.hear(block)).text)
    return partials, await recognizer.finish(name)


async def test_ears_that_work_hear_alone(embedded: PocketsphinxRecognizer) -> None:
    recognizer = with_ears(Ears(), embedded)
    partials, final = await recognize(recognizer)
    assert partials[:2] == ["1 blocks", "2 blocks"]
    assert final.text == f"all {len(partials)}"
    assert not recognizer._utterances


@pytest.mark.parametrize(
    "error", [EngineError("the ears are gone"), ValueError("a bug"), None], ids=["fails", "has a bug", "hangs"]
)
@pytest.mark.parametrize("break_at", [0, 5, -1])
async def test_the_whole_utterance_is_heard_by_pocketsphinx(
    embedded: PocketsphinxRecognizer, monkeypatch: pytest.MonkeyPatch, break_at: int, error: Exception | None
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.01)
    ears = Ears(break_at)
    ears.error = error
    recognizer = with_ears(ears, embedded)
    partials, final = await recognize(recognizer)
    assert final.text == SAID
    assert break_at < 0 or SAID.startswith(partials[-1])
    assert ears.cancelled == ["CA1/u1"]
    assert recognizer.breaker.failures == 1
    assert not recognizer._utterances


async def test_of_a_wide_band_line_pocketsphinx_hears_the_16_khz(embedded: PocketsphinxRecognizer) -> None:
    """The whole of it, whenever the models are lost; what is at 8 kHz here is noise, of which it would hear nothing."""
    noise = np.random.default_rng(0).integers(-9000, 9000, len(PCM) // 2).astype("<i2").tobytes()
    for break_at in (0, 5, -1):
        recognizer = with_ears(Ears(break_at), embedded)
        assert (await recognize(recognizer, narrow=noise, wide=WIDE))[1].text == SAID


async def test_lost_ears_are_not_asked_until_it_is_time(embedded: PocketsphinxRecognizer) -> None:
    ears = Ears(0)
    recognizer = with_ears(ears, embedded)
    for number in range(3):
        assert (await recognize(recognizer, f"CA1/u{number}"))[1].text == SAID
    assert set(ears.heard) == {"CA1/u0", "CA1/u1"}
    back = with_ears(Ears(), embedded, lost_s=1e-6)
    for _ in range(2):
        back.breaker.failed("CA1", EngineError("gone"))
    assert "all" in (await recognize(back))[1].text
    assert not back.breaker.lost


async def test_who_talks_to_an_agent_without_dialogue_is_not_understood(embedded: PocketsphinxRecognizer) -> None:
    for break_at in (1, -1):
        ears = Ears(break_at)
        partials, final = await recognize(with_ears(ears, embedded), agent="talker")
        assert final == Transcript("", final=True)
        assert partials[0] == "1 blocks"
        assert break_at < 0 or set(partials[1:]) == {""}
        assert len(ears.cancelled) == 1


async def test_pocketsphinx_failing_too_is_no_understanding(
    embedded: PocketsphinxRecognizer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.engine.embedded.recognizer.FINISH_S", 0.01)
    pool = embedded._pools["front_desk"]
    decoder = pool.get_nowait()
    _, final = await recognize(with_ears(Ears(-1), embedded))
    pool.put_nowait(decoder)
    assert final == Transcript("", final=True)
    assert "nothing was understood: " in caplog.text


async def test_a_cancelled_utterance_leaves_nothing_behind(embedded: PocketsphinxRecognizer) -> None:
    ears = Ears(1)
    ears.error = None
    recognizer = with_ears(ears, embedded)
    block = SpeechBlock("CA1/u1", "CA1", "front_desk", PCM[:16_000])
    await recognizer.hear(block)
    hearing = asyncio.create_task(recognizer.hear(block))
    await asyncio.sleep(0)
    recognizer.cancel("CA1/u1")
    recognizer.cancel("CA1/u1")
    assert await recognizer.finish("CA1/u1") == Transcript("", final=True)
    hearing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hearing
    assert not recognizer._utterances


async def test_an_utterance_cancelled_while_the_ears_break_is_not_heard_anew(
    embedded: PocketsphinxRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.01)
    ears = Ears(0)
    ears.error = None
    recognizer = with_ears(ears, embedded)
    hearing = asyncio.create_task(recognizer.hear(SpeechBlock("CA1/u1", "CA1", "front_desk", PCM)))
    await asyncio.sleep(0)
    recognizer.cancel("CA1/u1")
    assert await hearing == Transcript("")
    assert not embedded._utterances


async def test_what_is_kept_is_bounded(embedded: PocketsphinxRecognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    monkeypatch.setattr(module, "MAX_UTTERANCES", 2)
    recognizer = with_ears(Ears(), embedded)
    for name in ("1", "2", "1", "2"):
        await recognizer.hear(SpeechBlock(name, "CA1", "front_desk", bytes(800)))
    assert [len(said.audio) for said in recognizer._utterances.values()] == [1000, 1000]
    with pytest.raises(EngineError, match="too many"):
        await recognizer.hear(SpeechBlock("3", "CA1", "front_desk", bytes(800)))
    recognizer.cancel("1")
    await recognizer.hear(SpeechBlock("3", "CA1", "front_desk", bytes(800)))


async def test_only_the_models_part_is_loaded_and_closed_here(embedded: PocketsphinxRecognizer) -> None:
    ears = Ears()
    recognizer = with_ears(ears, embedded)
    await recognizer.load()
    await recognizer.close()
    assert ears.log == ["load", "close"]
