"""The kernels say what torch says: on a GPU, or interpreted; and they can be compiled for a GPU that is not here."""

import json
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.engine.voxtral.operations import Kept, Operations, Plain, Where, masking
from agent.engine.voxtral.self_check import compare
from agent.engine.voxtral.slots import DecoderShape
from tests.agent.engine.voxtral.compiling import LAUNCHES

pytest.importorskip("triton", reason="it comes with torch for CUDA; make test-slow installs it")
pytestmark = pytest.mark.slow
HERE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
VOXTRAL = DecoderShape(layers=30, heads=32, groups=8, size=128)


@pytest.fixture(scope="module")
def kernels() -> Operations:
    from agent.engine.voxtral.kernels import Kernels

    return Kernels()


# Triton's interpreter multiplies the bits of bfloat16 as if they were whole numbers: float16 stands for it.
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(
    "shape", [VOXTRAL, DecoderShape(1, 4, 2, 16), DecoderShape(1, 8, 8, 32), DecoderShape(1, 24, 1, 16)]
)
def test_they_say_what_torch_says(kernels: Operations, dtype: torch.dtype, shape: DecoderShape) -> None:
    compare(kernels, HERE, dtype, shape)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=5), st.integers(0, 1000))
def test_rows_of_any_length(kernels: Operations, positions: list[int], seed: int) -> None:
    """Position 400 is at rest: it gets zeros, and whatever stands there or beyond a row's own position is not read."""
    torch.manual_seed(seed)
    places, length = torch.tensor(positions, device=HERE), 400
    kept = Kept(*torch.randn(2, len(positions), 2, length + 1, 16, device=HERE))
    for row, position in enumerate(positions):
        for each in kept:
            each[row, :, position + 1 :] = torch.nan
            each[row, :, length] = torch.nan
    queries = torch.randn(len(positions), 4, 16, device=HERE)
    where = Where(torch.arange(len(positions), device=HERE), places, queries, masking(places, length, torch.float32))
    found = kernels.attend(queries, where, kept)
    resting = places == length
    assert (found[resting] == 0).all()
    clean = Kept(*(each.nan_to_num() for each in kept))
    torch.testing.assert_close(found[~resting], Plain().attend(queries, where, clean)[~resting], atol=1e-5, rtol=1e-5)


def test_a_prompt_is_placed_in_its_slot(kernels: Operations) -> None:
    places, one = torch.arange(3, 8, device=HERE), torch.tensor([2], device=HERE)
    turns, states = torch.randn(5, 2, 16, device=HERE), torch.randn(5, 8 * 16, device=HERE)
    where = Where(one.expand(5), places, turns, turns)
    caches = [Kept(*torch.zeros(2, 4, 2, 11, 16, device=HERE)) for _ in range(2)]
    queries = [each.place(states, where, kept) for each, kept in zip((kernels, Plain()), caches, strict=True)]
    torch.testing.assert_close(*queries)
    for ours, theirs in zip(*caches, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_they_compile_for_hopper_and_keep_to_its_registers() -> None:
    command = [sys.executable, "-m", "tests.agent.engine.voxtral.compiling"]
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert dict.fromkeys(LAUNCHES, "0 bytes spill stores, 0 bytes spill loads") == json.loads(said)
