"""What re-INVITEs and transfers need from their call."""

from collections.abc import Callable
from typing import Protocol

from telephony.lines.sip.dialogs.core import Core
from telephony.lines.sip.dialogs.dialog import Dialog
from telephony.lines.sip.dialogs.events import Cause
from telephony.lines.sip.dialogs.exchange import Credentials, Exchange
from telephony.lines.sip.dialogs.session_timer import SessionTimer
from telephony.lines.sip.syntax.message import Message, Request, Response


class WithinCall(Protocol):
    """`Call` in invite_dialog.py, as its parts see it."""

    id: str
    core: Core
    owner: bool  # of the Call-ID
    peer_allows: set[str]
    credentials: Credentials | None
    session: SessionTimer

    @property
    def dialog(self) -> Dialog:
        """The dialog with the peer."""

    @property
    def up(self) -> bool:
        """Whether the call is answered and not yet ending."""

    def contact(self) -> tuple[str, str]:
        """Our Contact in this dialog."""

    def learn(self, message: Message) -> None:
        """Store which methods the peer allows."""

    def exchange(
        self, make: Callable[[], Request], answered: Callable[[Response, float], None], now_ms: float
    ) -> Exchange:
        """Send a request in the dialog."""

    def confirmed(self, body: bytes, now_ms: float) -> None:
        """The peer has our 2xx; `body` came with its ACK."""

    def bye(self, cause: Cause, now_ms: float, status: int = 0, reason: str = "") -> None:
        """End a call that is up."""
