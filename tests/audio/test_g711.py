"""G.711 mu-law."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audio import g711


def test_silence_is_silence() -> None:
    assert g711.decode(g711.SILENCE) == b"\0\0"
    assert g711.encode(b"\0\0") == g711.SILENCE


@given(st.binary(max_size=400))
def test_decoding_and_encoding_again_gives_the_same_sound(ulaw: bytes) -> None:
    assert g711.decode(g711.encode(g711.decode(ulaw))) == g711.decode(ulaw)


def test_the_error_is_that_of_the_standard() -> None:
    tone = (12_000 * np.sin(np.arange(8000) * 2 * np.pi * 440 / 8000)).astype("<i2")
    back = np.frombuffer(g711.decode(g711.encode(tone.tobytes())), "<i2").astype(float)
    noise = np.sqrt(np.mean((back - tone) ** 2)) / np.sqrt(np.mean(tone.astype(float) ** 2))
    assert 20 * np.log10(noise) < -35  # G.711 reaches some 38 dB
