"""The key-value cache of all calls: one slot for each reply being made, and which reply has which slot."""

from typing import NamedTuple

import numpy as np
import torch
from transformers import LlamaConfig, VoxtralConfig

MIN_ROWS = 8  # decoded at once: fewer would hardly be faster, and slots that rest keep what their call may need again


class DecoderShape(NamedTuple):
    """Of a language model: layers, heads of queries, groups of heads that share keys and values, numbers of a head."""

    layers: int
    heads: int
    groups: int
    size: int


class SlotCache:
    """Keys and values [layers, slots, groups, positions, size], written in place by the layers.

    The last position of each slot is never read as anybody's: rows that rest write there.
    """

    def __init__(
        self, shape: DecoderShape, slots: int, context: int, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        size = (shape.layers, slots, shape.groups, context + 1, shape.size)
        self.keys = torch.zeros(size, device=device, dtype=dtype)
        self.values = torch.zeros(size, device=device, dtype=dtype)

    @property
    def nowhere(self) -> int:
        """The position that rows at rest write to."""
        return int(self.keys.shape[3]) - 1

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


def sizes(smallest: int, largest: int) -> list[int]:
    """All that `bucket` can give."""
    found = [bucket(1, smallest, largest)]
    while found[-1] < largest:
        found.append(bucket(found[-1] + 1, smallest, largest))
    return found


def shape_of(config: VoxtralConfig) -> DecoderShape:
    """Of its language model."""
    text = config.text_config
    assert isinstance(text, LlamaConfig)
    heads = text.num_attention_heads
    size = text.head_dim or text.hidden_size // heads
    return DecoderShape(text.num_hidden_layers, heads, text.num_key_value_heads or heads, size)
