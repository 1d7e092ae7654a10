"""A GPU that is not there: tensors stay in this machine's memory, with true values, but count as if they lay on cuda:0.

What a first run on a GPU would stumble over comes to light without one: operands on two devices, an array asked of a
tensor on the GPU, a generator of the CPU. Each time that the host would have to wait for the GPU is noted with the line
that causes it, and is refused where a CUDA graph would be captured.

It sees what Python asks of torch. What torch's own functions do within is trusted, and those of them known to wait are
listed here. It does not know what CUDA cannot do (an operation that lacks a dtype), streams, or how fast anything is.
"""

import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from unittest.mock import patch

import numpy as np
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
MEMORY = 80 * 2**30  # bytes, all of them free
ROOT = f"{Path(__file__).resolve().parents[3]}/"
SKIPPED = (str(Path(torch.__file__).parent), __file__)  # no line of theirs is a cause

# torch's functions by their names.
MOVING = {"to", "cpu", "cuda", "type_as"}
ARRAYS = {"numpy", "__array__"}
INDEXING = {"__getitem__", "__setitem__", "index_put", "index_put_"}
READING = set(  # a value on the host; the last looks whether its windows leave a hole
    "item tolist __int__ __float__ __bool__ __index__ __complex__ __contains__ is_nonzero nonzero argwhere equal "
    "allclose masked_select unique unique_consecutive bincount histc multinomial istft".split()
)
MAKING = set("arange zeros ones empty full linspace rand randn randint randperm tensor as_tensor asarray".split())
SHAPING = set(  # operands behind the first are numbers, and read if they are tensors
    "view reshape expand repeat narrow select split chunk unfold topk pad new_zeros new_ones new_empty new_full".split()
)
FREE = set(  # each operand stays where it is
    "expand_as view_as reshape_as broadcast_tensors result_type is_same_size is_set_to set_ "
    "_has_compatible_shallow_copy_type".split()
)
PACKING = set(  # the second operand, how long rows are or how many a step has, must be on the CPU
    "_pack_padded_sequence _pad_packed_sequence lstm gru rnn_tanh rnn_relu".split()
)
STRICT = set(  # take no single number of the CPU either
    "cat concat stack hstack vstack embedding gather scatter scatter_ index_select take".split()
)


class Wait(NamedTuple):
    """The host waits until the GPU has done all that it was asked for before."""

    kind: str  # "reads" a value, "fetches" a copy to the CPU, or "brings" one to the GPU that is not `non_blocking`
    name: str  # of torch's function
    place: str  # the agent's line, or the test's: file:line
    source: str  # its text
    through: str  # the library's line, if it was there


