"""Who works with tensors in the thread of the event loop holds up all calls."""

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode


class Watch(TorchFunctionMode):
    """`with Watch() as watch:` keeps what this thread asks of torch; modes are a thread's own."""

    def __init__(self) -> None:
        super().__init__()
        self.here: list[Callable[..., Any]] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.here.append(function)
        return function(*args, **(kwargs or {}))
