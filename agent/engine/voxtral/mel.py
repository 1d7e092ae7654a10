"""The caller's audio as the encoder wants it: Whisper's log-mel spectrogram of the last 30 s, at 16 kHz.

A frame depends only on the 29 ms of audio around it, so frames are computed while the caller speaks; only
the last ones and the scaling by the loudest band are left for the end of the turn.

Positions in the audio count 8 kHz samples; a wide-band line has a pair of samples for each.
"""

from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers.audio_utils import mel_filter_bank

from audio.rate import RATE, WIDE_RATE

BANDS, FRAMES = 128, 3000
WINDOW, HOP = 400, 160  # samples at 16 kHz
SILENCE = 1e-10  # the least power in a band
RANGE = 8.0  # decades below the loudest band; anything fainter counts as silence
HALF_TAPS = 32  # samples at 8 kHz on each side that make up one in between: 4 ms

# In samples of 8 kHz:
STEP, HALF = HOP // 2, WINDOW // 4  # from frame to frame; half a window
LONGEST = STEP * FRAMES  # of longer audio, the end is heard
EDGE = -(-(HALF + HALF_TAPS - 1) // STEP)  # frames that the beginning of the audio reaches into

Samples = NDArray[np.int16]  # [n] at 8 kHz, or [n, 2] at 16 kHz


class MelSpectrogram:
    """Computes spectrograms on one device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._between = _between(HALF_TAPS).to(device)
        self._window = torch.hann_window(WINDOW).to(device)
        filters = mel_filter_bank(
            1 + WINDOW // 2, BANDS, 0.0, WIDE_RATE / 2, WIDE_RATE, norm="slaney", mel_scale="slaney"
        )
        self._filters = torch.from_numpy(filters).to(device, torch.float32)

    def __call__(self, pcm: bytes, rate: int = RATE) -> torch.Tensor:
        """Mono PCM16 at 8 or 16 kHz → float32 [1, 128, 3000] on the device, silence after the audio's end."""
        samples = samples_of(last_30_s(pcm, rate), rate)
        return self.spectrogram(self.frames(samples, 0, frames_of(len(samples))))

    @torch.inference_mode()
    def spectrogram(self, bands: torch.Tensor) -> torch.Tensor:
        """All frames of some audio, [frames, 128] as `frames` gives them → [1, 128, 3000] as WhisperFeatureExtractor
        makes it: faint bands raised to RANGE below the loudest, and scaled."""
        bands = bands.to(self._device)
        floor = bands.max() - RANGE
        whole = torch.empty(1, BANDS, FRAMES, device=self._device)
        whole[0, :, : len(bands)] = bands.maximum(floor).T
        whole[0, :, len(bands) :] = floor.clamp(min=float(np.log10(SILENCE)))
        return whole.add_(4).div_(4)

    @torch.inference_mode()
    def frames(self, samples: Samples, first: int, stop: int) -> torch.Tensor:
        """The frames `first` to `stop` of at most 30 s, [stop - first, 128], in decades of power."""
        if stop <= first:
            return torch.empty(0, BANDS, device=self._device)
        low, high = STEP * first - HALF, max(STEP * (stop - 1) + HALF, HALF + 1)  # the samples in these windows
        wide = self._widen_part(samples, max(0, low), min(len(samples), high))
        # The audio is followed by silence up to 30 s, and both ends of that are mirrored.
        wide = _pad(wide, 0, max(0, 2 * (min(high, LONGEST) - len(samples))))
        if high > LONGEST:
            wide = torch.cat((wide, wide[2 * (LONGEST - high) - 1 : -1].flip(0)))
        if low < 0:
            wide = torch.cat((wide[1 : 1 - 2 * low].flip(0), wide))
        spectrum = torch.fft.rfft(wide.unfold(0, WINDOW, HOP)[: stop - first] * self._window)
        power = spectrum.real.square() + spectrum.imag.square()
        bands: torch.Tensor = (power @ self._filters).clamp(min=SILENCE).log10()
        return bands

    def widen(self, samples: Samples) -> torch.Tensor:
        """8 → 16 kHz, without delay: the samples stay, and a short filter makes those in between.
        16 kHz stays as it is."""
        return self._widen_part(samples, 0, len(samples))

    def _widen_part(self, samples: Samples, start: int, stop: int) -> torch.Tensor:
        """The part of the whole's that begins with sample `start`: no seam shows where it was cut."""
        if samples.ndim > 1:
            return torch.from_numpy(samples[start:stop].astype(np.float32).ravel()).to(self._device) / 32768
        before, behind = start - HALF_TAPS + 1, stop + HALF_TAPS
        part = samples[max(0, before) : behind].astype(np.float32)
        audio = torch.from_numpy(part).to(self._device) / 32768
        audio = _pad(audio, max(0, -before), max(0, behind - len(samples)))
        between = functional.conv1d(audio[None, None], self._between[None, None])[0, 0]
        return torch.stack((audio[HALF_TAPS - 1 : -HALF_TAPS], between), dim=1).flatten()


class GrowingMel:
    """The frames of one utterance, computed as its audio arrives. It holds no more than the last 30 s."""

    def __init__(self, mel: MelSpectrogram, rate: int = RATE) -> None:
        self.rate = rate  # Hz of the audio added
        self._mel = mel
        self._size = size_of(rate)
        self._pcm = bytearray()  # from sample `_start` on, the first one still heard
        self._start = 0
        self._pieces: deque[torch.Tensor] = deque()
        self._kept = 0  # frames before the first piece
        self._done = 0  # frames before those still to be computed

    def add(self, pcm: bytes) -> None:
        """More audio, mono PCM16."""
        self._pcm += pcm
        count = self._start + len(self._pcm) // self._size
        self._forget_before(first_sample(count))
        begin = self._start // STEP
        # A frame is computed once all its audio is there; the first is mirrored, which takes one sample more.
        stop = (count - HALF - HALF_TAPS - 1) // STEP + 1
        if stop > self._done:
            samples = samples_of(bytes(self._pcm), self.rate)
            self._pieces.append(self._mel.frames(samples, self._done - begin, stop - begin))
            self._done = stop

    def bands(self, audio: bytes) -> torch.Tensor | None:
        """All frames of `audio`, which begins with what was added; nothing if it does not, or had hardly begun."""
        if not audio.startswith(self._pcm, self._size * self._start):
            return None
        return self._frames(audio[self._size * self._start :])

    def whole(self) -> tuple[bytes, torch.Tensor | None]:
        """The last 30 s of what was added, and all frames of it, as `bands` gives them."""
        audio = bytes(self._pcm)
        return audio, self._frames(audio)

    def _frames(self, audio: bytes) -> torch.Tensor | None:
        """All frames of what begins with the first sample that is still heard."""
        start = first_sample(self._start + len(audio) // self._size)
        samples = samples_of(audio, self.rate)[start - self._start :]
        begin = start // STEP
        fresh = begin + EDGE if begin else 0  # the frames before were computed as if audio had come before them
        if self._done <= fresh:
            return None
        rest = self._mel.frames(samples, self._done - begin, frames_of(len(samples)))
        if not fresh:
            return torch.cat((*self._pieces, rest))
        edge = self._mel.frames(samples, 0, EDGE)
        return torch.cat((edge, torch.cat(tuple(self._pieces))[fresh - self._kept :], rest))

    def _forget_before(self, sample: int) -> None:
        del self._pcm[: self._size * (sample - self._start)]
        self._start = sample
        while self._pieces and self._kept + len(self._pieces[0]) <= sample // STEP:
            self._kept += len(self._pieces.popleft())
        if not self._pieces:
            self._kept = self._done = max(self._done, sample // STEP)


def size_of(rate: int) -> int:
    """Bytes of PCM16 in the time of a sample at 8 kHz."""
    return 2 * rate // RATE


def samples_of(pcm: bytes, rate: int = RATE) -> Samples:
    """PCM16 as numbers; half a sample or half a pair at the end is left out."""
    size = size_of(rate)
    samples = np.frombuffer(pcm, "<i2", len(pcm) // size * size // 2)
    return samples if rate == RATE else samples.reshape(-1, 2)


def frames_of(samples: int) -> int:
    """How many frames the audio reaches into; the frames after it are silent."""
    return min(FRAMES, -(-(samples + HALF) // STEP))


def first_sample(count: int) -> int:
    """Where the last 30 s of so many samples begin: at a frame, so that those computed before need not be again."""
    return max(0, -(-(count - LONGEST) // STEP) * STEP)


def last_30_s(pcm: bytes, rate: int = RATE) -> bytes:
    """The part of PCM16 that is heard."""
    size = size_of(rate)
    return pcm[size * first_sample(len(pcm) // size) :]


def _pad(values: torch.Tensor, before: int, behind: int) -> torch.Tensor:
    return functional.pad(values, (before, behind)) if before or behind else values


def _between(half: int) -> torch.Tensor:
    """The taps of a half-band low-pass filter that lie between the samples: flat to 3.4 kHz, -80 dB above 4.6 kHz."""
    at = np.arange(-half, half) + 0.5  # in samples at 8 kHz
    taps = np.sinc(at) * np.i0(8 * np.sqrt(1 - (at / half) ** 2)) / np.i0(8)
    return torch.from_numpy((taps / taps.sum()).astype(np.float32))
