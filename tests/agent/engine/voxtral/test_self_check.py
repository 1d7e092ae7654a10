import logging

import pytest
import torch

from agent.engine.voxtral.operations import Kept, Plain, Where
from agent.engine.voxtral.self_check import compare, operations_for
from agent.engine.voxtral.slots import DecoderShape

CPU, SHAPE = torch.device("cpu"), DecoderShape(layers=1, heads=6, groups=2, size=8)


class Late(Plain):
    """Forgets the last position of a row."""

    def attend(self, queries: torch.Tensor, where: Where, kept: Kept) -> torch.Tensor:
        mask = where.mask.clone()
        for row, position in enumerate(where.positions.clamp(max=mask.shape[1] - 1)):
            if position:
                mask[row, position] = -torch.inf
        return super().attend(queries, where._replace(mask=mask), kept)


class Lost(Plain):
    """Puts values in the wrong place."""

    def place(self, states: torch.Tensor, where: Where, kept: Kept) -> torch.Tensor:
        return super().place(states, where, Kept(kept.keys, kept.keys))


class Loud(Plain):
    def gate(self, states: torch.Tensor) -> torch.Tensor:
        return super().gate(states) * 1.1


def test_a_cpu_has_torchs_own() -> None:
    assert isinstance(operations_for(CPU, torch.float32, SHAPE), Plain)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_whose_kernels_do_not_work_goes_on_without(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):  # there is no GPU: nothing works there
        assert isinstance(operations_for(torch.device("cuda"), torch.float32, SHAPE), Plain)
    assert "runs without them, which is slower" in caplog.text


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_what_says_the_same_passes(dtype: torch.dtype) -> None:
    compare(Plain(), CPU, dtype, SHAPE)


@pytest.mark.parametrize("wrong", [Late, Lost, Loud])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_wrong_does_not(wrong: type[Plain], dtype: torch.dtype) -> None:
    with pytest.raises(AssertionError, match="not close"):
        compare(wrong(), CPU, dtype, SHAPE)
