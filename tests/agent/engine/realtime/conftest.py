"""One tiny checkpoint in the genuine format for all tests, with a short memory so that it wraps around often."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from audio.rate import RATE

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported

from agent.engine.realtime.layout import Layout
from agent.engine.realtime.loading import layout_of
from agent.engine.realtime.model import RealtimeModel
from bench.checkpoints.realtime import build
from tests.agent.engine.realtime import hearing

STREAMS = 4
WINDOW = 100  # positions of the encoder: 2 s


class Parts(NamedTuple):
    """A checkpoint, loaded by transformers alone."""

    folder: Path
    network: Any
    processor: Any
    layout: Layout

    def generated(self, pcm: bytes, rate: int = RATE) -> list[int]:
        """The tokens transformers finds in it."""
        return list(hearing.generated(self.network, self.processor.feature_extractor, self.layout, pcm, rate))

    def text(self, tokens: list[int]) -> str:
        """What they say."""
        return str(self.processor.tokenizer.decode(tokens, skip_special_tokens=True)).strip()

    def model(self, slots: int = STREAMS) -> RealtimeModel:
        """Ours around it."""
        return RealtimeModel(self.network, self.processor.feature_extractor, self.layout, slots)


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """The model is so small that more threads would only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def load_parts(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Parts]:
    def load(window: int, delay_ms: int = 480) -> Parts:
        from transformers import AutoProcessor, VoxtralRealtimeForConditionalGeneration

        folder = build(tmp_path_factory.mktemp("realtime"), encoder_window=window)
        processor = AutoProcessor.from_pretrained(folder)
        network = VoxtralRealtimeForConditionalGeneration.from_pretrained(folder).eval()
        return Parts(folder, network, processor, layout_of(processor, delay_ms))

    return load


@pytest.fixture(scope="package")
def parts(load_parts: Callable[..., Parts]) -> Parts:
    return load_parts(WINDOW)


@pytest.fixture(scope="package")
def checkpoint(parts: Parts) -> Path:
    return parts.folder


@pytest.fixture(scope="package")
def model(parts: Parts) -> RealtimeModel:
    return parts.model()
