"""The GPU that is not there finds what a true one would stumble over, and leaves everything else as it is."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.agent.engine.fake_gpu import CPU, GPU, FakeGpu


def five() -> torch.Tensor:
    return torch.arange(5.0, device=GPU)


def test_values_are_true_and_devices_are_not() -> None:
    with FakeGpu() as gpu, torch.inference_mode():
        values = five().reshape(5, 1)[1:, 0].add_(1)
        assert values.device == GPU
        assert values.is_cuda
        assert torch.zeros_like(values).device == values.new_zeros(2).device == values.to(torch.long).device == GPU
        assert torch.arange(5).device == values.cpu().device == values.to("cpu").device == CPU
        assert torch.zeros(1).to(values).device == torch.zeros(1).cuda().device == GPU
        assert not gpu.lies_there(torch.zeros_like(values, device="cpu"))
        assert torch.cuda.is_available()
        assert values.tolist() == [2, 3, 4, 5]
    assert not gpu.mistakes
    assert not torch.cuda.is_available()


def test_modules_move() -> None:
    module = torch.nn.LSTM(3, 4, bidirectional=True)
    with FakeGpu(), torch.inference_mode():
        module.to("cuda")
        assert {parameter.device for parameter in module.parameters()} == {GPU}
        output, (hidden, _) = module(torch.zeros(2, 1, 3, device=GPU))
        assert output.device == hidden.device == GPU


def test_moved_is_copied() -> None:
    here = torch.zeros(2)
    with FakeGpu():
        there = here.to(GPU)
        there += 1
        back = there.cpu()
        there += 1
    assert here.tolist() == [0, 0]
    assert back.tolist() == [1, 1]


MISTAKES: dict[str, Callable[[], object]] = {
    "arange without a device": lambda: five() + torch.arange(5),
    "mask of the CPU": lambda: torch.where(torch.ones(5) > 0, five(), 0.0),
    "written into a number of the CPU": lambda: torch.zeros(()).add_(five()[0]),
    "number of the CPU where there must be none": lambda: torch.stack((five()[0], torch.zeros(()))),
    "joined": lambda: torch.cat((five(), torch.zeros(1))),
    "weights left behind": lambda: torch.nn.Linear(5, 5)(five()),
    "in place": lambda: torch.zeros(5).__iadd__(five()),
    "result": lambda: torch.add(five(), five(), out=torch.empty(5)),
    "indices on the GPU": lambda: torch.zeros(5)[five().long()],
    "values of the CPU put at indices": lambda: five().__setitem__(torch.tensor([1, 2], device=GPU), torch.zeros(2)),
    "generator of the CPU": lambda: torch.rand(5, device=GPU, generator=torch.Generator()),
    "lengths on the GPU": lambda: torch.nn.utils.rnn.pack_padded_sequence(
        five()[None, :, None], torch.tensor([5], device=GPU), batch_first=True
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_two_devices(mistake: Callable[[], object]) -> None:
    with FakeGpu() as gpu, pytest.raises(RuntimeError, match=r"cpu|CPU"):
        mistake()
    (said,) = gpu.mistakes
    assert "tests/agent/engine/test_fake_gpu.py:" in said


@pytest.mark.parametrize("ask", [torch.Tensor.numpy, np.asarray])
def test_arrays(ask: Callable[[torch.Tensor], object]) -> None:
    with FakeGpu(), pytest.raises(TypeError, match="to numpy"):
        ask(five())


WAITS: dict[str, tuple[str, Callable[[], object]]] = {
    "number": ("reads", lambda: int(five()[3])),
    "condition": ("reads", lambda: bool(five()[0] > 0)),
    "list": ("reads", lambda: five().tolist()),
    "index by a mask": ("reads", lambda: five()[five() > 2]),
    "bound of a slice": ("reads", lambda: five()[: five()[2].long()]),
    "index by a number": ("reads", lambda: five()[five()[2].long()]),
    "places": ("reads", lambda: five().nonzero()),
    "size": ("reads", lambda: torch.zeros(five()[2].long())),
    "shape": ("reads", lambda: five().expand(five()[2].long(), 5)),
    "to the CPU": ("fetches", lambda: five().cpu()),
    "never without waiting": ("fetches", lambda: five().to("cpu", non_blocking=True)),
    "into a tensor of the CPU": ("fetches", lambda: torch.zeros(5).copy_(five())),
    "to the GPU": ("brings", lambda: torch.zeros(5).to(GPU)),
    "made of numbers": ("brings", lambda: torch.tensor([1, 2], device=GPU)),
    "indices of the CPU": ("brings", lambda: five()[torch.tensor([1, 2])]),
    "indices of Python": ("brings", lambda: five()[[1, 2]]),
    "part from the CPU": ("brings", lambda: five().__setitem__(slice(2), torch.zeros(2))),
}


@pytest.mark.parametrize(("kind", "wait"), WAITS.values(), ids=WAITS)
def test_waits(kind: str, wait: Callable[[], object]) -> None:
    with FakeGpu() as gpu:
        wait()
        (found,) = gpu.waits
        with gpu.capture(), pytest.raises(RuntimeError, match="capturing"):
            wait()
    assert found.kind == kind
    assert found.place.startswith("tests/agent/engine/test_fake_gpu.py:")
    assert "lambda" in found.source
    assert len(gpu.mistakes) == 1


def test_what_needs_no_waiting() -> None:
    with FakeGpu() as gpu, gpu.capture():
        values = five()
        values[1:3] = 0
        values[torch.arange(2, device=GPU)] = 7.0
        values *= torch.tensor(2.0)  # goes along with the kernel
        values.masked_fill_(values > 9, 1.0)
        assert values.shape == (5,)
    with FakeGpu() as gpu:
        torch.zeros(5).to(GPU, non_blocking=True)
    assert not gpu.waits
    assert not gpu.mistakes
