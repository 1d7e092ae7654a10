import logging

import pytest
import torch

from agent.engine.voxtral.graphs import Graphs

CPU = torch.device("cpu")


def double(value: torch.Tensor) -> torch.Tensor:
    return 2 * value


def test_without_a_gpu_functions_are_called() -> None:
    graphs = Graphs(CPU, enabled=False)
    assert [graphs.run("double", 1, double, torch.tensor([n])).item() for n in (1, 4)] == [2, 8]


def test_where_a_capture_fails_everything_goes_on_without_graphs(caplog: pytest.LogCaptureFixture) -> None:
    graphs = Graphs(CPU, enabled=True)  # there is nothing to capture on a CPU
    with caplog.at_level(logging.ERROR):
        assert graphs.run("double", 1, double, torch.tensor([3])).item() == 6
    assert "no CUDA graph for 'double'" in caplog.text
    caplog.clear()
    assert graphs.run("double", 2, double, torch.tensor([5, 6])).tolist() == [10, 12]
    assert not caplog.records, "it is tried once for all sizes"
