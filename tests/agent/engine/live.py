"""Counts the bytes of the tensors that live while something runs: exact, on a CPU and on torch's `meta` device alike.

On `meta` the genuine model can be run without weights: shapes, types and devices are followed, and numbers are not.
"""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Live(TorchDispatchMode):
    """`peak` is the most that lived at once of what was made meanwhile. With `only`, nothing may leave that device."""

    def __init__(self, *there: torch.Tensor, only: str = "") -> None:
        """`there`: tensors that were made before."""
        super().__init__()
        self.peak = 0
        self._now = 0
        self._only = only
        self._known = {each.untyped_storage()._cdata for each in there}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        tensors = [each for each in tree_leaves((args, kwargs, out)) if isinstance(each, torch.Tensor)]
        if self._only:
            assert all(each.device.type == self._only for each in tensors if each.dim()), f"{function} mixes devices"
        for tensor in tensors:
            self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        size = storage.nbytes()
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size
