"""What a layer does between its matrix products, as four operations.

transformers' own layers take some 45 operations each, and on a GPU every one of them is expected to cost about two
microseconds, captured or not: together more than reading the weights does. These are torch's own operations, for a CPU
and to compare with; kernels.py has each of them in one piece.
"""

from typing import NamedTuple, Protocol

import torch
from torch.nn import functional


class Kept(NamedTuple):
    """One layer's keys and values of all slots, each [slots, groups, positions, size]; heads of a group share them."""

    keys: torch.Tensor
    values: torch.Tensor


class Where(NamedTuple):
    """Where the tokens of a pass stand."""

    slots: torch.Tensor  # [tokens]
    positions: torch.Tensor  # [tokens]
    turns: torch.Tensor  # [tokens, 2, size], see `turning`
    mask: torch.Tensor  # [tokens, length], see `masking`


class Operations(Protocol):
    """What a layer needs; all tensors are [tokens, ...]."""

    def normalize(
        self, hidden: torch.Tensor, change: torch.Tensor | None, weight: torch.Tensor, epsilon: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`hidden` [tokens, width] with the change added, and that with a root mean square of 1, times the weight."""

    def place(self, states: torch.Tensor, where: Where, kept: Kept) -> torch.Tensor:
        """Queries, keys and values come as `states` [tokens, (heads + 2 groups) x size]. The first two are turned by
        their positions; keys and values are put where they belong. Gives the queries [tokens, heads, size]."""

    def attend(self, queries: torch.Tensor, where: Where, kept: Kept) -> torch.Tensor:
        """Each token looks at its slot up to and with its own position; token t must be in slot t. Those at the last
        position of all are at rest: anything may come out for them. Gives [tokens, heads x size]."""

    def gate(self, states: torch.Tensor) -> torch.Tensor:
        """[tokens, 2 x inner] → [tokens, inner]: the second half, each number times SiLU of its fellow in the first."""


class Plain:
    """torch's own operations."""

    def normalize(
        self, hidden: torch.Tensor, change: torch.Tensor | None, weight: torch.Tensor, epsilon: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See Operations."""
        hidden = hidden if change is None else hidden + change
        return hidden, functional.rms_norm(hidden, weight.shape, weight, epsilon)

    def place(self, states: torch.Tensor, where: Where, kept: Kept) -> torch.Tensor:
        """See Operations."""
        groups, size = kept.keys.shape[1], kept.keys.shape[3]
        heads = states.view(len(states), -1, size)
        turned = heads[:, :-groups]
        turned = torch.addcmul(turned * where.turns[:, :1], turned.roll(size // 2, -1), where.turns[:, 1:])
        kept.keys[where.slots, :, where.positions] = turned[:, -groups:]
        kept.values[where.slots, :, where.positions] = heads[:, -groups:]
        return turned[:, :-groups]

    def attend(self, queries: torch.Tensor, where: Where, kept: Kept) -> torch.Tensor:
        """See Operations."""
        (tokens, length), groups, size = where.mask.shape, kept.keys.shape[1], kept.keys.shape[3]
        keys, values = (each[:tokens, :, :length] for each in kept)
        # The heads of a group stand where tokens usually do, so that nobody repeats keys and values for each of them.
        grouped = queries.reshape(tokens, groups, -1, size)
        found = functional.scaled_dot_product_attention(grouped, keys, values, where.mask[:, None, None])
        return found.reshape(tokens, -1)

    def gate(self, states: torch.Tensor) -> torch.Tensor:
        """See Operations."""
        first, second = states.chunk(2, dim=-1)
        return functional.silu(first) * second


def turning(frequencies: torch.Tensor, positions: int, dtype: torch.dtype) -> torch.Tensor:
    """How heads are turned at each position [positions, 2, size]: what they are multiplied with, and what their halves,
    exchanged, are multiplied with before both are added. `frequencies` [size / 2] are those of the model."""
    angles = torch.arange(positions, device=frequencies.device, dtype=torch.float32)[:, None] * frequencies.float()
    cosine, sine = angles.cos(), angles.sin()
    return torch.stack((torch.cat((cosine, cosine), -1), torch.cat((-sine, sine), -1)), 1).to(dtype)


def masking(positions: torch.Tensor, length: int, dtype: torch.dtype) -> torch.Tensor:
    """What is added to scores [tokens, length], so that each token looks back only: 0 up to its position, then -inf."""
    beyond = torch.arange(length, device=positions.device) > positions[:, None]
    return torch.zeros_like(beyond, dtype=dtype).masked_fill_(beyond, -torch.inf)
