"""CUDA graphs: a step of the model is hundreds of small operations, which the host takes longer to launch than the
GPU to run.

On a GPU each function is captured once for every shape and replayed after that; elsewhere it is simply called. A replay
does again what the kernels did, at the same addresses: what goes in is copied into buffers that stay, the weights and
the cache stay, and everything between lies in memory that all graphs share. So a result must be copied, or used as the
input of the next graph, before anything else is run.
"""

import logging
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, Protocol

import torch

log = logging.getLogger(__name__)

Function = Callable[..., torch.Tensor]


class Graph(Protocol):
    """What was captured."""

    def replay(self) -> None:
        """Do it again."""


class Captured(NamedTuple):
    """A graph with the buffers it reads and writes, whose addresses never change."""

    graph: Graph
    inputs: list[torch.Tensor]
    output: torch.Tensor


class Graphs:
    """All graphs of one thread. They run one after the other and share their memory."""

    def __init__(self, device: torch.device, *, enabled: bool) -> None:
        self.enabled = enabled
        self._device = device
        self._captured: dict[Hashable, Captured] = {}
        self._stream: torch.cuda.Stream | None = None  # that captures them
        self._pool: Any = None  # the memory they share
        self._failed: set[str] = set()  # kinds of functions that could not be captured

    def run(self, kind: str, size: Hashable, function: Function, *inputs: torch.Tensor) -> torch.Tensor:
        """`function(*inputs)` on the device. Kind and size must always mean the same function and shapes; the function
        must not let the host read a value. The result is valid until anything is run again."""
        captured = self._captured.get((kind, size))
        if captured is None and self.enabled and kind not in self._failed:
            captured = self._try_to_capture(kind, size, function, inputs)
        if captured is None:
            return function(*(value.to(self._device) for value in inputs))
        for buffer, value in zip(captured.inputs, inputs, strict=True):
            buffer.copy_(value, non_blocking=True)
        captured.graph.replay()
        return captured.output

    def _try_to_capture(
        self, kind: str, size: Hashable, function: Function, inputs: tuple[torch.Tensor, ...]
    ) -> Captured | None:
        try:
            self._captured[kind, size] = self._capture(function, inputs)
        except Exception:
            log.exception("no CUDA graph for %r: it runs without one from now on, which is much slower", kind)
            self._failed.add(kind)
        return self._captured.get((kind, size))

    def _capture(self, function: Function, inputs: tuple[torch.Tensor, ...]) -> Captured:
        buffers = [value.to(self._device, copy=True) for value in inputs]
        graph, output = self._record(lambda: function(*buffers))
        return Captured(graph, buffers, output)

    def _record(self, work: Callable[[], torch.Tensor]) -> tuple[Graph, torch.Tensor]:
        # One stream for all: each has workspaces of its own in cuBLAS, and keeps the memory that was freed on it.
        self._stream = self._stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
        # Libraries set themselves up during the first runs, which a capture forbids; not on the default stream,
        # whose work would be mixed with everybody else's.
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(2):
                work()
        torch.cuda.current_stream().wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        # "thread_local": other threads (the synthesizer's) may allocate memory meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            output = work()
        self._pool = graph.pool()
        return graph, output
