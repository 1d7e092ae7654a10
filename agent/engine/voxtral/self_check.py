"""Chooses the operations for a device's layers: the kernels if they run and agree with torch."""

import logging

import torch

from agent.engine.host import lacking_for_kernels
from agent.engine.voxtral.operations import Kept, Operations, Plain, Where, masking, turning
from agent.engine.voxtral.slots import DecoderShape

log = logging.getLogger(__name__)

CONTEXT = 300  # positions of the check: several parts of a long row
POSITIONS = [0, 17, 127, 128, 299, CONTEXT]  # of its rows; the last one is at rest
TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 0.06}


def operations_for(device: torch.device, dtype: torch.dtype, shape: DecoderShape) -> Operations:
    """Kernels on a GPU; torch's own elsewhere, and where the kernels cannot be built or are wrong, which is logged."""
    if device.type != "cuda":
        return Plain()
    try:
        from agent.engine.voxtral.kernels import Kernels  # noqa: PLC0415 (Triton is there where CUDA is)

        kernels = Kernels()
        compare(kernels, device, dtype, shape)
    except Exception:
        lacking = ", ".join(lacking_for_kernels()) or "nothing that they need"
        log.exception("Voxtral's kernels do not work here: it runs without them, which is slower; missing: %s", lacking)
        return Plain()
    return kernels


def compare(operations: Operations, device: torch.device, dtype: torch.dtype, shape: DecoderShape) -> None:
    """Raises AssertionError where these operations and torch's own differ, on random numbers."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random).to(device, dtype)

    rows, width, groups, size = len(POSITIONS), shape.heads * shape.size, shape.groups, shape.size
    positions, slots = torch.tensor(POSITIONS, device=device), torch.arange(rows, device=device)
    hidden, change, weight, gates = draw(rows, width), draw(rows, width), draw(width), draw(rows, 6 * width)
    states, cache = draw(rows, (shape.heads + 2 * groups) * size), draw(2, rows, groups, CONTEXT + 1, size)
    turns = turning(draw(size // 2), CONTEXT + 1, dtype)[positions]
    where = Where(slots, positions, turns, masking(positions, CONTEXT, dtype))
    results: list[list[torch.Tensor]] = []
    for each in (operations, Plain()):
        kept = Kept(*cache.clone())
        queries = each.place(states, where, kept)
        found = each.attend(queries.contiguous(), where, kept)[:-1]  # not of the row at rest
        first, later = each.normalize(hidden, None, weight, 1e-5), each.normalize(hidden, change, weight, 1e-5)
        results.append([*first, *later, queries, *kept, found, each.gate(gates)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])
