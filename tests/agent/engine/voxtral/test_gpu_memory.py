"""The sums of memory, beside the bytes of the genuine model's tensors, counted while it runs without weights."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from transformers import VoxtralConfig, VoxtralForConditionalGeneration

from agent.engine.voxtral import gpu_memory as memory
from agent.engine.voxtral.checkpoint import Checkpoint
from agent.engine.voxtral.decoder import Decoder
from agent.engine.voxtral.gpu_memory import LIBRARIES, MAX_PREFILL, memory_needed, step_bytes
from agent.engine.voxtral.sampling import choose
from bench.checkpoints.voxtral import FULL_VOCABULARY, _sizes
from config.engine import VoxtralSettings
from tests.agent.engine.live import Live

pytestmark = pytest.mark.slow

CONFIG = VoxtralConfig(**_sizes(FULL_VOCABULARY, 0, 0, full=True))
ROWS, CONTEXT, WIDTH = 64, 4096, 3072
BF16 = torch.bfloat16.itemsize
META = torch.device("meta")


@pytest.fixture(scope="module")
def genuine() -> Iterator[Decoder]:
    """The real size in bf16, without numbers, on a device that is not the CPU."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with META:
            model = VoxtralForConditionalGeneration(CONFIG)
    finally:
        torch.set_default_dtype(before)
    with torch.inference_mode():
        model.train(mode=False)
        yield Decoder(Checkpoint(model, None, META), ROWS, CONTEXT)  # type: ignore[arg-type]


def peak(decoder: Decoder, work: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> int:
    model, cache = decoder._model, decoder.cache
    given = [value.to(META) for value in inputs]
    with Live(
        *model.parameters(), *model.buffers(), cache.keys, cache.values, decoder._layers.turning, *given, only="meta"
    ) as live:
        work(*given)
    return live.peak


def within(measured: int, bound: int) -> None:
    assert measured <= bound < 2.5 * measured


def test_hearing(genuine: Decoder) -> None:
    within(peak(genuine, genuine._encode, torch.zeros(1, 128, 3000)), memory.hearing(CONFIG, BF16))


@pytest.mark.parametrize(("tokens", "length"), [(128, 512), (512, 1024), (MAX_PREFILL, 1024), (MAX_PREFILL, CONTEXT)])
def test_reading(genuine: Decoder, tokens: int, length: int) -> None:
    embedded = torch.zeros(tokens, WIDTH, dtype=torch.bfloat16)
    inputs = embedded, torch.tensor([1]), torch.arange(tokens), torch.tensor([9])
    measured = peak(genuine, lambda *each: genuine._read(length, *each), *inputs)
    within(measured, memory.reading(CONFIG, tokens, length, BF16))


@pytest.mark.parametrize(("rows", "length"), [(8, 512), (ROWS, 512), (ROWS, CONTEXT)])
def test_writing(genuine: Decoder, rows: int, length: int) -> None:
    numbers = torch.zeros(2, rows, dtype=torch.long)
    within(
        peak(genuine, lambda each: genuine._write(length, each), numbers), memory.writing(CONFIG, rows, length, BF16)
    )


def test_choosing(genuine: Decoder) -> None:
    logits = torch.zeros(ROWS, FULL_VOCABULARY, dtype=torch.bfloat16)
    within(peak(genuine, choose, logits, torch.zeros(3, ROWS)), memory.choosing(FULL_VOCABULARY, ROWS, BF16))


def test_the_whole_of_the_real_model() -> None:
    values: dict[str, Any] = {"model": "m", "device": "cuda", "slots": ROWS, "context": CONTEXT}
    settings = VoxtralSettings.model_validate(values)
    weights, cache, step, libraries = memory_needed(CONFIG, settings, torch.bfloat16).values()
    assert weights == pytest.approx(2 * 4.676e9, rel=0.001)
    assert cache == ROWS * (CONTEXT + 1) * 122_880
    assert step == step_bytes(CONFIG, ROWS, CONTEXT, torch.bfloat16)
    assert step == pytest.approx(0.6e9, rel=0.1)
    assert libraries == LIBRARIES


def test_it_grows_with_slots_and_context() -> None:
    sums = [step_bytes(CONFIG, slots, 4096, torch.bfloat16) for slots in (8, 64, 1024)]
    sums += [step_bytes(CONFIG, 1024, 32_768, torch.bfloat16)]
    assert sums == sorted(set(sums))


def test_on_a_cpu_only_weights_and_slots_are_counted() -> None:
    settings = VoxtralSettings.model_validate({"model": "m", "device": "cpu", "slots": 2, "context": 512})
    assert len(memory_needed(CONFIG, settings, torch.float32)) == 2
