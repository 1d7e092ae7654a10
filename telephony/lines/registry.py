"""What a carrier's part of the server asks of the rest: a place and a listener for each of its calls."""

from typing import Protocol

from telephony.lines.line import Line, Listener


class Registry(Protocol):
    """The calls of one server, by whichever line."""

    @property
    def is_ready(self) -> bool:
        """Whether calls can be taken."""

    @property
    def crowded(self) -> bool:
        """Whether there are so many lines that no more may even open."""

    def enter(self, line: Line) -> None:
        """A line has opened: from now on it is told the time."""

    def leave(self, line: Line) -> None:
        """A line is gone."""

    def join(self, line: Line, agent: str) -> Listener:
        """Find a place for a call and connect it with an agent. Raises ProtocolError, which refuses the call."""

    def connect(self, line: Line, agent: str, keys: str = "") -> Listener:
        """Connect a call that has a place already with an agent; `keys` are pressed first."""
