"""Voxtral on a GPU that is not there: what it hears, reads and writes, as graphs; kernels are not run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from agent.engine.voxtral import checkpoint
from agent.engine.voxtral.checkpoint import Checkpoint
from agent.engine.voxtral.decoder import Decoder, SlotInput
from agent.engine.voxtral.mel import BANDS, FRAMES, GrowingMel, MelSpectrogram
from agent.engine.voxtral.operations import Plain
from agent.engine.voxtral.sampling import choose
from audio.rate import RATE, WIDE_RATE
from config.engine import VoxtralSettings
from tests.agent.engine.fake_gpu import CPU, GPU, FakeGpu
from tests.agent.engine.voxtral.rehearsal import Rehearsal
from tests.agent.engine.voxtral.speaking import CONTEXT, INSTRUCTIONS, SLOTS, pcm, prompt

pytestmark = pytest.mark.slow


@pytest.fixture
def gpu() -> Iterator[FakeGpu]:
    with FakeGpu() as gpu, torch.inference_mode():
        yield gpu
    assert not gpu.mistakes


def rehearsing(gpu: FakeGpu, tiny: Path) -> tuple[Decoder, Rehearsal]:
    settings = VoxtralSettings(model=str(tiny), device="cuda", slots=SLOTS, context=CONTEXT)
    decoder = Decoder(checkpoint.load(settings), SLOTS, CONTEXT, Plain())
    graphs = decoder._graphs = Rehearsal(gpu)
    return decoder, graphs


def grown(mel: MelSpectrogram, audio: bytes, rate: int) -> torch.Tensor:
    growing = GrowingMel(mel, rate)
    for start in range(0, len(audio), 6400):
        growing.add(audio[start : start + 6400])
    bands = growing.bands(audio)
    assert bands is not None
    torch.testing.assert_close(growing.whole()[1], bands)
    return bands


@pytest.mark.parametrize("rate", [RATE, WIDE_RATE])
@pytest.mark.parametrize("seconds", [0.01, 2, 31])
def test_spectrograms(gpu: FakeGpu, rate: int, seconds: float) -> None:
    there, here, audio = MelSpectrogram(GPU), MelSpectrogram(CPU), pcm(1, seconds, rate)
    gpu.waits.clear()
    spectrogram = there(audio, rate)
    assert [wait.kind for wait in gpu.waits] == ["brings"]  # the audio
    assert spectrogram.shape == (1, BANDS, FRAMES)
    assert spectrogram.device == GPU
    torch.testing.assert_close(spectrogram.cpu(), here(audio, rate), rtol=0, atol=0)


@pytest.mark.parametrize("rate", [RATE, WIDE_RATE])
@pytest.mark.parametrize("seconds", [2, 31])
def test_growing_spectrograms(gpu: FakeGpu, rate: int, seconds: float) -> None:
    there, here, audio = MelSpectrogram(GPU), MelSpectrogram(CPU), pcm(2, seconds, rate)
    bands = grown(here, audio, rate)
    spectrogram = there.spectrogram(bands)  # what was computed on the CPU while the caller spoke
    torch.testing.assert_close(there.spectrogram(grown(there, audio, rate)), spectrogram)
    torch.testing.assert_close(spectrogram.cpu(), here.spectrogram(bands), rtol=0, atol=0)


def test_the_choice_can_be_captured(gpu: FakeGpu) -> None:
    logits = torch.randn(3, 5000).to(torch.bfloat16)
    chances = torch.tensor([[0.0, 0.7, 1.0], [1.0, 0.9, 0.5], [0.5, 0.1, 0.9]])
    there = logits.to(GPU), chances.to(GPU)
    with gpu.capture():
        tokens = choose(*there)
    assert tokens.device == GPU
    assert tokens.tolist() == choose(logits, chances).tolist()


def test_the_encoder_can_be_captured(gpu: FakeGpu, tiny: Path) -> None:
    decoder, graphs = rehearsing(gpu, tiny)
    heard = [decoder.hear(pcm(seed)) for seed in (1, 2)]
    assert not graphs._failed
    assert all(each.device == GPU and each.dtype is torch.bfloat16 for each in heard)
    assert not heard[0].equal(heard[1])
    gpu.waits.clear()
    audio = pcm(3)
    decoder.hear(audio, grown(MelSpectrogram(CPU), audio, RATE))
    assert [wait.kind for wait in gpu.waits] == ["brings"]  # the spectrogram


def test_prompts_and_steps_can_be_captured_and_a_step_waits_for_its_tokens_only(
    voxtral: Checkpoint, gpu: FakeGpu, tiny: Path
) -> None:
    decoder, graphs = rehearsing(gpu, tiny)
    decoder.warm_up()
    decoder.learn(INSTRUCTIONS)
    ids = prompt(voxtral, 1, 30)
    known = decoder.inherit(2, ids, 0, 0)
    logits = decoder.prefill(2, ids[known:], pcm(1), known)
    token = decoder.pick(logits, SlotInput(2, 0, 0, 0.0, 1.0, 0.5), torch.tensor([5], device=GPU))
    gpu.waits.clear()
    for more in range(3):
        [token] = decoder.step([SlotInput(2, token, len(ids) + more, 0.3, 0.9, 0.5)])
        assert [wait.kind for wait in gpu.waits] == ["reads"]
        gpu.waits.clear()
    assert not graphs._failed
