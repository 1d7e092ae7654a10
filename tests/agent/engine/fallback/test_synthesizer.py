"""A synthesizer that breaks, and espeak-ng that speaks in its place."""

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from agent.engine.base import SpeakRequest, Speech, Word
from agent.engine.embedded.synthesizer import EspeakSynthesizer
from agent.engine.fallback import synthesizer as module
from agent.engine.fallback.circuit_breaker import CircuitBreaker
from agent.engine.fallback.synthesizer import FallbackSynthesizer
from agent.exceptions import EngineError

TEXT = "We are open until five."


class Voice:
    """Speaks word by word; breaks before a word, or hangs there."""

    rate = 24_000

    def __init__(self) -> None:
        self.break_at = -1
        self.error: Exception | None = EngineError("the voice is gone")
        self.asked = 0
        self.cancelled: list[str] = []
        self.log: list[str] = []

    async def load(self) -> None:
        self.log.append("load")

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        self.asked += 1
        for number, word in enumerate(request.text.split()):
            if number == self.break_at:
                if self.error:
                    raise self.error
                await asyncio.Event().wait()
            yield Speech(np.zeros(2400, np.float32), self.rate, (Word(word, 0, 100),))

    def cancel(self, request: str) -> None:
        self.cancelled.append(request)

    async def close(self) -> None:
        self.log.append("close")


@pytest.fixture
async def embedded() -> AsyncGenerator[EspeakSynthesizer, None]:
    made = EspeakSynthesizer()
    yield made
    await made.close()


async def speak(synthesizer: FallbackSynthesizer, text: str = TEXT, language: str = "en-us") -> list[Speech]:
    request = SpeakRequest("CA1/1.0.0", text, "af_heart", 1.0, language)
    return [piece async for piece in synthesizer.speak(request)]


def words(pieces: list[Speech]) -> str:
    return " ".join(word.text for piece in pieces for word in piece.words)


def by_voice(pieces: list[Speech]) -> str:
    return words([piece for piece in pieces if piece.rate == Voice.rate])


async def test_a_voice_that_works_speaks_alone(embedded: EspeakSynthesizer) -> None:
    voice = Voice()
    pieces = await speak(FallbackSynthesizer(voice, embedded, CircuitBreaker("synthesizer", 3600)))
    assert by_voice(pieces) == words(pieces) == TEXT


@pytest.mark.parametrize(
    "error", [EngineError("the voice is gone"), ValueError("a bug"), None], ids=["fails", "has a bug", "hangs"]
)
@pytest.mark.parametrize(("break_at", "own"), [(0, ""), (2, "We are"), (4, "We are open until")])
async def test_what_it_has_not_spoken_is_spoken_by_espeak(
    embedded: EspeakSynthesizer,
    monkeypatch: pytest.MonkeyPatch,
    break_at: int,
    own: str,
    error: Exception | None,
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.01)
    voice = Voice()
    voice.break_at, voice.error = break_at, error
    synthesizer = FallbackSynthesizer(voice, embedded, CircuitBreaker("synthesizer", 3600))
    pieces = await speak(synthesizer)
    assert by_voice(pieces) == own
    assert words(pieces) == TEXT
    assert np.abs(pieces[-1].audio).max() > 0.5
    assert synthesizer.breaker.failures == 1
    assert voice.cancelled == ["CA1/1.0.0"]


async def test_who_breaks_after_the_last_word_has_said_it_all(embedded: EspeakSynthesizer) -> None:
    class Late(Voice):
        async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
            async for piece in super().speak(request):
                yield piece
            raise EngineError("too late")

    assert words(await speak(FallbackSynthesizer(Late(), embedded, CircuitBreaker("synthesizer", 3600)))) == TEXT


async def test_a_lost_voice_is_not_asked_until_it_is_time(embedded: EspeakSynthesizer) -> None:
    voice = Voice()
    voice.break_at = 0
    synthesizer = FallbackSynthesizer(voice, embedded, CircuitBreaker("synthesizer", 3600))
    for _ in range(4):
        assert words(await speak(synthesizer)) == TEXT
    assert voice.asked == 2
    voice.break_at = -1
    again = FallbackSynthesizer(voice, embedded, CircuitBreaker("synthesizer", 1e-6))
    for _ in range(2):
        again.breaker.failed("CA1", EngineError("gone"))
    assert by_voice(await speak(again)) == TEXT
    assert not again.breaker.lost


async def test_espeak_speaks_the_callers_language(embedded: EspeakSynthesizer) -> None:
    voice = Voice()
    voice.break_at = 0
    synthesizer = FallbackSynthesizer(voice, embedded, CircuitBreaker("synthesizer", 3600))
    english, hindi = await speak(synthesizer, "123"), await speak(synthesizer, "123", "hi")
    assert words(english) == words(hindi) == "123"
    assert len(english[0].audio) != len(hindi[0].audio)


async def test_cancelling_reaches_both_and_so_do_load_and_close(embedded: EspeakSynthesizer) -> None:
    voice, other = Voice(), Voice()
    synthesizer = FallbackSynthesizer(voice, other, CircuitBreaker("synthesizer", 3600))
    await synthesizer.load()
    synthesizer.cancel("CA1/1.0.0")
    await synthesizer.close()
    assert voice.cancelled == other.cancelled == ["CA1/1.0.0"]
    assert voice.log == other.log == ["load", "close"]


async def test_who_stops_listening_costs_the_voice_no_failure(embedded: EspeakSynthesizer) -> None:
    voice = Voice()
    synthesizer = FallbackSynthesizer(voice, embedded, CircuitBreaker("synthesizer", 3600))
    pieces = synthesizer.speak(SpeakRequest("CA1/1.0.0", TEXT))
    await anext(pieces)
    await pieces.aclose()
    assert synthesizer.breaker.failures == 0
