"""Transfers one call: asks the peer by REFER, and follows its reports."""

from collections.abc import Callable

from config.logging import Log
from telephony.lines.ending import By, End, Ending, Failed, Transfer
from telephony.lines.sip.dialogs.invite_dialog import Call
from telephony.lines.sip.syntax.header import Uri, parse_name_addr, parse_uri


class Transferring:
    """`changed` is called when the user agent has something to send, `leave` when the call can be hung up.

    A cold transfer (`refer_to`) ends the conversation at once. In an attended one the conversation goes on until
    `transfer_completed`; what rings the other person sets `give_up`.
    """

    def __init__(
        self, call: Call, ending: Ending, log: Log, *, changed: Callable[[], None], leave: Callable[[], None]
    ) -> None:
        self.by: By = "agent"  # who has decided it
        self.give_up: Callable[[], None] | None = None  # while somebody is rung for the caller: stops that
        self._call = call
        self._ending = ending
        self._log = log
        self._changed = changed
        self._leave = leave

    @property
    def takes_refer(self) -> bool:
        """Whether the peer can be asked to call somebody else."""
        return "REFER" in self._call.peer_allows

    @property
    def peer(self) -> Uri:
        """Where the peer wants requests."""
        return parse_uri(self._call.dialog.target)

    def refer_to(self, number: str, now_ms: float) -> bool:
        """Ask the peer to call a number or a SIP address. False if it takes no REFER."""
        if not self.takes_refer:
            self._log.warning("no transfer: the peer does not allow REFER")
            return False
        target = number if number.startswith("sip:") else f"sip:{number}@{self._peer_host()}"
        self._ending.finish(End("transferred", by=self.by), Transfer(number))
        self._call.refer(target, now_ms)
        self._changed()
        return True

    def refer_to_call(self, other: Call, now_ms: float) -> None:
        """Ask the peer to take over our call with somebody. Raises CommandError if it cannot be asked."""
        self._call.refer(other, now_ms)
        self._changed()

    def progress(self, status: int, *, final: bool) -> None:
        """How our REFER of a cold transfer goes."""
        if final and isinstance(self._ending.planned, Transfer):
            if not 200 <= status < 300:
                self._log.warning("the transfer failed", extra={"status": status})
                self._ending.planned = Failed()
            self._leave()

    def transfer_completed(self, number: str) -> None:
        """The caller and the other person are connected: hang up."""
        if self._ending.end is None:
            self._ending.finish(End("transferred", by=self.by), Transfer(number))
            self._leave()

    def _peer_host(self) -> str:
        host = parse_name_addr(self._call.dialog.remote).uri.host or self.peer.host  # a number has no host
        return f"[{host}]" if ":" in host else host
