"""Replacing missing audio and stretching or shortening it, with little effect on ear and recognizer. PCM16."""

import numpy as np
from numpy.typing import NDArray

from audio.rate import NARROW, Rate

FADE_MS = 60  # over which concealed audio fades out
HISTORY_MS = 40  # of past audio to work from
MIN_PITCH_MS, MAX_PITCH_MS = 5, 20  # 200 to 50 Hz; higher voices repeat two periods

SEAM_MS = 5  # of cross-fade, in the middle of a frame
MIN_LAG_MS, MAX_LAG_MS = 4, 10  # taken out or put in


def conceal(previous: bytes, n: int, rate: Rate = NARROW) -> bytes:
    """`n` samples that continue `previous`: its last pitch period, fading to silence over 60 ms.

    Less than 40 ms of `previous` gives silence.
    """
    fade, history = FADE_MS * rate.per_ms, HISTORY_MS * rate.per_ms
    count = min(n, fade)
    if len(previous) < 2 * history or count <= 0:
        return bytes(2 * n)
    past = np.frombuffer(previous[-2 * history :], "<i2").astype(np.float32)
    period = past[-_pitch(past, rate) :]
    repeated = np.resize(period, count) * np.linspace(1, 1 - count / fade, count, endpoint=False)
    return repeated.astype("<i2").tobytes() + bytes(2 * (n - count))


def _pitch(past: NDArray[np.float32], rate: Rate) -> int:
    """The lag at which the last 20 ms are most similar to the past, in samples."""
    least = MIN_PITCH_MS * rate.per_ms
    lags = np.arange(least, MAX_PITCH_MS * rate.per_ms + 1)
    recent = past[-rate.frame :]
    # Entry k of `likeness` compares with what begins at past[k]: a lag of a frame less k.
    likeness = np.correlate(past[: len(past) - least], recent, "valid")
    squares = np.concatenate(([0.0], np.cumsum(past * past)))
    starts = len(past) - rate.frame - lags
    energy = squares[starts + rate.frame] - squares[starts]
    return int(lags[np.argmax(likeness[starts] / np.sqrt(energy + 1.0))])


def fade_out(pcm: bytes) -> bytes:
    """The same audio, fading to silence."""
    samples = np.frombuffer(pcm, "<i2")
    return (samples * np.linspace(1, 0, len(samples), endpoint=False)).astype("<i2").tobytes()


def splice(pcm: bytes, longer: bool, rate: Rate = NARROW) -> tuple[bytes, int]:
    """20 ms of `pcm`, spliced where it fits best: (PCM16, samples of `pcm` used up).

    With `longer` 4 to 10 ms are repeated and less than 20 ms used; else as many are left out and more are used: `pcm`
    must hold 30 ms.
    """
    frame, head, wide = rate.frame, rate.frame // 2, SEAM_MS * rate.per_ms
    samples = np.frombuffer(pcm[: 2 * (frame + MAX_LAG_MS * rate.per_ms)], "<i2").astype(np.float32)
    lags = np.arange(MIN_LAG_MS * rate.per_ms, MAX_LAG_MS * rate.per_ms + 1) * (-1 if longer else 1)
    seam = samples[head : head + wide]
    windows = samples[head + lags[:, None] + np.arange(wide)]
    lag = int(lags[np.argmin(((windows - seam) ** 2).sum(axis=1))])
    rising = np.linspace(0, 1, wide, endpoint=False, dtype=np.float32)
    after = samples[head + lag : frame + lag].copy()
    after[:wide] = seam * (1 - rising) + after[:wide] * rising
    return np.concatenate((samples[:head], after)).astype("<i2").tobytes(), frame + lag
