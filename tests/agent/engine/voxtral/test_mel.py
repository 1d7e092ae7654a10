"""The spectrogram is Whisper's, and the same however the audio comes."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from agent.engine.voxtral.mel import FRAMES, LONGEST, STEP, GrowingMel, MelSpectrogram, samples_of, size_of
from audio.rate import RATE, WIDE_RATE


def loud_and_soft(rate: int = RATE) -> bytes:
    """33 s of noise, ten times a second another loudness."""
    random = np.random.default_rng(1)
    loudness = np.repeat(10 ** random.uniform(2.5, 3.8, 330), rate // 10)
    return (random.standard_normal(len(loudness)) * loudness).astype("<i2").tobytes()


MEL = MelSpectrogram(torch.device("cpu"))
SPEECH = loud_and_soft()
SPEECHES = {RATE: SPEECH, WIDE_RATE: loud_and_soft(WIDE_RATE)}
rates = st.sampled_from([RATE, WIDE_RATE])
BLOCK = 3200  # bytes of 200 ms
ROUNDING = 1e-4  # of four decades


def whispers(audio: bytes, rate: int = RATE) -> torch.Tensor:
    """What WhisperFeatureExtractor makes of it at 16 kHz."""
    samples = samples_of(audio)
    wide = MEL.widen(samples).numpy() if rate == RATE else samples.astype(np.float32) / 32768
    features: torch.Tensor = WhisperFeatureExtractor(feature_size=128)(
        wide, sampling_rate=16_000, return_tensors="pt"
    ).input_features
    return features


def grown(audio: bytes, sizes: list[int], rate: int = RATE) -> GrowingMel:
    """The audio in blocks of these sizes, again and again."""
    growing, at = GrowingMel(MEL, rate), 0
    for size in itertools.cycle(sizes):
        if at >= len(audio):
            return growing
        growing.add(audio[at : at + size])
        at += size
    raise AssertionError


@pytest.mark.parametrize("rate", SPEECHES)
@pytest.mark.parametrize("samples", [1, 75, 101, 4000, 16_019, 40_000, 239_850, 239_999, LONGEST])
def test_it_is_whispers_spectrogram(samples: int, rate: int) -> None:
    audio = SPEECHES[rate][: size_of(rate) * samples]
    torch.testing.assert_close(MEL(audio, rate), whispers(audio, rate), atol=ROUNDING, rtol=0, check_dtype=True)


def test_silence_is_silent() -> None:
    torch.testing.assert_close(MEL(bytes(16_000)), whispers(bytes(16_000)), atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("frequency", [300, 1000, 2500, 3400])
def test_a_tone_of_the_telephone_is_the_same_tone_at_twice_the_rate(frequency: int) -> None:
    tone = (np.sin(2 * np.pi * frequency * np.arange(8000) / 8000) * 32_000).astype("<i2")
    expected = torch.sin(2 * torch.pi * frequency * torch.arange(16_000) / 16_000) * 32_000 / 32_768
    inside = slice(200, -200)
    assert (MEL.widen(tone) - expected)[inside].abs().max() < 0.003  # images at least 50 dB down


def test_16_khz_stays_what_it_is() -> None:
    audio = SPEECHES[WIDE_RATE][:64_000]
    assert np.array_equal(MEL.widen(samples_of(audio, WIDE_RATE)).numpy() * 32768, samples_of(audio))


@pytest.mark.parametrize("rate", SPEECHES)
def test_the_end_of_what_is_too_long_is_heard(rate: int) -> None:
    speech, longest = SPEECHES[rate], size_of(rate) * LONGEST
    torch.testing.assert_close(MEL(speech, rate), MEL(speech[-longest:], rate))
    assert not torch.equal(MEL(speech, rate), MEL(speech[:longest], rate))


@given(
    length=st.integers(2, 40_000),
    sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=8),
    rest=st.integers(0, 5000),
    rate=rates,
)
@settings(max_examples=80, deadline=None)
def test_frame_by_frame_it_is_the_same(length: int, sizes: list[int], rest: int, rate: int) -> None:
    """For any cut of the audio, half samples included, and whatever comes after the last block."""
    size = size_of(rate)
    growing = grown(SPEECHES[rate][:length], sizes, rate)
    audio = SPEECHES[rate][: (length + rest) // size * size]
    bands = growing.bands(audio)
    if bands is None:
        assert length < 150 * size or len(audio) < length, "what has hardly begun, or lost a part, is computed at once"
        return
    torch.testing.assert_close(MEL.spectrogram(bands), whispers(audio, rate), atol=ROUNDING, rtol=0)


@given(
    length=st.integers(LONGEST - 20_000, len(SPEECH) // 2),
    sizes=st.lists(st.integers(1, 60_000), min_size=1, max_size=3).filter(lambda sizes: sum(sizes) > 9000),
    rest=st.integers(0, 4000),
    rate=rates,
)
@settings(max_examples=16, deadline=None)
def test_so_it_is_beyond_thirty_seconds(length: int, sizes: list[int], rest: int, rate: int) -> None:
    size = size_of(rate)
    audio = SPEECHES[rate][: size * (length + rest)]
    growing = grown(SPEECHES[rate][: size * length], sizes, rate)
    bands = growing.bands(audio)
    assert bands is not None
    assert len(bands) <= FRAMES
    excess = len(audio) // size - LONGEST
    heard = audio[size * max(0, -(-excess // STEP) * STEP) :]
    torch.testing.assert_close(MEL.spectrogram(bands), whispers(heard, rate), atol=ROUNDING, rtol=0)
    kept, bands = growing.whole()
    assert bands is not None
    torch.testing.assert_close(MEL.spectrogram(bands), whispers(kept, rate), atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("rate", SPEECHES)
def test_it_holds_no_more_than_thirty_seconds(rate: int) -> None:
    growing = grown(SPEECHES[rate] * 3, [BLOCK], rate)
    assert len(growing.whole()[0]) <= size_of(rate) * LONGEST
    assert sum(map(len, growing._pieces)) <= FRAMES + BLOCK // 2 // STEP + 1


@pytest.mark.parametrize("blocks", [1, 40, 160])
def test_of_a_turn_only_the_rest_is_computed_at_its_end(blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    growing = grown(SPEECH[: blocks * BLOCK], [BLOCK])
    computed: list[int] = []
    frames = MelSpectrogram.frames
    monkeypatch.setattr(MelSpectrogram, "frames", lambda *each: computed.append(each[3] - each[2]) or frames(*each))  # type: ignore[func-returns-value]
    assert growing.bands(SPEECH[: blocks * BLOCK + 1600]) is not None
    assert sum(computed) < 20  # of 100 frames a second


def test_other_audio_is_not_taken_for_its_own() -> None:
    growing = grown(SPEECH[:32_000], [BLOCK])
    assert growing.bands(SPEECH[:31_998]) is None
    assert growing.bands(SPEECH[2:64_000]) is None
    assert growing.bands(SPEECH[:32_000]) is not None
