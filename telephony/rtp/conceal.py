"""Making up for audio that is missing or too much, so that the ear and the recognizer notice little. 8 kHz PCM16."""

import numpy as np
from numpy.typing import NDArray

from telephony.rtp.codec import FRAME, SAMPLES_PER_MS

FADE = 60 * SAMPLES_PER_MS  # samples: what is concealed fades out over 60 ms
HISTORY = 2 * FRAME  # samples that are looked back on
MIN_PITCH, MAX_PITCH = 40, 160  # samples: 200 to 50 Hz; higher voices repeat two periods
LAGS = np.arange(MIN_PITCH, MAX_PITCH + 1)

HEAD = FRAME // 2  # samples of a frame before the seam
SEAM = 40  # samples that are faded over
MIN_LAG, MAX_LAG = 32, 80  # samples that are taken out or put in: 4 to 10 ms


def conceal(previous: bytes, n: int) -> bytes:
    """`n` samples that go on after `previous`: its last pitch period, fading to silence over 60 ms.

    Less than 40 ms of `previous` gives silence.
    """
    count = min(n, FADE)
    if len(previous) < 2 * HISTORY or count <= 0:
        return bytes(2 * n)
    past = np.frombuffer(previous[-2 * HISTORY :], "<i2").astype(np.float32)
    period = past[-_pitch(past) :]
    repeated = np.resize(period, count) * np.linspace(1, 1 - count / FADE, count, endpoint=False)
    return repeated.astype("<i2").tobytes() + bytes(2 * (n - count))


def _pitch(past: NDArray[np.float32]) -> int:
    """The lag at which the last 20 ms are most like what came before, in samples."""
    recent = past[-FRAME:]
    # Entry k of `likeness` compares with what begins at past[k]: a lag of FRAME - k.
    likeness = np.correlate(past[: HISTORY - MIN_PITCH], recent, "valid")
    squares = np.concatenate(([0.0], np.cumsum(past * past)))
    starts = HISTORY - FRAME - LAGS
    energy = squares[starts + FRAME] - squares[starts]
    return int(LAGS[np.argmax(likeness[starts] / np.sqrt(energy + 1.0))])


def splice(pcm: bytes, longer: bool) -> tuple[bytes, int]:
    """20 ms out of `pcm` with a seam where it fits best: (PCM16, samples of `pcm` used up).

    With `longer` 4 to 10 ms are repeated and fewer than 160 samples used; else as many are left out and more are
    used: `pcm` must hold 240 samples.
    """
    samples = np.frombuffer(pcm[: 2 * (FRAME + MAX_LAG)], "<i2").astype(np.float32)
    lags = np.arange(MIN_LAG, MAX_LAG + 1) * (-1 if longer else 1)
    seam = samples[HEAD : HEAD + SEAM]
    windows = samples[HEAD + lags[:, None] + np.arange(SEAM)]
    lag = int(lags[np.argmin(((windows - seam) ** 2).sum(axis=1))])
    rising = np.linspace(0, 1, SEAM, endpoint=False, dtype=np.float32)
    after = samples[HEAD + lag : FRAME + lag].copy()
    after[:SEAM] = seam * (1 - rising) + after[:SEAM] * rising
    return np.concatenate((samples[:HEAD], after)).astype("<i2").tobytes(), FRAME + lag
