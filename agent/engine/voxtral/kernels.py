"""The operations of a layer as Triton kernels: one each, two for attention. Triton comes with torch for CUDA.

Everything is computed in float32 and rounded when it is stored.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

import torch
import triton
import triton.language as tl

from agent.engine.voxtral.gpu_memory import PART
from agent.engine.voxtral.operations import Kept, Where

BLOCK = 64  # positions at a time, within the PART of a program
ROWS = 16  # the least that tensor cores multiply: a group's heads are padded to it
CHUNK = 1024  # numbers that one program gates


class Kernels:
    """See Operations; the size of a head must be a power of two."""

    def normalize(
        self, hidden: torch.Tensor, change: torch.Tensor | None, weight: torch.Tensor, epsilon: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See Operations."""
        tokens, width = hidden.shape
        normal = torch.empty_like(hidden)
        added = hidden if change is None else torch.empty_like(hidden)
        block = triton.next_power_of_2(width)
        _normalize[(tokens,)](
            hidden, change, weight, added, normal, width, epsilon, changed=change is not None, block=block, num_warps=8
        )
        return added, normal

    def place(self, states: torch.Tensor, where: Where, kept: Kept) -> torch.Tensor:
        """See Operations."""
        tokens, groups, size = len(states), kept.keys.shape[1], kept.keys.shape[3]
        heads = states.shape[1] // size - 2 * groups
        queries = states.new_empty(tokens, heads, size)
        _place[(tokens, heads + 2 * groups)](
            states, where.turns, queries, kept.keys, kept.values, where.slots, where.positions,
            kept.keys.stride(0), kept.keys.stride(1), where.slots.stride(0),
            heads=heads, groups=groups, size=size, num_warps=1,
        )  # fmt: skip
        return queries

    def attend(self, queries: torch.Tensor, where: Where, kept: Kept) -> torch.Tensor:
        """See Operations. Nothing is read beyond a token's position; idle rows read nothing and get zeros."""
        tokens, heads, size = queries.shape
        groups, nowhere = kept.keys.shape[1], kept.keys.shape[2] - 1
        parts = triton.cdiv(where.mask.shape[1], PART)
        found = queries.new_empty(tokens, heads, parts, size, dtype=torch.float32)
        weights = queries.new_empty(tokens, heads, parts, dtype=torch.float32)
        result = queries.new_empty(tokens, heads * size)
        _attend[(tokens, groups, parts)](
            queries, kept.keys, kept.values, where.positions, found, weights,
            kept.keys.stride(0), kept.keys.stride(1), nowhere, size**-0.5,
            heads=heads, group=heads // groups, rows=max(ROWS, triton.next_power_of_2(heads // groups)), size=size,
            parts=parts, part=PART, block=BLOCK, num_warps=4,
        )  # fmt: skip
        _combine[(tokens, heads)](
            found, weights, where.positions, result, nowhere,
            heads=heads, size=size, parts=parts, padded=triton.next_power_of_2(parts), part=PART, num_warps=2,
        )  # fmt: skip
        return result

    def gate(self, states: torch.Tensor) -> torch.Tensor:
        """See Operations."""
        tokens, inner = len(states), states.shape[1] // 2
        gated = states.new_empty(tokens, inner)
        _gate[(tokens, triton.cdiv(inner, CHUNK))](states, gated, inner, chunk=CHUNK, num_warps=4)
        return gated


@triton.jit
def _normalize(hidden, change, weight, added, normal, width, epsilon, changed: tl.constexpr, block: tl.constexpr):
    at = tl.arange(0, block)
    inside = at < width
    token = tl.program_id(0).to(tl.int64) * width + at
    value = tl.load(hidden + token, mask=inside, other=0.0)
    if changed:
        sum_ = value.to(tl.float32) + tl.load(change + token, mask=inside, other=0.0).to(tl.float32)
        value = sum_.to(value.dtype)  # as the next layer will see it
        tl.store(added + token, value, mask=inside)
    exact = value.to(tl.float32)
    scale = tl.rsqrt(tl.sum(exact * exact, 0) / width + epsilon)
    factor = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(normal + token, (exact * scale * factor).to(value.dtype), mask=inside)


