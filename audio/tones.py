"""Keys as tones in the audio (DTMF, ITU-T Q.23), for lines that carry keys in no other way."""

from functools import cache

import numpy as np

from audio.rate import RATE
from config.keys import GAP_MS, PRESS_MS, WAITS_MS

KEYS = "123A456B789C*0#D"  # row by row
ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)  # Hz
LEVEL = 10 ** (-8 / 20)  # of each of the two tones, of full scale
EDGE_MS = 3  # in which a tone begins and ends, so that it does not click


def tones(keys: str, rate: int = RATE) -> bytes:
    """The keys and waits of config.keys as PCM16: 100 ms of each key, and 60 ms of silence after it."""
    return b"".join(bytes(2 * rate * WAITS_MS[key] // 1000) if key in WAITS_MS else _tone(key, rate) for key in keys)


@cache
def _tone(key: str, rate: int) -> bytes:
    row, column = divmod(KEYS.index(key), len(COLUMNS))
    seconds = np.arange(rate * PRESS_MS // 1000) / rate
    both = np.sin(2 * np.pi * ROWS[row] * seconds) + np.sin(2 * np.pi * COLUMNS[column] * seconds)
    edge = np.linspace(0, 1, rate * EDGE_MS // 1000, endpoint=False)
    both[: len(edge)] *= edge
    both[len(both) - len(edge) :] *= edge[::-1]
    silence = bytes(2 * (rate * GAP_MS // 1000))
    return bytes((both * LEVEL * 32767).astype("<i2")) + silence
