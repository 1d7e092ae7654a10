"""A CUDA graph's discipline on a CPU: what was done once is done again at the same addresses, and Python is not asked.

A GPU's graph is no more than that: the kernels and the addresses they were given. So whatever a step takes from Python
each time, reads on the host, or keeps in a new place is wrong on a tape as it is wrong in a graph.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from agent.engine.voxtral.graphs import Captured, Function, Graph, Graphs


def storages(values: Any) -> set[int]:
    return {each.untyped_storage()._cdata for each in tree_leaves(values) if isinstance(each, torch.Tensor)}


class Tape(TorchDispatchMode):
    """Records operations with their operands; `replay` does them again."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[Any, Any, Any, Any]] = []
        self.made: set[int] = set()  # storages that came to be on the way
        self.read: set[int] = set()  # storages from outside
        self.written: set[int] = set()  # likewise
        self.output: torch.Tensor | None = None
        self.others: list[Tape] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        assert not any(isinstance(each, int | float | bool) for each in tree_leaves(out)), f"{function} tells the host"
        given = storages((args, kwargs))
        self.read |= given - self.made
        if function._schema.is_mutable:
            changed = [
                args[place]
                for place, argument in enumerate(function._schema.arguments[: len(args)])
                if argument.alias_info and argument.alias_info.is_write
            ]
            self.written |= storages(changed) - self.made
        elif storages(out) & given:
            return out  # a view: it stays where it is
        else:
            self.made |= storages(out)
        self.steps.append((function, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        for other in self.others:  # a graph's result holds until another one is run
            if other is not self and other.output is not None:
                other.output.fill_(-1 if other.output.dtype is torch.long else torch.nan)
        for function, args, kwargs, out in self.steps:
            again = function(*args, **kwargs)
            if not function._schema.is_mutable:
                for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                    old.copy_(new)


class Tapes(Graphs):
    """Graphs, with tapes in the place of a GPU's."""

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"), enabled=True)
        self.tapes: list[Tape] = []

    def _record(self, work: Callable[[], torch.Tensor]) -> tuple[Graph, torch.Tensor]:
        work()
        tape = Tape()
        with tape:
            tape.output = work()
        self.tapes.append(tape)
        tape.others = self.tapes
        return tape, tape.output

    def _capture(self, function: Function, inputs: tuple[torch.Tensor, ...]) -> Captured:
        captured = super()._capture(function, inputs)
        self.tapes[-1].read -= storages(captured.inputs)
        return captured
