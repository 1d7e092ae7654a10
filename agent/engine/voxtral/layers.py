"""The layers of the language model over the slots' cache: transformers' weights and arithmetic, in few operations."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention

from agent.engine.voxtral.operations import Kept, Operations, Where, masking, turning
from agent.engine.voxtral.slots import SlotCache

Attend = Callable[[torch.Tensor, Where, Kept], torch.Tensor]


class Layer(NamedTuple):
    """The weights of one layer, and its part of the cache."""

    norm: torch.Tensor
    states: torch.Tensor  # queries, keys and values
    out: torch.Tensor
    gate_norm: torch.Tensor
    gate: torch.Tensor  # both halves
    down: torch.Tensor
    kept: Kept


class Layers:
    """A LlamaModel's layers and last norm. The model itself keeps working, on the same memory."""

    def __init__(self, model: nn.Module, cache: SlotCache, operations: Operations) -> None:
        parts: Any = model
        self._operations = operations
        self._layers = [
            _take(layer, Kept(*kept)) for layer, *kept in zip(parts.layers, cache.keys, cache.values, strict=True)
        ]
        self._norm, self._epsilon = parts.norm.weight, float(parts.norm.variance_epsilon)
        self.turning = turning(parts.rotary_emb.inv_freq, cache.nowhere + 1, self._norm.dtype)

    def write(self, embedded: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        """One token of each row [rows, width]; row r is slot r, which is looked at up to its position, below `length`.
        Gives what the vocabulary is compared with, [rows, width]."""
        slots = torch.arange(len(positions), device=positions.device)
        return self._run(embedded, self._where(slots, positions, length), self._operations.attend)

    def read(self, embedded: torch.Tensor, slot: torch.Tensor, positions: torch.Tensor, length: int) -> torch.Tensor:
        """Several tokens [tokens, width] of one `slot` [1], likewise."""
        return self._run(embedded, self._where(slot.expand(len(positions)), positions, length), look_back)

    def _where(self, slots: torch.Tensor, positions: torch.Tensor, length: int) -> Where:
        turns = self.turning.index_select(0, positions)
        return Where(slots, positions, turns, masking(positions, length, self.turning.dtype))

    def _run(self, hidden: torch.Tensor, where: Where, attend: Attend) -> torch.Tensor:
        do, epsilon, change = self._operations, self._epsilon, None
        for layer in self._layers:
            hidden, normal = do.normalize(hidden, change, layer.norm, epsilon)
            queries = do.place(linear(normal, layer.states), where, layer.kept)
            change = linear(attend(queries, where, layer.kept), layer.out)
            hidden, normal = do.normalize(hidden, change, layer.gate_norm, epsilon)
            change = linear(do.gate(linear(normal, layer.gate)), layer.down)
        return do.normalize(hidden, change, self._norm, epsilon)[1]


def look_back(queries: torch.Tensor, where: Where, kept: Kept) -> torch.Tensor:
    """As Operations.attend, for tokens that are all in the slot of the first."""
    (tokens, length), (_, groups, _, size) = where.mask.shape, kept.keys.shape
    grouped = queries.view(tokens, groups, -1, size).permute(1, 2, 0, 3)
    # The same keys stand for every head of a group, without a copy.
    keys, values = (
        each[:, :, :length].index_select(0, where.slots[:1])[0, :, None].expand(-1, grouped.shape[1], -1, -1)
        for each in kept
    )
    found = scaled_dot_product_attention(grouped, keys, values, where.mask)
    return found.permute(2, 0, 1, 3).reshape(tokens, -1)


def _take(layer: Any, kept: Kept) -> Layer:
    attention, feed = layer.self_attn, layer.mlp
    return Layer(
        layer.input_layernorm.weight,
        _joined(attention.q_proj, attention.k_proj, attention.v_proj),
        attention.o_proj.weight,
        layer.post_attention_layernorm.weight,
        _joined(feed.gate_proj, feed.up_proj),
        feed.down_proj.weight,
        kept,
    )


def _joined(*parts: nn.Linear) -> torch.Tensor:
    """Their weights in one tensor; each becomes a view of it, so that memory holds them once."""
    whole = torch.cat([part.weight.detach() for part in parts])
    for part, weight in zip(parts, torch.split(whole, [part.out_features for part in parts]), strict=True):
        part.weight = nn.Parameter(weight, requires_grad=False)
    if whole.is_cuda:
        torch.cuda.empty_cache()  # the pieces' memory is too small for the next tensor, and would be kept
    return whole
