"""One clock for all calls: every 10 ms it runs the voice detector and wakes lines with audio due."""

import asyncio
import logging
from collections.abc import Callable

TICK_MS = 10
WATCH_S = 0.5  # between two looks at the time-outs

logger = logging.getLogger("voxline.ticker")


class Ticker:
    """Calls `on_tick(now_ms)` every 10 ms and `on_watch(now_ms)` twice a second, and reports how late it was."""

    def __init__(
        self,
        on_tick: Callable[[float], None],
        on_watch: Callable[[float], None],
        on_late: Callable[[float], None],
    ) -> None:
        self._on_tick = on_tick
        self._on_watch = on_watch
        self._on_late = on_late

    async def run(self) -> None:
        """Tick until cancelled; missed ticks are not made up for."""
        loop = asyncio.get_running_loop()
        next_tick = next_watch = loop.time()
        while True:
            next_tick += TICK_MS / 1000
            delay = next_tick - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            else:
                await asyncio.sleep(0)  # let the sockets have their turn
            now = loop.time()
            self._on_late(now - next_tick)
            next_tick = max(next_tick, now - TICK_MS / 1000)
            try:
                self._on_tick(1000 * now)
                if now >= next_watch:
                    next_watch = now + WATCH_S
                    self._on_watch(1000 * now)
            except Exception:
                logger.exception("a tick failed")  # the next one serves all calls again
