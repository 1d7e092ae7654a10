"""Sounds for the tests of wide-band audio, and Opus packets of any length."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from audio.rate import WIDE, Rate
from telephony.lines.rtp.opus import MAX_BYTES, Opus


@cache
def voice(seconds: float, hz: int = 16_000) -> bytes:
    """Voice-like PCM16: a gliding pitch with harmonics up to half the rate, in syllables."""
    t = np.arange(int(seconds * hz)) / hz
    phase = 2 * np.pi * np.cumsum(140 + 25 * np.sin(2 * np.pi * 0.7 * t)) / hz
    harmonics = sum(np.sin(k * phase + k) / k**1.5 for k in range(1, hz // 400))
    return bytes((4000 * harmonics * (0.2 + np.abs(np.sin(2 * np.pi * 2 * t)))).astype("<i2"))


@cache
def hiss(seconds: float, hz: int = 16_000, low: float = 5000, high: float = 7000) -> bytes:
    """Noise in a band, PCM16: by default one that 8 kHz cannot carry."""
    count = int(seconds * hz)
    spectrum = np.fft.rfft(np.random.default_rng(6).standard_normal(count))
    at = np.fft.rfftfreq(count, 1 / hz)
    band = np.fft.irfft(spectrum * ((at > low) & (at < high)), count)
    return bytes((band / np.abs(band).max() * 20_000).astype("<i2"))


def samples(pcm: bytes) -> NDArray[np.float64]:
    """PCM16 as numbers."""
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def share(pcm: bytes, low: float, high: float, hz: int = 16_000) -> float:
    """How much of the energy lies in a band, 0 to 1."""
    energy = np.abs(np.fft.rfft(samples(pcm))) ** 2
    at = np.fft.rfftfreq(len(pcm) // 2, 1 / hz)
    return float(energy[(at >= low) & (at < high)].sum() / energy.sum())


def likest(sent: bytes, heard: bytes, most: int = 4000) -> tuple[float, int]:
    """The best correlation of what was heard with what was sent, and by how many samples it is late."""
    a, b = samples(sent), samples(heard)
    size = 1 << (len(a) + len(b)).bit_length()
    crossed = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)[:most]
    late = int(np.argmax(crossed))
    count = min(len(a), len(b) - late)
    return float(np.corrcoef(a[:count], b[late : late + count])[0, 1]), late


def packets(pcm: bytes, ms: int, rate: Rate = WIDE, *, pauses: bool = False) -> list[bytes]:
    """Opus packets of 10, 20, 40 or 60 ms, with redundancy; with `pauses` silence is a byte or two (DTX)."""
    return list(_packets(pcm, ms, rate, pauses))


@cache
def _packets(pcm: bytes, ms: int, rate: Rate, pauses: bool) -> tuple[bytes, ...]:
    coder, count = Opus(rate, "useinbandfec=1"), rate.per_ms * ms
    coder._set(4016, int(pauses))
    made = []
    for at in range(0, len(pcm) - 2 * count + 1, 2 * count):
        piece = pcm[at : at + 2 * count]
        size = coder._library.opus_encode(coder._encoder, piece, count, coder._payload, MAX_BYTES)
        made.append(coder._payload.raw[:size])
    return tuple(made)
