import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from agent.engine.voxtral.mel import MAX_BYTES, Mel
from tests.agent.engine.voxtral.speaking import pcm

MEL = Mel(torch.device("cpu"))


@pytest.mark.parametrize("samples", [1, 150, 8000, 32_037, 80_000, 479_700, 479_999, 480_000])
def test_it_is_whispers_spectrogram(samples: int) -> None:
    audio = (np.random.default_rng(samples).standard_normal(samples) * 0.1).astype(np.float32)
    expected = WhisperFeatureExtractor(feature_size=128)(audio, sampling_rate=16_000, return_tensors="pt")
    torch.testing.assert_close(
        MEL.spectrogram(torch.from_numpy(audio)), expected.input_features, atol=1e-5, rtol=0, check_dtype=True
    )


def test_silence_is_silent() -> None:
    expected = WhisperFeatureExtractor(feature_size=128)(
        np.zeros(16_000, np.float32), sampling_rate=16_000, return_tensors="pt"
    )
    torch.testing.assert_close(MEL(bytes(16_000)), expected.input_features, atol=1e-5, rtol=0)


@pytest.mark.parametrize("frequency", [300, 1000, 2500, 3400])
def test_a_tone_of_the_telephone_is_the_same_tone_at_twice_the_rate(frequency: int) -> None:
    tone = torch.sin(2 * torch.pi * frequency * torch.arange(8000) / 8000)
    expected = torch.sin(2 * torch.pi * frequency * torch.arange(16_000) / 16_000)
    inside = slice(200, -200)
    assert (MEL.widen(tone) - expected)[inside].abs().max() < 0.003  # images at least 50 dB down


def test_the_end_of_what_is_too_long_is_heard() -> None:
    audio = pcm(1, seconds=31)
    torch.testing.assert_close(MEL(audio), MEL(audio[-MAX_BYTES:]))
    assert not torch.equal(MEL(audio), MEL(audio[:MAX_BYTES]))