@triton.jit
def _place(
    states, turns, queries, keys, values, slots, positions, slot_stride, group_stride, slots_stride,
    heads: tl.constexpr, groups: tl.constexpr, size: tl.constexpr,
):  # fmt: skip
    token, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    at = tl.arange(0, size)
    state = states + (token * (heads + 2 * groups) + head) * size
    value = tl.load(state + at)
    if head < heads + groups:
        other = tl.load(state + (at + size // 2) % size)
        turn = turns + token * 2 * size + at
        turned = value.to(tl.float32) * tl.load(turn).to(tl.float32)
        turned += other.to(tl.float32) * tl.load(turn + size).to(tl.float32)
        value = turned.to(value.dtype)
    if head < heads:
        tl.store(queries + (token * heads + head) * size + at, value)
    else:
        slot, position = tl.load(slots + token * slots_stride), tl.load(positions + token)
        group = (head - heads) % groups
        place = slot * slot_stride + group * group_stride + position * size + at
        if head < heads + groups:
            tl.store(keys + place, value)
        else:
            tl.store(values + place, value)


@triton.jit
def _attend(
    queries, keys, values, positions, found, weights, slot_stride, group_stride, nowhere, scale,
    heads: tl.constexpr, group: tl.constexpr, rows: tl.constexpr, size: tl.constexpr,
    parts: tl.constexpr, part: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    row, this, which = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    position = tl.load(positions + row)
    first = which * part
    if (position != nowhere) & (first <= position):
        one = tl.arange(0, rows)  # heads of the group, and padding
        real = one < group
        at = tl.arange(0, size)
        head = row * heads + this * group + one
        query = tl.load(queries + head[:, None] * size + at[None, :], mask=real[:, None], other=0.0)
        slot = row * slot_stride + this * group_stride
        best = tl.full([rows], float("-inf"), tl.float32)
        total = tl.zeros([rows], tl.float32)
        mixed = tl.zeros([rows, size], tl.float32)
        for start in range(first, tl.minimum(first + part, position + 1), block):
            seen = start + tl.arange(0, block)
            inside = seen <= position
            places = slot + seen * size
            key = tl.load(keys + places[None, :] + at[:, None], mask=inside[None, :], other=0.0)
            scores = tl.dot(query, key, input_precision="ieee") * scale
            scores = tl.where(inside[None, :], scores, float("-inf"))
            higher = tl.maximum(best, tl.max(scores, 1))
            shares = tl.exp(scores - higher[:, None])
            shrink = tl.exp(best - higher)
            value = tl.load(values + places[:, None] + at[None, :], mask=inside[:, None], other=0.0)
            mixed = mixed * shrink[:, None] + tl.dot(shares.to(value.dtype), value, input_precision="ieee")
            total = total * shrink + tl.sum(shares, 1)
            best = higher
        place = head * parts + which
        tl.store(found + place[:, None] * size + at[None, :], mixed / total[:, None], mask=real[:, None])
        tl.store(weights + place, best + tl.log(total), mask=real)


@triton.jit
def _combine(
    found, weights, positions, result, nowhere,
    heads: tl.constexpr, size: tl.constexpr, parts: tl.constexpr, padded: tl.constexpr, part: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    head = row * heads + tl.program_id(1)
    position = tl.load(positions + row)
    which, at = tl.arange(0, padded), tl.arange(0, size)
    there = which < tl.where(position == nowhere, 0, position // part + 1)
    weight = tl.load(weights + head * parts + which, mask=there, other=-1e30)
    share = tl.where(there, tl.exp(weight - tl.max(weight, 0)), 0.0)
    each = tl.load(found + (head * parts + which)[:, None] * size + at[None, :], mask=there[:, None], other=0.0)
    whole = tl.sum(share, 0)
    mixed = tl.sum(each * share[:, None], 0) / tl.where(whole > 0, whole, 1.0)
    tl.store(result + head * size + at, mixed.to(result.dtype.element_ty))


@triton.jit
def _gate(states, gated, inner, chunk: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * chunk + tl.arange(0, chunk)
    inside = at < inner
    first = tl.load(states + token * 2 * inner + at, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(states + (token * 2 + 1) * inner + at, mask=inside, other=0.0)
    gated_value = first * tl.sigmoid(first) * second.to(tl.float32)
    tl.store(gated + token * inner + at, gated_value.to(second.dtype), mask=inside)
