"""Our steps over slots say what transformers' `generate` says of the same audio."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from agent.engine.realtime.model import MelFrames, RealtimeModel, Work
from agent.engine.realtime.upsample import Upsampler
from agent.engine.realtime.utterance import RealtimeUtterance
from audio.rate import WIDE_RATE
from tests.agent.engine.realtime.conftest import Parts
from tests.agent.engine.realtime.hearing import blocks, generated, heard, tones

pytestmark = pytest.mark.slow  # compared, sample by sample, with the stock model


def test_mel_is_that_of_the_feature_extractor(parts: Parts) -> None:
    audio = torch.stack([torch.from_numpy(Upsampler().feed(tones(seed, 0.1))) for seed in (1, 2)])[:, :1520]
    longer = torch.nn.functional.pad(audio, (0, 160))  # it throws the last frame away
    features = parts.processor.feature_extractor
    expected = features(list(longer.numpy()), center=False, sampling_rate=16000, return_tensors="pt").input_features
    torch.testing.assert_close(MelFrames(features, torch.device("cpu"))(audio), expected)


def test_layout_is_the_processor_s(parts: Parts) -> None:
    processor, layout = parts.processor, parts.layout
    assert layout.token * (len(layout.prompt) - layout.silence) + 40 == processor.num_samples_first_audio_chunk == 9000
    assert layout.delay == processor.num_delay_tokens
    assert layout.flush == processor.num_right_pad_tokens
    audio_encoder = processor.tokenizer.tokenizer.instruct_tokenizer.audio_encoder
    assert layout.prompt == [1, *audio_encoder.encode_streaming_tokens()]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_one_alone(parts: Parts, model: RealtimeModel, seed: int) -> None:
    pcm = tones(seed, 5)
    tokens = heard(model, {0: blocks(pcm, 3200)})[0]
    expected = parts.generated(pcm)
    assert len(tokens) >= 63
    assert len(set(tokens)) > 4  # it is no one-word model
    assert tokens == expected[: len(tokens)]
    assert parts.text(tokens)


def test_many_together_at_their_own_times_and_with_any_blocks(parts: Parts, model: RealtimeModel) -> None:
    lengths = {0: 0.5, 1: 3.0, 2: 1.2, 3: 2.0}
    sizes = {0: (3200,), 1: (320,), 2: (16000, 2), 3: (4096, 1280, 640)}
    together = heard(model, {slot: blocks(tones(10 + slot, lengths[slot]), *sizes[slot]) for slot in lengths})
    for slot, length in lengths.items():
        expected = parts.generated(tones(10 + slot, length))
        assert together[slot] == expected[: len(together[slot])]


def test_narrow_and_wide_band_lines_together(parts: Parts, model: RealtimeModel) -> None:
    wide = tones(20, 3, WIDE_RATE)
    pieces = {0: blocks(tones(21, 3), 3200), 1: blocks(wide, 6400), 2: blocks(wide, 640, 3202)}
    together = heard(model, pieces, {1: WIDE_RATE, 2: WIDE_RATE})
    assert together[0] == parts.generated(tones(21, 3))[: len(together[0])]
    assert together[1] == together[2] == parts.generated(wide, WIDE_RATE)[: len(together[1])]
    assert len(set(together[1])) > 4


def test_a_slot_that_was_used_before_knows_nothing_of_it(parts: Parts, model: RealtimeModel) -> None:
    first = heard(model, {2: blocks(tones(1, 1), 3200)})[2]
    heard(model, {2: blocks(tones(2), 3200), 1: blocks(tones(3, 1), 3200)})
    assert heard(model, {2: blocks(tones(1, 1), 3200)})[2] == first


def test_the_genuine_window_of_15_s(load_parts: Callable[..., Parts]) -> None:
    parts = load_parts(750)
    pcm = tones(5, 17)
    tokens = heard(parts.model(1), {0: blocks(pcm, 3200)})[0]
    assert tokens == parts.generated(pcm)[: len(tokens)]


def test_another_delay(load_parts: Callable[..., Parts]) -> None:
    parts = load_parts(100, 960)
    assert parts.layout.delay == 12
    pcm = tones(6)
    tokens = heard(parts.model(1), {0: blocks(pcm, 3200)})[0]
    expected = parts.generated(pcm)
    assert tokens == expected[: len(tokens)]
    other = replace(parts.layout, delay=6)
    assert tokens != list(generated(parts.network, parts.processor.feature_extractor, other, pcm))[: len(tokens)]


def test_a_step_that_fails_moves_nobody_on(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    model = parts.model(2)
    step = model.step

    def step_after_failing(work: list[Work]) -> list[int]:
        with monkeypatch.context() as broken:
            broken.setattr(parts.network.lm_head, "forward", None)
            for _ in range(2):
                with pytest.raises(TypeError):
                    step(work)
        return step(work)

    monkeypatch.setattr(model, "step", step_after_failing)
    tokens = heard(model, {0: blocks(tones(1, 1), 3200), 1: blocks(tones(2, 1), 320)})
    for slot, seed in ((0, 1), (1, 2)):
        assert tokens[slot] == parts.generated(tones(seed, 1))[: len(tokens[slot])]


def test_what_was_heard_before_rewinding_leaves_no_trace(parts: Parts, model: RealtimeModel) -> None:
    pcm = tones(4, 2.5)
    noise = np.random.default_rng(0).normal(0, 0.3, (parts.layout.flush, parts.layout.frame)).astype(np.float32)
    utterance = RealtimeUtterance(0, "call", parts.layout)
    utterance.add(pcm)
    model.open(0)
    step = 0
    while utterance.ready():
        if step % 8 == 0:
            model.mark(0)
            for audio in noise:
                model.step([Work(0, 1001, audio)])
            model.rewind(0)
        utterance.push(model.step([Work(0, utterance.token(), utterance.frame())])[0])
        step += 1
    assert utterance.tokens == parts.generated(pcm)[: len(utterance.tokens)]
