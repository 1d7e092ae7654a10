"""The model's cache for many streams at once: each has a slot, and one step works on a run of slots.

Both classes stand in for those of transformers, whose modelling code calls nothing but `update`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.cache_utils import Cache

STRIDE = 64  # positions by which the part attended to grows


@dataclass(frozen=True)
class CacheShape:
    """Of one slot."""

    layers: int
    heads: int
    length: int  # positions
    width: int  # of a head

    @property
    def numbers(self) -> int:
        """Numbers in a slot."""
        return 2 * self.layers * self.heads * self.length * self.width


class RingCache(Cache):
    """Keys and values of every slot's last `length` positions, a ring for each: position p lies at p % length."""

    def __init__(self, shape: CacheShape, window: int, slots: int, like: Tensor) -> None:
        """`window`: positions that attention looks back, at most `length` less those of one step, plus one."""
        super().__init__(layers=[])
        self._length, self._window = shape.length, window
        size = (shape.layers, 2, slots, shape.heads, shape.length, shape.width)
        self._store = torch.zeros(size, dtype=like.dtype, device=like.device)

    def at(self, rows: slice, positions: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """The next step writes at `positions`, [rows, new].

        Gives them as a tensor, and the attention mask, [rows, 1, new, seen].
        """
        device = self._store.device
        seen = min(self._length, -(-(int(positions.max()) + 1) // STRIDE) * STRIDE)
        query = torch.from_numpy(positions).to(device, non_blocking=True)  # as in RealtimeModel
        last = query[:, -1:]
        held = last - (last - torch.arange(seen, device=device)) % self._length  # the position at each place
        self._rows, self._seen = rows, seen
        self._row, self._index = torch.arange(len(query), device=device)[:, None], query % self._length
        held, asking = held[:, None, None, :], query[:, None, :, None]
        return query, (held >= 0) & (held <= asking) & (held > asking - self._window)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """See Cache."""
        keys, values = self._store[layer_idx, :, self._rows]
        keys[self._row, :, self._index] = key_states.transpose(1, 2)
        values[self._row, :, self._index] = value_states.transpose(1, 2)
        return keys[:, :, : self._seen], values[:, :, : self._seen]

    def copy(self, source: int, target: int) -> None:
        """Copy everything from one slot to another."""
        self._store[:, :, target] = self._store[:, :, source]


class ConvStates:
    """The last inputs of the encoder's causal convolutions. A step counts once it is committed."""

    def __init__(self, convolutions: dict[str, Any], slots: int, like: Tensor) -> None:
        """`convolutions`: the modules by their cache keys."""
        self._store = {
            key: torch.zeros(slots, module.in_channels, module.left_pad, dtype=like.dtype, device=like.device)
            for key, module in convolutions.items()
        }
        self._marked = {key: store.clone() for key, store in self._store.items()}
        self._next: dict[str, Tensor] = {}
        self._rows = slice(0)

    def at(self, rows: slice) -> None:
        """The next step works on these slots."""
        self._rows = rows

    def update(self, hidden_states: Tensor, cache_key: str, _: nn.Module) -> Tensor:
        """`hidden_states` [rows, channels, time] with what came before it."""
        store = self._store[cache_key]
        joined = torch.cat((store[self._rows], hidden_states), dim=-1)
        self._next[cache_key] = joined[..., -store.shape[-1] :]
        return joined

    def commit(self, which: Tensor) -> None:
        """The step has succeeded for its rows `which`."""
        for key, store in self._store.items():
            store[self._rows][which] = self._next[key][which]

    def copy(self, source: int, target: int) -> None:
        """Copy everything from one slot to another."""
        _copy(self._store, source, self._store, target)

    def mark(self, slot: int) -> None:
        """Remember the slot as it is now."""
        _copy(self._store, slot, self._marked, slot)

    def rewind(self, slot: int) -> None:
        """The slot is as it was when it was marked."""
        _copy(self._marked, slot, self._store, slot)


def _copy(source: dict[str, Tensor], row: int, target: dict[str, Tensor], other: int) -> None:
    for key, tensor in source.items():
        target[key][other] = tensor[row]
