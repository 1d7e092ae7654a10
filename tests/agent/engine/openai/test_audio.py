"""The caller's audio as a WAV file."""

import io
import wave

import numpy as np
import pytest

from agent.engine.openai.audio import to_wav
from audio.rate import RATE, WIDE_RATE


def read(data: bytes) -> tuple[np.ndarray, tuple[int, int, int]]:
    with wave.open(io.BytesIO(data)) as file:
        form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), form


def test_a_tone_keeps_its_pitch_level_and_length_at_twice_the_rate() -> None:
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)).astype("<i2")
    samples, form = read(to_wav(tone.tobytes()))
    assert form == (1, 2, 16_000)
    assert len(samples) == 16_000
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) == 440
    assert np.abs(samples[1000:-1000]).max() == pytest.approx(8000, rel=0.01)


def test_16_khz_stays_what_it_is() -> None:
    pcm = np.random.default_rng(0).integers(-9000, 9000, 1000).astype("<i2")
    samples, form = read(to_wav(pcm.tobytes(), WIDE_RATE))
    assert form == (1, 2, 16_000)
    assert np.array_equal(samples, pcm)


@pytest.mark.parametrize("rate", [RATE, WIDE_RATE])
@pytest.mark.parametrize("pcm", [b"", b"\x01", bytes(2), bytes(3)])
def test_hardly_any_audio_is_a_file_too(pcm: bytes, rate: int) -> None:
    samples, _ = read(to_wav(pcm, rate))
    assert len(samples) == len(pcm) // 2 * (WIDE_RATE // rate)
