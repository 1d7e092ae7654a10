"""Virtual time for what works in threads too, such as recognition: it passes only while nothing is done in the loop,
nor in a thread for it. So whole calls go the same way however busy the machine is, and as fast as it can.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


class Selector(selectors.DefaultSelector):
    """Instead of waiting for a timer it moves the time on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.working = 0  # threads

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See BaseSelector."""
        if timeout and not self.working:
            ready = super().select(0)
            self.now += 0 if ready else timeout
            return ready
        return super().select(0 if timeout == 0 else None)


class Loop(asyncio.SelectorEventLoop):
    """An event loop in this time."""

    def __init__(self) -> None:
        self._clock = Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Seconds since it was made."""
        return self._clock.now

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """See AbstractEventLoop."""
        future = super().run_in_executor(executor, func, *args)
        self._clock.working += 1
        future.add_done_callback(self._worked)
        return future

    def _worked(self, _: asyncio.Future[Any]) -> None:
        self._clock.working -= 1


def run(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run does."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)
