"""Listens to recordings with numbers: levels, silences, and where a sound that is known lies."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def sides(path: Path) -> tuple[Samples, Samples, int]:
    """The caller, the agent, and the rate in Hz."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert audio.shape[1] == 2
    return audio[:, 0], audio[:, 1], rate


def samples(pcm: bytes) -> Samples:
    """PCM16 as samples in -1..1."""
    return np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768


def level_db(sound: Samples) -> float:
    """Its RMS in dBFS; silence is -120."""
    return float(10 * np.log10(np.mean(sound.astype(np.float64) ** 2) + 1e-12)) if len(sound) else -120.0


def place(sound: Samples, within: Samples) -> int:
    """The sample at which a known sound begins, by cross-correlation."""
    size = 1 << (len(sound) + len(within)).bit_length()
    product = np.fft.rfft(within, size) * np.conj(np.fft.rfft(sound, size))
    return int(np.argmax(np.fft.irfft(product, size)[: len(within)]))


def noise(ms: int, seed: int, rate: int = 8000, level: int = 3000) -> bytes:
    """Something that is like nothing else, as PCM16: noise below 3 kHz, in syllables."""
    count = ms * rate // 1000
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(random.normal(size=count))
    hertz = np.fft.rfftfreq(count, 1 / rate)
    spectrum[(hertz < 200) | (hertz > 3000)] = 0
    sound = np.fft.irfft(spectrum, count)
    sound *= 1 + 0.6 * np.sin(2 * np.pi * 4 * np.arange(count) / rate)
    return (sound / np.sqrt(np.mean(sound**2)) * level).clip(-32_768, 32_767).astype("<i2").tobytes()
