"""People's recordings as they come over the phone, and their words."""

import numpy as np
import soxr

from agent.engine.base import FloatArray
from audio import g711

SPOKEN = {
    "cards-1": "ten of clubs",
    "cards-2": "four queen of clubs",
    "cards-3": "seven of clubs",
    "goforward": "go forward ten meters",
    "numbers": "thirty three four or six ninety two",
}


def telephone(audio: FloatArray, rate: int, seed: int = 0, level_db: float = -22) -> bytes:
    """Audio over the phone: 8 kHz, its level, line noise, G.711, silence before and after."""
    line = soxr.resample(audio, rate, 8000)
    line = line * (10 ** (level_db / 20) / np.sqrt(np.mean(line[np.abs(line) > 0.01] ** 2)))
    line = np.concatenate([np.zeros(1600), line, np.zeros(3200)])
    line = line + np.random.default_rng(seed).standard_normal(len(line)) * 10 ** (-60 / 20)
    return g711.decode(g711.encode((np.clip(line, -1, 1) * 32767).astype("<i2").tobytes()))
