"""The caller's audio as models take it."""

import io
import wave

import numpy as np
import soxr

from audio.rate import RATE, WIDE_RATE


def to_wav(pcm: bytes, rate: int = RATE) -> bytes:
    """The caller's mono PCM16 at `rate` Hz as a WAV file of 16 kHz mono PCM16. 4 s of 8 kHz take about 1 ms."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
    wide = samples if rate == WIDE_RATE else np.asarray(soxr.resample(samples, rate, WIDE_RATE), "<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(WIDE_RATE)
        wav.writeframes(wide.tobytes())
    return file.getvalue()
