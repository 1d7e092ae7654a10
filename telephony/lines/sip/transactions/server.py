"""A peer's request and our answer to it (RFC 3261 17.2, RFC 6026).

    non-INVITE   PROCEEDING --final--> COMPLETED --J--> gone
    INVITE       PROCEEDING --2xx----> ACCEPTED ---L--> gone      the user agent resends the 2xx until its ACK
                            --3xx-6xx> COMPLETED --ACK--> CONFIRMED --I--> gone      resent (G) until ACK or H

A repeated request gets the last response again.
"""

from collections.abc import Callable
from enum import Enum

from telephony.lines.exceptions import CommandError
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import Request, Response, encode
from telephony.lines.sip.transactions.timers import GIVE_UP, T1, T2, T4, Timer, Timers

Key = tuple[str, ...]
Send = Callable[[bytes, Address], None]


class ServerState(Enum):
    """Where a server transaction is."""

    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


class ServerTransaction:
    """One request from a peer. `reply_to` is where answers go."""

    def __init__(
        self,
        key: Key,
        request: Request,
        reply_to: Address,
        *,
        timers: Timers,
        send: Send,
        ended: Callable[[Key], None],
    ) -> None:
        self.key = key
        self.request = request
        self.reply_to = reply_to
        self.tag = ""  # ours, for a request without one
        self.cancelled: Callable[[Request, float], None] | None = None  # called on its CANCEL
        self.state = ServerState.PROCEEDING
        self._timers = timers
        self._send = send
        self._ended = ended
        self._last = b""
        self._resending: Timer | None = None
        self._ending: Timer | None = None

    @property
    def answered(self) -> bool:
        """Whether the final answer was given."""
        return self.state is not ServerState.PROCEEDING

    def respond(self, response: Response, now_ms: float) -> None:
        """Send an answer; nothing may follow a final one. Raises CommandError after that."""
        if self.answered:
            raise CommandError(f"{self.request.method} was answered already: {response.status} comes too late")
        self._last = encode(response)
        self.resend()
        if response.status < 200:
            return
        if self.request.method == "INVITE" and response.status < 300:
            self.state = ServerState.ACCEPTED
            self._end_at(now_ms + GIVE_UP)
            return
        self.state = ServerState.COMPLETED
        if self.request.method == "INVITE":
            self._end_at(now_ms + GIVE_UP)
            if not self.reply_to.reliable:
                self._resend_after(T1, now_ms)
        elif self.reply_to.reliable:
            self._end(now_ms)
        else:
            self._end_at(now_ms + GIVE_UP)

    def resend(self) -> None:
        """The request was repeated, or the 2xx not acknowledged: send the last answer again, if there is one."""
        if self._last and self.state is not ServerState.CONFIRMED:
            self._send(self._last, self.reply_to)

    def acknowledge(self, now_ms: float) -> None:
        """The ACK of a failure response has come."""
        if self.state is ServerState.COMPLETED:
            self.state = ServerState.CONFIRMED
            self._stop()
            if self.reply_to.reliable:
                self._end(now_ms)
            else:
                self._end_at(now_ms + T4)

    def _resend_after(self, pause_ms: float, now_ms: float) -> None:
        def again(now_ms: float) -> None:
            self.resend()
            self._resend_after(min(2 * pause_ms, T2), now_ms)

        self._resending = self._timers.start(now_ms + pause_ms, again)

    def _end_at(self, due_ms: float) -> None:
        self._ending = self._timers.start(due_ms, self._end)

    def _end(self, _: float) -> None:
        self.state = ServerState.TERMINATED
        self._stop()
        self._ended(self.key)

    def _stop(self) -> None:
        for timer in (self._resending, self._ending):
            if timer is not None:
                timer.stop()
