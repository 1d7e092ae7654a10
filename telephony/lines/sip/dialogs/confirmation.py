"""Resends the 2xx to an INVITE until its ACK comes, over any transport (RFC 3261 13.3.1.4)."""

from collections.abc import Callable

from telephony.lines.sip.syntax.body import sdp_of
from telephony.lines.sip.syntax.message import Request, sequence_of
from telephony.lines.sip.transactions.server import ServerTransaction
from telephony.lines.sip.transactions.timers import GIVE_UP, T1, T2, Timers


class Confirmation:
    """The wait for one ACK. `lost(now_ms)` is called if it does not come in 32 seconds."""

    def __init__(
        self, timers: Timers, transaction: ServerTransaction, lost: Callable[[float], None], now_ms: float
    ) -> None:
        self._timers = timers
        self._transaction = transaction
        self._lost = lost
        self._ending = timers.start(now_ms + GIVE_UP, self._give_up)
        self._resending = timers.start(now_ms + T1, lambda now_ms: self._resend(2 * T1, now_ms))

    @property
    def offers(self) -> bool:
        """Whether the 2xx holds an offer because the INVITE had none."""
        return not sdp_of(self._transaction.request)

    def take(self, ack: Request) -> bool:
        """Whether this is the ACK; if so, the wait is over."""
        if sequence_of(ack) != sequence_of(self._transaction.request):
            return False
        self.stop()
        return True

    def stop(self) -> None:
        """Stop waiting."""
        self._ending.stop()
        self._resending.stop()

    def _resend(self, pause_ms: float, now_ms: float) -> None:
        self._transaction.resend()
        longer = min(2 * pause_ms, T2)
        self._resending = self._timers.start(now_ms + pause_ms, lambda now_ms: self._resend(longer, now_ms))

    def _give_up(self, now_ms: float) -> None:
        self.stop()
        self._lost(now_ms)
