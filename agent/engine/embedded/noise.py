"""Line noise taken out of speech before a neural recognizer hears it: a Wiener filter on short spectra."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from agent.engine.base import FloatArray

SIZE, HOP = 512, 128  # samples of a spectrum, and from one to the next: 32 ms and 8 ms at 16 kHz
OVERLAP = SIZE // HOP
QUIET = 0.15  # of the time nobody speaks: the power there is the noise's
SHARE = 1.6  # the noise's mean power, in terms of the most that it has in that part of the time
FLOOR = 0.3  # of the amplitude remains where there is only noise, which sounds more like speech than nothing at all
CLEAN = 10**-3.5  # noise that is so far below the loudest moment is left alone
WINDOW: FloatArray = np.hanning(SIZE + 1)[:-1].astype(np.float32)


def reduced(audio: FloatArray) -> FloatArray:
    """Mono audio at 16 kHz with less of the noise that goes on all the time, if that is much; as long as it was."""
    padded = np.pad(audio, (SIZE, SIZE + -len(audio) % HOP))
    spectra = np.fft.rfft(sliding_window_view(padded, SIZE)[::HOP] * WINDOW, axis=1)
    power = np.abs(spectra) ** 2
    quiet = int(QUIET * len(power))
    noise = SHARE * np.partition(power, quiet, axis=0)[quiet]
    if noise.sum() <= CLEAN * power.sum(axis=1).max():
        return audio
    around = np.pad(power, ((1, 1), (0, 0)), "edge")
    smooth = (around[:-2] + power + around[2:]) / 3
    gain = np.maximum(FLOOR, 1 - noise / np.maximum(smooth, 1e-12))
    pieces = np.asarray(np.fft.irfft(spectra * gain, axis=1) * WINDOW, np.float32)
    return _joined(pieces)[SIZE : SIZE + len(audio)]


def _joined(pieces: FloatArray) -> FloatArray:
    """The pieces, each HOP after the one before, added up."""
    audio = np.zeros((len(pieces) + OVERLAP - 1, HOP), np.float32)
    for number in range(OVERLAP):
        audio[number : number + len(pieces)] += pieces[:, number * HOP : (number + 1) * HOP]
    return np.asarray(audio.reshape(-1) / (OVERLAP * np.mean(WINDOW**2)), np.float32)
