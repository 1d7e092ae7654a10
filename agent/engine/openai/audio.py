"""The caller's audio as models take it."""

import io
import wave

import numpy as np
import soxr

from agent.engine.base import CALLER_RATE

RATE = 16_000  # Hz; what speech models are trained on


def to_wav(pcm: bytes) -> bytes:
    """The caller's 8 kHz mono PCM16 as a WAV file of 16 kHz mono PCM16. 4 s take about a millisecond."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
    wide = np.asarray(soxr.resample(samples, CALLER_RATE, RATE), "<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(RATE)
        wav.writeframes(wide.tobytes())
    return file.getvalue()
