"""A request of ours and the answers to it (RFC 3261 17.1, RFC 6026).

    non-INVITE   TRYING ----1xx--> PROCEEDING --final--> COMPLETED --K--> gone
    INVITE       TRYING ----1xx--> PROCEEDING --2xx----> ACCEPTED ---M--> gone      every 2xx is passed on
                                              --3xx-6xx> COMPLETED --D--> gone      ACK, again whenever it comes again

Requests are resent (A, E) over UDP only. Exactly one final answer is told, but for 2xx to INVITE; silence ends in a
408 of our own, a transport that fails in a 503.
"""

from collections.abc import Callable
from enum import Enum

from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.header import parse_cseq
from telephony.lines.sip.syntax.message import Headers, Request, Response, encode
from telephony.lines.sip.transactions.answers import respond
from telephony.lines.sip.transactions.server import Key, Send
from telephony.lines.sip.transactions.timers import GIVE_UP, T1, T2, T4, Timer, Timers

OnResponse = Callable[[Response, float], None]


class ClientState(Enum):
    """Where a client transaction is."""

    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


_WAITING = (ClientState.TRYING, ClientState.PROCEEDING)


class ClientTransaction:
    """One request of ours to `to`; `answered(response, now_ms)` gets the responses."""

    def __init__(
        self,
        key: Key,
        request: Request,
        to: Address,
        *,
        timers: Timers,
        send: Send,
        answered: OnResponse,
        ended: Callable[[Key], None],
    ) -> None:
        self.key = key
        self.request = request
        self.to = to
        self.state = ClientState.TRYING
        self._invite = request.method == "INVITE"
        self._data = encode(request)
        self._ack = b""
        self._timers = timers
        self._send = send
        self._answered = answered
        self._ended = ended
        self._resending: Timer | None = None
        self._ending: Timer | None = None

    @property
    def waiting(self) -> bool:
        """Whether the final answer is still to come."""
        return self.state in _WAITING

    def start(self, now_ms: float) -> None:
        """Send the request."""
        self._send(self._data, self.to)
        self.give_up_at(now_ms + GIVE_UP)
        if not self.to.reliable:
            self._resend_after(T1, now_ms)

    def give_up_at(self, due_ms: float) -> None:
        """Treat silence until then as a 408."""
        self._replace_ending(due_ms, lambda now_ms: self.fail(408, now_ms))

    def receive(self, response: Response, now_ms: float) -> None:
        """An answer has come, perhaps a repeated one."""
        if response.status < 200:
            self._provisional(response, now_ms)
        elif self._invite and response.status < 300:
            self._accepted(response, now_ms)
        elif self.waiting:
            self._final(response, now_ms)
        elif self._ack and self.state is ClientState.COMPLETED:
            self._send(self._ack, self.to)

    def fail(self, status: int, now_ms: float) -> None:
        """No answer will come: end with one that we make up."""
        if self.waiting:
            self._end(now_ms)
            self._answered(respond(self.request, status), now_ms)

    def _provisional(self, response: Response, now_ms: float) -> None:
        if not self.waiting:
            return
        if self._invite and self.state is ClientState.TRYING:
            self._stop()  # from here on a person decides how long it takes; the user agent has a time limit
        self.state = ClientState.PROCEEDING
        self._answered(response, now_ms)

    def _accepted(self, response: Response, now_ms: float) -> None:
        if self.waiting:
            self.state = ClientState.ACCEPTED
            self._stop()
            self._replace_ending(now_ms + GIVE_UP, self._end)
        if self.state is ClientState.ACCEPTED:
            self._answered(response, now_ms)

    def _final(self, response: Response, now_ms: float) -> None:
        self.state = ClientState.COMPLETED
        self._stop()
        if self._invite:
            self._ack = encode(acknowledgement(self.request, response))
            self._send(self._ack, self.to)
        if self.to.reliable:
            self._end(now_ms)
        else:
            self._replace_ending(now_ms + (GIVE_UP if self._invite else T4), self._end)
        self._answered(response, now_ms)

    def _resend_after(self, pause_ms: float, now_ms: float) -> None:
        def again(now_ms: float) -> None:
            self._send(self._data, self.to)
            longer = 2 * pause_ms if self._invite else min(2 * pause_ms, T2)
            self._resend_after(T2 if self.state is ClientState.PROCEEDING else longer, now_ms)

        self._resending = self._timers.start(now_ms + pause_ms, again)

    def _replace_ending(self, due_ms: float, action: Callable[[float], None]) -> None:
        if self._ending is not None:
            self._ending.stop()
        self._ending = self._timers.start(due_ms, action)

    def _end(self, _: float) -> None:
        self.state = ClientState.TERMINATED
        self._stop()
        self._ended(self.key)

    def _stop(self) -> None:
        for timer in (self._resending, self._ending):
            if timer is not None:
                timer.stop()


def acknowledgement(invite: Request, response: Response) -> Request:
    """The ACK of a failure response: along the INVITE's route and in its transaction."""
    return _alike(invite, "ACK", response.headers.get("To"))


def cancellation(invite: Request) -> Request:
    """The CANCEL of an INVITE: along its route and with its branch."""
    return _alike(invite, "CANCEL", invite.headers.get("To"))


def _alike(invite: Request, method: str, to: str) -> Request:
    headers = Headers([("Via", invite.headers.all("Via")[0])])
    for route in invite.headers.all("Route"):
        headers.add("Route", route)
    headers.add("Max-Forwards", "70")
    headers.add("From", invite.headers.get("From"))
    headers.add("To", to)
    headers.add("Call-ID", invite.headers.get("Call-ID"))
    headers.add("CSeq", f"{parse_cseq(invite.headers.get('CSeq')).number} {method}")
    return Request(method, invite.uri, headers)
