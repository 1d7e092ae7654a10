"""Voxtral Realtime on a GPU that is not there, in bfloat16 as on a true one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.engine.realtime.loading import load_model
from agent.engine.realtime.model import RealtimeModel, Work
from config.engine import RealtimeSettings
from tests.agent.engine.fake_gpu import FakeGpu
from tests.agent.engine.realtime.hearing import blocks, heard, tones

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loaded(checkpoint: Path) -> Iterator[tuple[FakeGpu, RealtimeModel]]:
    with FakeGpu() as gpu:
        yield gpu, load_model(RealtimeSettings(model=str(checkpoint), device="cuda", streams=3))[0]
    assert not gpu.mistakes


def test_utterances_are_heard(loaded: tuple[FakeGpu, RealtimeModel]) -> None:
    _, model = loaded
    together = heard(model, {0: blocks(tones(1), 3200), 2: blocks(tones(2), 320)})
    assert all(len(set(tokens)) > 4 for tokens in together.values())
    assert heard(model, {0: blocks(tones(1), 1000)})[0] == together[0]


def test_a_step_waits_for_its_tokens_only(loaded: tuple[FakeGpu, RealtimeModel]) -> None:
    gpu, model = loaded
    gpu.waits.clear()
    for slot in (0, 2):
        model.open(slot)
        model.mark(slot)
        model.rewind(slot)
    assert not gpu.waits
    model.step([Work(slot, model.layout.pad, np.zeros(model.layout.frame, np.float32)) for slot in (0, 2)])
    (wait,) = gpu.waits
    assert wait.kind == "fetches"
    assert "argmax" in wait.source
