"""WAV files."""

import wave
from pathlib import Path

import numpy as np
import pytest

from audio import wav


def test_what_was_written_is_read(tmp_path: Path) -> None:
    left, right = np.array([0, 16_384, -16_384], np.int16), np.array([0, 16_384], np.int16)
    wav.write(tmp_path / "a.wav", [left, right], 8000)
    samples, rate = wav.read(tmp_path / "a.wav")
    assert rate == 8000
    assert samples.tolist() == [0.0, 0.5, -0.25]  # the mean of both channels, the shorter one padded


def test_what_is_no_wav_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"a\.wav"):
        wav.read(tmp_path / "a.wav")
    with wave.open(str(tmp_path / "b.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x80" * 10)
    with pytest.raises(ValueError, match="8-bit"):
        wav.read(tmp_path / "b.wav")
