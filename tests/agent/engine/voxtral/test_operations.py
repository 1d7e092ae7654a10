"""torch's own operations beside transformers' modules, which are what the weights were trained with."""

from typing import Any

import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import (
    LlamaMLP,
    LlamaRMSNorm,
    LlamaRotaryEmbedding,
    apply_rotary_pos_emb,
    repeat_kv,
)

from agent.engine.voxtral.operations import Kept, Plain, Where, masking, turning

HEADS, GROUPS, SIZE, WIDTH = 6, 2, 8, 24
SLOTS, CONTEXT = 5, 40
CONFIG = LlamaConfig(
    hidden_size=WIDTH, intermediate_size=20, num_attention_heads=HEADS, num_key_value_heads=GROUPS, head_dim=SIZE
)


@pytest.fixture(autouse=True)
def inference() -> object:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def kept() -> Kept:
    return Kept(*torch.randn(2, SLOTS, GROUPS, CONTEXT + 1, SIZE))


def where(slots: list[int], positions: list[int], length: int = CONTEXT) -> Where:
    rotary = LlamaRotaryEmbedding(CONFIG)
    places = torch.tensor(positions)
    turns = turning(rotary.inv_freq, CONTEXT + 1, torch.float32)[places]
    return Where(torch.tensor(slots), places, turns, masking(places, length, torch.float32))


@pytest.mark.parametrize("changed", [True, False])
def test_it_normalizes_as_llama_does(changed: bool) -> None:
    norm = LlamaRMSNorm(WIDTH, eps=1e-5)
    norm.weight.copy_(torch.rand(WIDTH))
    hidden, change = torch.randn(3, WIDTH), torch.randn(3, WIDTH)
    before = hidden.clone()
    added, normal = Plain().normalize(hidden, change if changed else None, norm.weight, 1e-5)
    torch.testing.assert_close(added, hidden + change if changed else hidden)
    torch.testing.assert_close(normal, norm(added))
    torch.testing.assert_close(hidden, before, rtol=0, atol=0)


def test_it_gates_as_llama_does() -> None:
    feed = LlamaMLP(CONFIG)
    hidden = torch.randn(3, WIDTH)
    states = torch.cat((feed.gate_proj(hidden), feed.up_proj(hidden)), -1)
    torch.testing.assert_close(feed.down_proj(Plain().gate(states)), feed(hidden))


def test_it_turns_heads_as_llama_does_and_puts_keys_and_values_where_they_belong() -> None:
    there, cache = where([3, 0, 3], [0, 17, 39]), kept()
    before = Kept(*(each.clone() for each in cache))
    states = torch.randn(3, HEADS + 2 * GROUPS, SIZE)
    queries, keys, values = states.split([HEADS, GROUPS, GROUPS], 1)
    cosine, sine = LlamaRotaryEmbedding(CONFIG)(states, there.positions[None])
    queries, keys = apply_rotary_pos_emb(queries[None], keys[None], cosine, sine, unsqueeze_dim=2)

    torch.testing.assert_close(Plain().place(states.flatten(1), there, cache), queries[0])
    for place, (slot, position) in enumerate(((3, 0), (0, 17), (3, 39))):
        torch.testing.assert_close(cache.keys[slot, :, position], keys[0, place])
        torch.testing.assert_close(cache.values[slot, :, position], values[place])
        before.keys[slot, :, position], before.values[slot, :, position] = keys[0, place], values[place]
    for now, expected in zip(cache, before, strict=True):
        torch.testing.assert_close(now, expected)  # and nothing else is touched


@pytest.mark.parametrize("length", [20, CONTEXT])
def test_each_row_looks_back_in_its_own_slot(length: int) -> None:
    positions = [0, 19, 7]
    cache, queries = kept(), torch.randn(3, HEADS, SIZE)
    found = Plain().attend(queries, where([0, 1, 2], positions, length), cache)
    for row, position in enumerate(positions):
        keys, values = (repeat_kv(each[row : row + 1, :, : position + 1], HEADS // GROUPS)[0] for each in cache)
        scores = (queries[row, :, None] @ keys.mT) * SIZE**-0.5
        torch.testing.assert_close(found[row].view(HEADS, SIZE), (scores.softmax(-1) @ values)[:, 0])


def test_rows_at_rest_come_out_as_numbers() -> None:
    queries: Any = torch.randn(1, HEADS, SIZE)
    assert Plain().attend(queries, where([0], [CONTEXT]), kept()).isfinite().all()