class FakeGpu(TorchFunctionMode):
    """`with FakeGpu() as gpu:`; what is made on or moved to a GPU there counts as lying on it. It must not be used
    outside of that, nor in another thread."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[Wait] = []
        self.mistakes: list[str] = []  # all were raised, but perhaps somebody caught them
        self._there: dict[int, StorageWeakRef] = {}  # storages; with a reference no other gets the same number
        self._capturing = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for name, answer in (("is_available", True), ("mem_get_info", (MEMORY, MEMORY))):
            self._stack.enter_context(patch.object(torch.cuda, name, lambda *_, answer=answer: answer))
        # Else an LSTM that is moved to a GPU warns that this torch has no cuDNN.
        self._stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._stack.close()

    def lies_there(self, value: Any) -> bool:
        """Whether it is a tensor on the GPU."""
        return isinstance(value, torch.Tensor) and value.untyped_storage()._cdata in self._there

    @contextmanager
    def capture(self) -> Iterator[None]:
        """As while a CUDA graph is captured: whoever waits, or copies between host and GPU, raises."""
        self._capturing = True
        try:
            yield
        finally:
            self._capturing = False

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name: str = function.__name__
        if name in ("__get__", "__set__", "__delete__"):
            return self._attribute(function, args)
        if name in MOVING:
            return self._move(name, args[0], args[1:], kwargs)
        if name == "copy_":
            return self._copy(function, *args, **kwargs)
        if name in INDEXING:
            self._check_index(name, *args[:3])
        elif name not in FREE | MAKING:
            self._check_devices(name, args, kwargs)
        self._note_reads(name, args, kwargs)
        return self._run(name, function, args, kwargs)

    def _attribute(self, function: Any, args: Any) -> Any:
        if function.__name__ == "__get__" and self.lies_there(args[0]):
            attribute = function.__self__.__name__
            if attribute in ("device", "is_cuda", "is_cpu"):
                return {"device": GPU, "is_cuda": True, "is_cpu": False}[attribute]
        return function(*args)

    def _run(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Do it here. What comes out lies where the device says, or where the operands are."""
        given = any(map(self.lies_there, tree_leaves((args, kwargs))))
        there = given and name not in FREE and not (name in MAKING and name not in ("as_tensor", "asarray"))
        if kwargs.get("device") is not None:
            there = _is_gpu(kwargs["device"])
            kwargs["device"] = CPU if there else kwargs["device"]
        if there and name in ("tensor", "as_tensor", "asarray", "new_tensor") and not self.lies_there(args[-1]):
            self._wait("brings", name)
        generator = kwargs.get("generator")
        if there and generator is not None and generator.device.type == "cpu":
            self._refuse(RuntimeError, f"Expected a 'cuda' device type for generator but found 'cpu', in {name}")
        out = function(*args, **kwargs)
        if there:
            self._put(out[0] if name in ("_pack_padded_sequence", "_pad_packed_sequence") else out)
        return out

    # From one device to the other

    def _put(self, values: Any) -> None:
        for each in tree_leaves(values):
            if isinstance(each, torch.Tensor):
                storage = each.untyped_storage()
                self._there.setdefault(storage._cdata, StorageWeakRef(storage))

    def _move(self, name: str, value: torch.Tensor, args: Any, kwargs: Any) -> torch.Tensor:
        if name in ("cpu", "cuda"):
            args = (GPU if name == "cuda" else CPU, None, *args[1:])
        asked = self._asked(*args, **kwargs)
        there = self.lies_there(value)
        target = there if asked.device is None else _is_gpu(asked.device)
        if target != there:
            self._transfer(name, up=target, non_blocking=asked.non_blocking)
        moved = value.to(dtype=asked.dtype, copy=asked.copy or target != there, memory_format=asked.memory_format)
        if target:
            self._put(moved)
        return moved

    def _asked(self, first: Any = None, *rest: Any, **kwargs: Any) -> "_Asked":
        """Tensor.to has three ways to say it."""
        first = kwargs.pop("other", first)
        if isinstance(first, torch.Tensor):
            return _Asked(GPU if self.lies_there(first) else CPU, first.dtype, *rest, **kwargs)
        if isinstance(first, torch.dtype):
            return _Asked(None, first, *rest, **kwargs)
        return _Asked(kwargs.pop("device", first), *rest, **kwargs)

    def _copy(self, function: Any, target: torch.Tensor, source: torch.Tensor, non_blocking: bool = False) -> Any:
        up = self.lies_there(target)
        if up != self.lies_there(source):
            self._transfer("copy_", up=up, non_blocking=non_blocking)
        return function(target, source)

    def _transfer(self, name: str, *, up: bool, non_blocking: bool = False) -> None:
        # The other way it is waited for at any rate: what comes lands in memory that is not pinned.
        if self._capturing or not (up and non_blocking):
            self._wait("brings" if up else "fetches", name)

    # Mistakes

    def _check_devices(self, name: str, args: Any, kwargs: Any) -> None:
        """All operands on one device. A single number may come from the CPU, but nothing be written into it."""
        values = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        if name in ARRAYS and self.lies_there(values[0]):
            self._refuse(TypeError, "can't convert cuda:0 device type tensor to numpy: use Tensor.cpu() first")
        if name in PACKING and isinstance(args[1], torch.Tensor):
            if self.lies_there(args[1]):
                self._refuse(RuntimeError, f"{name} wants to know on the CPU how long the rows are")
            values = [each for each in values if each is not args[1]]
        here = [each for each in values if not self.lies_there(each)]
        if not here or len(here) == len(values):
            return
        written = name.startswith("__i") or (name.endswith("_") and not name.endswith("__"))
        target = values[0] if written else kwargs.get("out")
        if any(each.dim() or name in STRICT or each is target for each in here):
            self._refuse_mix(name)

    def _check_index(self, name: str, target: torch.Tensor, index: Any, value: Any = None) -> None:
        there = self.lies_there(target)
        parts = index if isinstance(index, tuple) or name.startswith("index") else (index,)
        for part in parts:
            self._check_part(name, part, there)
        if isinstance(value, torch.Tensor) and self.lies_there(value) != there:
            if any(_is_array(part) for part in parts) and (value.dim() or not there):
                self._refuse_mix(name)
            self._transfer(name, up=there)

    def _check_part(self, name: str, part: Any, there: bool) -> None:
        if isinstance(part, slice):
            if any(map(self.lies_there, (part.start, part.stop, part.step))):
                self._wait("reads", name)
        elif self.lies_there(part):
            if not part.dim() or part.dtype in (torch.bool, torch.uint8):  # which one it is; how many there are
                self._wait("reads", name)
            if not there and part.dim():
                self._refuse(RuntimeError, "indices should be on cpu as the tensor is, but are on cuda:0")
        elif there and _is_array(part):
            self._wait("brings", name)

    def _refuse_mix(self, name: str) -> None:
        self._refuse(RuntimeError, f"Expected all tensors to be on the same device, but {name} got cuda:0 and cpu")

    def _refuse(self, error: type[Exception], text: str) -> None:
        place, source, through = _cause()
        self.mistakes.append(f"{text}; {place}: {source}" + f" ({through})" * bool(through))
        raise error(self.mistakes[-1])

    # Waiting

    def _note_reads(self, name: str, args: Any, kwargs: Any) -> None:
        def any_there(values: Any) -> bool:
            return any(map(self.lies_there, tree_leaves(values)))

        if (
            (name in READING and any_there((args, kwargs)))
            or (name == "where" and len(args) == 1 and any_there(args))  # is `nonzero`
            or (name == "one_hot" and len(args) + len(kwargs) == 1 and any_there(args))
            or (name == "repeat_interleave" and kwargs.get("output_size") is None and any_there(args[1:]))
            or (name in MAKING and name not in ("as_tensor", "asarray") and any_there((args, kwargs)))
            or (name in SHAPING and any_there((args[1:], kwargs)))
        ):
            self._wait("reads", name)

    def _wait(self, kind: str, name: str) -> None:
        if self._capturing:
            self._refuse(RuntimeError, f"operation not permitted when stream is capturing: {name} {kind}")
        self.waits.append(Wait(kind, name, *_cause()))


class _Asked(NamedTuple):
    device: Any = None
    dtype: torch.dtype | None = None
    non_blocking: bool = False
    copy: bool = False
    memory_format: torch.memory_format = torch.preserve_format


def _is_gpu(device: Any) -> bool:
    return torch.device(device).type == "cuda"


def _is_array(part: Any) -> bool:
    """Whether an index is more than one number."""
    return isinstance(part, list | range | np.ndarray | torch.Tensor) and np.ndim(part) > 0


def _cause() -> tuple[str, str, str]:
    """The agent's innermost line, or else the innermost of all; its text; the library's line if that was further in."""
    lines = []
    frame: Any = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(SKIPPED):
            lines.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    file, line = next((each for each in lines if each[0].startswith(f"{ROOT}agent/")), lines[0])
    through = "" if (file, line) == lines[0] else "/".join(Path(lines[0][0]).parts[-2:]) + f":{lines[0][1]}"
    return f"{file.removeprefix(ROOT)}:{line}", linecache.getline(file, line).strip(), through
