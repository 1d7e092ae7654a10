"""The caller's audio as the encoder wants it: Whisper's log-mel spectrogram of the last 30 s, at 16 kHz."""

import numpy as np
import torch
from torch.nn import functional
from transformers.audio_utils import mel_filter_bank

from agent.engine.base import CALLER_RATE

RATE = 2 * CALLER_RATE  # Hz, the model's
BANDS, FRAMES = 128, 3000
WINDOW, HOP = 400, 160  # samples at 16 kHz
MAX_BYTES = 2 * CALLER_RATE * 30  # of PCM16; of what is longer, the end is heard
SILENCE = 1e-10  # the least power of a band
RANGE = 8.0  # decades below the loudest band; what is fainter counts as silent
HALF_TAPS = 32  # samples at 8 kHz on each side that make a sample between two: 4 ms


class Mel:
    """Computes spectrograms on one device. One run is some 20 small operations, so nothing is computed ahead."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._between = _between(HALF_TAPS).to(device)
        self._window = torch.hann_window(WINDOW, device=device)
        filters = mel_filter_bank(1 + WINDOW // 2, BANDS, 0.0, RATE / 2, RATE, norm="slaney", mel_scale="slaney")
        self._filters = torch.from_numpy(filters).to(device, torch.float32)

    def __call__(self, pcm: bytes) -> torch.Tensor:
        """8 kHz mono PCM16 → float32 [1, 128, 3000] on the device, silence after the audio's end."""
        samples = np.frombuffer(pcm[-MAX_BYTES:], "<i2").astype(np.float32)
        return self.spectrogram(self.widen(torch.from_numpy(samples).to(self._device) / 32768))

    def widen(self, audio: torch.Tensor) -> torch.Tensor:
        """8 → 16 kHz, without delay: the samples stay, and those between them come from a short filter."""
        padded = functional.pad(audio, (HALF_TAPS - 1, HALF_TAPS))
        between = functional.conv1d(padded[None, None], self._between[None, None])[0, 0]
        return torch.stack((audio, between), dim=1).flatten()

    def spectrogram(self, audio: torch.Tensor) -> torch.Tensor:
        """16 kHz mono float32 of at most 30 s → [1, 128, 3000], as WhisperFeatureExtractor makes it."""
        # A frame reaches half a window to both sides; only those that touch the audio need to be computed. The very
        # beginning is mirrored, and so is the end of 30 s that are full.
        half = WINDOW // 2
        frames = min(FRAMES, -(-(len(audio) + half) // HOP))
        audio = functional.pad(audio, (0, max(frames * HOP + half, half + 1) - len(audio)))[: FRAMES * HOP]
        if len(audio) == FRAMES * HOP:
            audio = torch.cat((audio, audio[-half - 1 : -1].flip(0)))
        audio = torch.cat((audio[1 : half + 1].flip(0), audio))
        spectrum = torch.fft.rfft(audio.unfold(0, WINDOW, HOP)[:frames] * self._window)
        power = spectrum.real.square() + spectrum.imag.square()
        bands = (power @ self._filters).clamp(min=SILENCE).log10()
        whole = functional.pad(bands, (0, 0, 0, FRAMES - frames), value=float(np.log10(SILENCE)))
        return ((whole.maximum(whole.max() - RANGE) + 4) / 4).T[None]


def _between(half: int) -> torch.Tensor:
    """The taps of a half-band low-pass filter that lie between the samples: flat to 3.4 kHz, -80 dB above 4.6 kHz."""
    at = np.arange(-half, half) + 0.5  # in samples at 8 kHz
    taps = np.sinc(at) * np.i0(8 * np.sqrt(1 - (at / half) ** 2)) / np.i0(8)
    return torch.from_numpy((taps / taps.sum()).astype(np.float32))
