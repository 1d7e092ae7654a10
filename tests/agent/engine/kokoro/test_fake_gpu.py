"""Kokoro on a GPU that is not there: no operand is left on the CPU, and the masks for padding make nobody wait."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from agent.engine.kokoro.forward import FRAME, Forward, SynthesisInput, SynthesisOutput
from agent.engine.kokoro.loading import Voices, load_model
from tests.agent.engine.fake_gpu import GPU, FakeGpu

pytestmark = pytest.mark.slow

LENGTHS = (3, 2, 5)  # phonemes


class Speaker:
    """A model with a voice."""

    def __init__(self, folder: Path, device: str) -> None:
        self.forward = Forward(load_model(folder, device, 100))
        self.voice = Voices(folder, device).get("af_heart")

    def __call__(self, lengths: Sequence[int]) -> list[SynthesisOutput]:
        return self.forward([SynthesisInput(tuple(range(5, 5 + length)), self.voice[length - 1]) for length in lengths])


@pytest.fixture(scope="module")
def here(folder: Path) -> Speaker:
    return Speaker(folder, "cpu")


@pytest.fixture(scope="module")
def gpu() -> Iterator[FakeGpu]:
    with FakeGpu() as gpu:
        yield gpu
    assert not gpu.mistakes


@pytest.fixture(scope="module")
def there(here: Speaker, gpu: FakeGpu, folder: Path) -> Speaker:
    return Speaker(folder, "cuda")


@pytest.mark.parametrize("lengths", [LENGTHS[:1], (3, 3), LENGTHS])
def test_one_and_several_rows(here: Speaker, there: Speaker, lengths: tuple[int, ...]) -> None:
    assert there.voice.device == GPU
    for one, other in zip(there(lengths), here(lengths), strict=True):
        np.testing.assert_array_equal(one.durations, other.durations)
        assert len(one.audio) == one.durations.sum() * FRAME
        assert np.isfinite(one.audio).all()


def test_padding_makes_nobody_wait(gpu: FakeGpu, there: Speaker) -> None:
    """The host waits for the durations and the audio, and where stock modules make it wait, but not for each mask."""
    waits = []
    for lengths in ((3,), (3, 3), LENGTHS):
        gpu.waits.clear()
        there(lengths)
        waits.append([wait.kind for wait in gpu.waits])
        fetched = [wait.source for wait in gpu.waits if wait.kind == "fetches"]
        assert sum("durations.cpu()" in source for source in fetched) == 1
        assert sum("model.decoder(" in source for source in fetched) == 1
    alone, even, padded = waits
    assert even == alone
    assert len(padded) == len(even) + 1
    assert padded.count("brings") == even.count("brings") + 1  # where each row ends
