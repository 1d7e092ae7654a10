"""What a carrier needs from the server: a place and a listener for each of its calls."""

from typing import Protocol

from telephony.lines.line import Line, Listener
from telephony.lines.outbound_call import OutboundCall


class Registry(Protocol):
    """The calls of one server, on all lines."""

    @property
    def is_ready(self) -> bool:
        """Whether calls can be taken."""

    @property
    def crowded(self) -> bool:
        """Whether there are so many lines that no more may even open."""

    def enter(self, line: Line) -> None:
        """A line has opened: from now on its `tick`, `hear` and `watch` are called."""

    def leave(self, line: Line) -> None:
        """A line has closed."""

    def join(self, line: Line, agent: str) -> Listener:
        """Find a place for a call and connect it with an agent. Raises ProtocolError, which refuses the call."""

    def dialled(self, call: OutboundCall) -> None:
        """A call of ours begins, or is over without an answer; `connect` tells of one that is answered."""

    def connect(self, line: Line, agent: str, keys: str = "") -> Listener:
        """Connect a call that already has a place with an agent; `keys` are pressed first."""
