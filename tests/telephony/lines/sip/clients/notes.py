"""Replies made of sounds, no two alike, that no detector takes for speech: echoed, they do not interrupt."""

import asyncio
from collections.abc import AsyncGenerator
from random import Random

import numpy as np

from agent.engine.base import Engine, SpeakRequest, Speech
from agent.engine.simulated import GAP, LEVEL, SimulatedModel, SimulatedSynthesizer, Word
from audio.rate import RATE
from config.engine import SimulatedSettings

WORD_MS = 200


class Notes(SimulatedSynthesizer):
    """Each word is a tone that glides from one pitch to another."""

    def __init__(self, settings: SimulatedSettings) -> None:
        super().__init__(settings)
        self._random = Random(8)

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        """See Synthesizer."""
        time = np.arange(int(WORD_MS * (1 - GAP) / 1000 * RATE)) / RATE
        for word in request.text.split():
            low, high = (self._random.uniform(300, 3000) for _ in range(2))
            sound = np.zeros(WORD_MS * RATE // 1000, np.float32)
            phase = 2 * np.pi * (low * time + (high - low) * time**2 / (2 * time[-1]))
            sound[: len(time)] = LEVEL * np.sin(phase)
            yield Speech(sound, RATE, (Word(word, 0, WORD_MS * (1 - GAP)),))
            await asyncio.sleep(0)


def singing(words: int = 8) -> Engine:
    """So many sounds for every reply, without delay."""
    settings = SimulatedSettings(first_word_ms=0, word_ms=0, first_audio_ms=0, words=words)
    return Engine(SimulatedModel(settings), Notes(settings))
