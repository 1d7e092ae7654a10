"""The key-value cache of all calls: one slot for each reply that is being made, and who has which."""

from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, VoxtralConfig
from transformers.cache_utils import Cache

MIN_ROWS = 8  # decoded at once: fewer would hardly be faster, and slots that rest keep what their call may need again


class SlotCache(Cache):
    """Keys and values [layers, slots, heads, positions, size], written in place by transformers' own layers.

    `aim` says where the next forward pass writes and how far it reads; the mask hides what lies beyond each row's own
    length. The last position of each slot is never read as anybody's: rows that rest write there.
    """

    def __init__(
        self, layers: int, slots: int, heads: int, context: int, size: int, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        super().__init__(layers=[])
        shape = (layers, slots, heads, context + 1, size)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self._by_layer = list(zip(self.keys, self.values, strict=True))
        self._rows = torch.empty(0)
        self._positions = torch.empty(0)
        self._length = 0
        self._one = False

    @property
    def nowhere(self) -> int:
        """The position that rows at rest write to."""
        return int(self.keys.shape[3]) - 1

    def aim(self, rows: torch.Tensor, positions: torch.Tensor, length: int, *, one: bool) -> None:
        """The next pass writes to slots `rows` [rows] at `positions` [rows, tokens] and reads `length` positions: of
        `one` slot, any of them, or of the slots 0, 1, 2, ... in this order."""
        self._rows, self._positions, self._length, self._one = rows[:, None], positions, length, one

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Called by the layers with [rows, heads, tokens, size]; gives all keys and values to attend to."""
        keys, values = self._by_layer[layer_idx]
        keys[self._rows, :, self._positions] = key_states.transpose(1, 2)
        values[self._rows, :, self._positions] = value_states.transpose(1, 2)
        if self._one:
            row = self._rows[:, 0]
            return keys[:, :, : self._length].index_select(0, row), values[:, :, : self._length].index_select(0, row)
        rows = self._rows.shape[0]
        return keys[:rows, :, : self._length], values[:rows, :, : self._length]

    def copy(self, source: int, slot: int, length: int) -> None:
        """Copy the first positions of one slot to another."""
        if source != slot:
            self.keys[:, slot, :, :length] = self.keys[:, source, :, :length]
            self.values[:, slot, :, :length] = self.values[:, source, :, :length]

    def save(self, slot: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The first positions of a slot, for `restore`."""
        return self.keys[:, slot, :, :length].clone(), self.values[:, slot, :, :length].clone()

    def restore(self, slot: int, saved: tuple[torch.Tensor, torch.Tensor], length: int) -> None:
        """Put the first `length` saved positions into a slot."""
        self.keys[:, slot, :, :length] = saved[0][:, :, :length]
        self.values[:, slot, :, :length] = saved[1][:, :, :length]


class Slots:
    """Which slots are taken, and what those that were given back still hold of their calls."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = dict.fromkeys(range(count))  # the one that has been free for longest comes first
        self._held: dict[int, tuple[str, list[int]]] = {}  # the call and the text that a slot begins with

    @property
    def free(self) -> int:
        """How many are not taken."""
        return len(self._free)

    def take(self) -> int:
        """A free slot: low enough that few rows have to be decoded; of those, the one free for longest."""
        rows = bucket(self.count - self.free + 1, MIN_ROWS, self.count)
        slot = next(slot for slot in self._free if slot < rows)
        del self._free[slot]
        return slot

    def give_back(self, slot: int) -> None:
        """It may be taken again; until then it keeps what it holds."""
        assert slot not in self._free, "a slot was given back twice"
        self._free[slot] = None

    def hold(self, slot: int, call: str, ids: list[int]) -> None:
        """From now on the slot begins with these tokens (none: with nothing that is known)."""
        self._held[slot] = (call, ids)

    def longest(self, call: str, ids: list[int]) -> tuple[int, int]:
        """The slot of the same call that begins with most of these tokens, and how many; (0, 0) if there is none."""
        shared = {slot: common(held, ids) for slot, (owner, held) in self._held.items() if owner == call}
        slot = max(shared, key=shared.__getitem__, default=0)
        return slot, shared.get(slot, 0)


def common(first: list[int], second: list[int]) -> int:
    """How many tokens both begin with."""
    length = min(len(first), len(second))
    differ = np.asarray(first[:length]) != np.asarray(second[:length])
    return int(differ.argmax()) if differ.any() else length


def bucket(least: int, smallest: int, largest: int) -> int:
    """The next of smallest, twice that, four times that, ... largest."""
    size = min(smallest, largest)
    while size < least:
        size = min(2 * size, largest)
        if size == largest:
            break
    return size


def cache_shape(config: VoxtralConfig) -> tuple[int, int, int]:
    """Layers, heads and the size of one head's keys, of the language model."""
    text = config.text_config
    assert isinstance(text, LlamaConfig)
    heads = text.num_attention_heads
    return text.num_hidden_layers, text.num_key_value_heads or heads, text.head_dim or text.hidden_size // heads


def sizes(smallest: int, largest: int) -> list[int]:
    """All that `bucket` can give."""
    found = [bucket(1, smallest, largest)]
    while found[-1] < largest:
        found.append(bucket(found[-1] + 1, smallest, largest))
    return found
