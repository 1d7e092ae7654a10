"""CUDA graphs on a GPU that is not there."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from agent.engine.voxtral.graphs import Graph, Graphs
from tests.agent.engine.fake_gpu import GPU, FakeGpu


class Rehearsed(NamedTuple):
    """In the place of a graph: the work is done again, into the same buffer."""

    work: Callable[[], torch.Tensor]
    output: torch.Tensor

    def replay(self) -> None:
        """See Graph."""
        self.output.copy_(self.work())


class Rehearsal(Graphs):
    """Graphs that capture nothing, but refuse what a capture would: `decoder._graphs = Rehearsal(gpu)`."""

    def __init__(self, gpu: FakeGpu) -> None:
        super().__init__(GPU, enabled=True)
        self._gpu = gpu

    def _record(self, work: Callable[[], torch.Tensor]) -> tuple[Graph, torch.Tensor]:
        work()
        with self._gpu.capture():
            output = work()
        return Rehearsed(work, output), output
