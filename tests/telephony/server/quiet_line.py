"""A line that carries nothing, and remembers what it was told."""

import logging

from config.logging import Log
from telephony.lines.ending import End, Ending, Outcome
from telephony.lines.line import Line, Listener


class QuietLine(Line):
    """One call's. `told` are the calls of its methods, shared by several lines where their order matters."""

    def __init__(self, call_id: str = "CA1", told: list[str] | None = None) -> None:
        self.call_id = call_id
        self.carrier = "quiet"
        self.log = Log(logging.getLogger("test"), {"call": call_id})
        self.rate = 8000
        self.carries_keys = False
        self.listener: Listener | None = None
        self.ending = Ending()
        self.told: list[str] = [] if told is None else told

    async def end(self, planned: Outcome | None = None) -> None:
        """The caller is gone."""
        assert self.listener
        self.ending.finish(End("the caller hung up"), planned)
        await self.listener.closed()

    def summary(self) -> dict[str, str | int]:
        return self.ending.summary()

    def counts(self) -> dict[str, int]:
        return {"frames": 50}

    def tick(self, now_ms: float) -> None:
        self.told.append(f"{self.call_id} tick")

    def hear(self, now_ms: float) -> None:
        self.told.append(f"{self.call_id} hear")

    def watch(self, now_ms: float) -> None:
        self.told.append(f"{self.call_id} watch")

    def shut_down(self) -> None:
        self.told.append(f"{self.call_id} shut_down")
