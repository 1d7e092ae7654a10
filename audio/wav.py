"""WAV files, 16-bit PCM."""

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config import private


def read(path: Path) -> tuple[NDArray[np.float32], int]:
    """Read a 16-bit WAV file: (mono float32 in -1..1, rate in Hz); several channels are averaged.

    Raises ValueError when the file is no 16-bit PCM WAV.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate, frames = file.getparams()[:4]
            data = file.readframes(frames)
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path}: not a WAV file: {error}") from error
    if width != 2:
        raise ValueError(f"{path}: {8 * width}-bit samples; only 16-bit PCM is read")
    samples = np.frombuffer(data, "<i2").astype(np.float32) / 32768.0
    return samples.reshape(-1, channels).mean(axis=1, dtype=np.float32), rate


def write(path: Path, channels: Sequence[NDArray[np.int16]], rate: int) -> None:
    """Write int16 channels of any lengths (shorter ones are padded with silence) as one WAV file."""
    length = max(len(channel) for channel in channels)
    samples = np.zeros((length, len(channels)), "<i2")
    for index, channel in enumerate(channels):
        samples[: len(channel), index] = channel
    with open(path, "wb", opener=private.opener) as plain, wave.open(plain, "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
