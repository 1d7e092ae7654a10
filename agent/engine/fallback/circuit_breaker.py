"""The circuit breaker of a part of the engine: whether it works, judged by its requests."""

import asyncio
import logging

from agent.exceptions import EngineError

IN_A_ROW = 2  # failures that make a part count as lost; one alone may be the request's own fault

logger = logging.getLogger("voxline.engine.fallback")


class CircuitBreaker:
    """A part is lost when it fails again and again, until it works; meanwhile one request in `lost_s` tries."""

    def __init__(self, part: str, lost_s: float) -> None:
        self.failures = 0
        self._part = part
        self._lost_s = lost_s
        self._in_a_row = 0
        self._ask_again_at = 0.0  # on the event loop's clock

    @property
    def lost(self) -> bool:
        """Whether it counts as lost."""
        return self._in_a_row >= IN_A_ROW

    def may_be_asked(self) -> bool:
        """Whether a request should try; a lost part says so to only one request in `lost_s`."""
        now = asyncio.get_running_loop().time()
        if self.lost and now < self._ask_again_at:
            return False
        self._ask_again_at = now + self._lost_s
        return True

    def worked(self) -> None:
        """A request was answered."""
        self._in_a_row = 0

    def failed(self, call: str, error: Exception) -> None:
        """A request of this call was not."""
        self.failures += 1
        self._in_a_row += 1
        self._ask_again_at = asyncio.get_running_loop().time() + self._lost_s
        bug = None if isinstance(error, EngineError | TimeoutError) else error
        logger.error("the %s failed: %s", self._part, str(error) or "no answer", exc_info=bug, extra={"call": call})
