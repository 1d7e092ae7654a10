"""From a synthesizer's rate to the line's."""

import numpy as np
import pytest

from telephony.audio.resample import resample, to_line, to_pcm16


def tone(hertz: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 24_000])
def test_a_tone_keeps_its_length_level_and_place(rate: int) -> None:
    line = np.frombuffer(to_line(tone(440, rate), rate), "<i2") / 32768
    assert len(line) == pytest.approx(4000, abs=1)
    middle = slice(400, 3600)
    np.testing.assert_allclose(line[: len(line)][middle], tone(440, 8000)[: len(line)][middle], atol=0.01)


def test_what_a_phone_cannot_carry_is_removed_not_folded_down() -> None:
    assert np.abs(resample(tone(6000, 24_000), 24_000, 8000)[100:-100]).max() < 0.02


def test_too_loud_audio_is_clipped_not_wrapped() -> None:
    assert np.frombuffer(to_pcm16(np.array([1.5, -1.5, 0.0], np.float32)), "<i2").tolist() == [32767, -32767, 0]
