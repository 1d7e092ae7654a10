"""An engine of fixed delays, for load tests and comparisons: it hears nothing, says numbered words, and hums them."""

import asyncio
from collections.abc import AsyncGenerator

import numpy as np

from agent.engine.base import Cue, Done, FloatArray, ModelEvent, Next, ReplyRequest, SpeakRequest, Speech, Text, Word
from audio.rate import RATE
from config.engine import SimulatedSettings

TONE_HZ = 440
LEVEL = 0.25
GAP = 0.2  # the part of a word that is silent, so that words can be told apart


class SimulatedModel:
    """Answers every turn with the same number of words, at a fixed pace; says goodbye when told to."""

    def __init__(self, settings: SimulatedSettings) -> None:
        self._settings = settings

    async def load(self) -> None:
        """Nothing to load."""

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        """See SpeechModel."""
        settings = self._settings
        if request.cue is Cue.GREET and not settings.greeting:
            yield Done()
            return
        await asyncio.sleep(settings.first_word_ms / 1000)
        for number in range(1, settings.words + 1):
            last = number == settings.words
            end = "." if last or number % settings.words_per_sentence == 0 else ""
            yield Text(f"word{number}{end}" + ("" if last else " "))
            if not last and settings.word_ms:
                await asyncio.sleep(settings.word_ms / 1000)
        last_words = request.cue in (Cue.FAREWELL, Cue.SHUTDOWN)
        yield Done(next=Next.HANG_UP if last_words else Next.LISTEN)

    def cancel(self, request: str) -> None:
        """Nothing runs outside the generator."""

    async def close(self) -> None:
        """Nothing to give back."""


class SimulatedSynthesizer:
    """Hums every word for a fixed time, a word a piece, faster than real time by a fixed factor."""

    def __init__(self, settings: SimulatedSettings) -> None:
        self._settings = settings
        self._word = hum(settings.audio_ms_per_word)

    async def load(self) -> None:
        """Nothing to load."""

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        """See Synthesizer."""
        settings = self._settings
        await asyncio.sleep(settings.first_audio_ms / 1000)
        for word in request.text.split():
            duration = settings.audio_ms_per_word
            yield Speech(self._word, RATE, (Word(word, 0, duration * (1 - GAP)),))
            await asyncio.sleep(duration / settings.delivery_speed / 1000)

    def cancel(self, request: str) -> None:
        """Nothing runs outside the generator."""

    async def close(self) -> None:
        """Nothing to give back."""


def hum(duration_ms: int) -> FloatArray:
    """One word: a tone with soft edges and a gap after it; mono float32 at 8 kHz."""
    length = RATE * duration_ms // 1000
    sound = int(length * (1 - GAP))
    samples: FloatArray = np.zeros(length, np.float32)
    samples[:sound] = LEVEL * np.sin(2 * np.pi * TONE_HZ / RATE * np.arange(sound))
    edge = min(40, sound // 2)
    if edge:
        ramp = np.linspace(0, 1, edge, dtype=np.float32)
        samples[:edge] *= ramp
        samples[sound - edge : sound] *= ramp[::-1]
    return samples
