"""How a call ends, and what follows."""

from typing import Literal

import msgspec


class Transfer(msgspec.Struct, frozen=True, tag="transfer"):
    """Transfer the caller to a telephone number or a SIP address."""

    number: str


class HangUp(msgspec.Struct, frozen=True, tag="hang_up"):
    """The conversation is over."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The conversation broke off through a fault of ours; the caller should be told."""


Outcome = Transfer | HangUp | Failed


# Who ended a call: its people, the agent, whoever asked the server to, the server, or what lies between.
By = Literal["caller", "called", "agent", "operator", "server", "line"]


class End(msgspec.Struct, frozen=True):
    """Why a call is over. `code` closes its WebSocket; 0 if it has none, or if the peer has closed it already."""

    reason: str
    failed: bool = False
    code: int = 0
    by: By = "line"


class Ending:
    """The end of one call, and its outcome."""

    def __init__(self) -> None:
        self.end: End | None = None  # the first one counts
        self.planned: Outcome = HangUp()

    def finish(self, end: End, planned: Outcome | None = None) -> None:
        """The call is over; `planned` is what follows."""
        self.end = self.end or end
        self.planned = planned or self.planned

    @property
    def outcome(self) -> Outcome:
        """What the carrier should do once the call is over."""
        return Failed() if self.end is None or self.end.failed else self.planned

    def summary(self) -> dict[str, str | int]:
        """For the log and the tape."""
        return {
            "reason": self.end.reason if self.end else "cancelled",
            "outcome": type(self.outcome).__name__.lower(),
        }
