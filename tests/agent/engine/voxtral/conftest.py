"""Tiny Voxtral checkpoints in the genuine format, with random weights."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

os.environ["HF_HUB_OFFLINE"] = "1"

from agent.engine.voxtral import checkpoint
from agent.engine.voxtral.checkpoint import Checkpoint
from agent.engine.voxtral.decoder import Decoder
from bench.checkpoints.voxtral import build
from config.engine import VoxtralSettings
from tests.agent.engine.voxtral.speaking import CONTEXT, SLOTS


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """The models are so small that more threads would only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("voxtral"))


@pytest.fixture(scope="package")
def voxtral(tiny: Path) -> Checkpoint:
    return checkpoint.load(VoxtralSettings(model=str(tiny), device="cpu", slots=SLOTS, context=CONTEXT))


@pytest.fixture
def decoder(voxtral: Checkpoint) -> Decoder:
    return Decoder(voxtral, SLOTS, CONTEXT)
