"""Finds keys in audio as a telephone exchange does: by the tones' energies (Goertzel), told from speech and silence."""

import numpy as np
from numpy.typing import NDArray

from audio.tones import COLUMNS, KEYS, ROWS

BLOCK_MS = 25
LEAST = 10 ** (-25 / 20) * 32768  # of the amplitude of each tone (Q.24 wants -25 dBm to be heard)
SHARE = 0.85  # of the block's energy that lies in the two tones


def heard_keys(pcm: bytes, rate: int = 8000) -> str:
    """The keys in PCM16, each once for as long as it sounds: two blocks at least, with a pause before the next."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    step = rate * BLOCK_MS // 1000 // 2
    blocks = [_key(samples[at : at + 2 * step], rate) for at in range(0, len(samples) - 2 * step + 1, step)]
    keys = ""
    for before, now, after in zip(["", *blocks], blocks, [*blocks[1:], ""], strict=False):
        if now and now != before and now == after:
            keys += now
    return keys


def _key(block: NDArray[np.float64], rate: int) -> str:
    rows, columns = ([goertzel(block, hertz, rate) for hertz in group] for group in (ROWS, COLUMNS))
    row, column = int(np.argmax(rows)), int(np.argmax(columns))
    both = rows[row] ** 2 / 2 + columns[column] ** 2 / 2
    if min(rows[row], columns[column]) < LEAST or both < SHARE * np.mean(block**2):
        return ""
    return KEYS[4 * row + column]


def goertzel(block: NDArray[np.float64], hertz: float, rate: int) -> float:
    """The amplitude of one frequency in a block."""
    coefficient = 2 * np.cos(2 * np.pi * hertz / rate)
    one = two = 0.0
    for sample in block:
        one, two = sample + coefficient * one - two, one
    power = one * one + two * two - coefficient * one * two
    return float(2 * np.sqrt(max(power, 0.0)) / len(block))
