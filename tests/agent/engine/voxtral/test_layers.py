"""The layers beside the LlamaModel whose weights they have."""

import copy
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaModel

from agent.engine.voxtral.layers import Layers
from agent.engine.voxtral.operations import Plain
from agent.engine.voxtral.slots import DecoderShape, SlotCache

SLOTS, CONTEXT, WIDTH = 4, 48, 36
SHAPE = DecoderShape(layers=3, heads=6, groups=2, size=8)


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def llama() -> LlamaModel:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=10, hidden_size=WIDTH, intermediate_size=40, num_hidden_layers=SHAPE.layers,
        num_attention_heads=SHAPE.heads, num_key_value_heads=SHAPE.groups, head_dim=SHAPE.size,
        rms_norm_eps=1e-5, rope_theta=1e4, initializer_range=0.2,
    )  # fmt: skip
    return LlamaModel(config).eval()


def cache() -> SlotCache:
    return SlotCache(SHAPE, SLOTS, CONTEXT, device=torch.device("cpu"), dtype=torch.float32)


def layers(model: LlamaModel, slots: SlotCache) -> Layers:
    return Layers(copy.deepcopy(model), slots, Plain())


def stock(model: LlamaModel, embedded: torch.Tensor) -> torch.Tensor:
    hidden: torch.Tensor = model(inputs_embeds=embedded[None]).last_hidden_state[0]
    return hidden


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 16), min_size=1, max_size=3), st.integers(0, SLOTS - 1))
def test_a_prompt_in_any_parts_is_read_as_llama_reads_it(parts: list[int], slot: int) -> None:
    model = llama()
    ours, embedded = layers(model, cache()), torch.randn(sum(parts), WIDTH)
    read, start = [], 0
    for part in parts:
        positions = torch.arange(start, start + part)
        read.append(ours.read(embedded[start : start + part], torch.tensor([slot]), positions, CONTEXT))
        start += part
    torch.testing.assert_close(torch.cat(read), stock(model, embedded), atol=1e-4, rtol=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=SLOTS), st.integers(0, 3))
def test_rows_of_any_length_are_written_as_llama_would(lengths: list[int], more: int) -> None:
    """Each row reads its own prompt, and then all go on together; those without a prompt begin with their first."""
    model = llama()
    ours = layers(model, cache())
    texts = [torch.randn(length + 1 + more, WIDTH) for length in lengths]
    for slot, (text, length) in enumerate(zip(texts, lengths, strict=True)):
        if length:
            ours.read(text[:length], torch.tensor([slot]), torch.arange(length), CONTEXT)
    for step in range(1 + more):
        now = torch.stack([text[length + step] for text, length in zip(texts, lengths, strict=True)])
        written = ours.write(now, torch.tensor(lengths) + step, CONTEXT)
        for row, (text, length) in enumerate(zip(texts, lengths, strict=True)):
            expected = stock(model, text[: length + step + 1])[-1]
            torch.testing.assert_close(written[row], expected, atol=1e-4, rtol=1e-4)


def test_how_far_it_looks_changes_nothing() -> None:
    ours, embedded = layers(llama(), cache()), torch.randn(5, WIDTH)
    read = [ours.read(embedded, torch.tensor([1]), torch.arange(5), length) for length in (5, 16, CONTEXT)]
    for each in read[1:]:
        torch.testing.assert_close(each, read[0])


def test_memory_holds_the_weights_once_and_the_model_goes_on_to_work() -> None:
    model = llama()
    embedded = torch.randn(7, WIDTH)
    before, weights = stock(model, embedded), sum(each.nbytes for each in model.parameters())
    Layers(model, cache(), Plain())
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in model.parameters()}
    assert sum(storages.values()) == weights
    torch.testing.assert_close(stock(model, embedded), before)
