"""One request of ours with all it may take to get an answer: credentials if challenged, CANCEL."""

from collections.abc import Callable

import msgspec

from telephony.lines.sip.access import digest
from telephony.lines.sip.dialogs.core import Core
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import Request, Response
from telephony.lines.sip.transactions.client import ClientState, ClientTransaction, OnResponse, cancellation
from telephony.lines.sip.transactions.timers import GIVE_UP

_CHALLENGES = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}
HURRY_MS = 6_000.0  # of silence from one server while there is another to try
MOST_ATTEMPTS = 5  # a proxy and a server challenge, and both nonces are stale


class Credentials(msgspec.Struct, frozen=True):
    """A user name and password at a registrar or trunk."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.user!r})"


class Exchange:
    """`make` builds the request anew, with its next CSeq; `to` says where it goes; `answered` gets the responses,
    except challenges that were answered."""

    def __init__(
        self,
        core: Core,
        make: Callable[[], Request],
        to: Callable[[], Address],
        credentials: Credentials | None,
        answered: OnResponse,
    ) -> None:
        self._core = core
        self._make = make
        self._to = to
        self._credentials = credentials
        self._answered = answered
        self._challenged: dict[str, str] = {}  # challenges by the header that answers them
        self._attempts = 0
        self._cancelled = False
        self._cancel_sent = False
        self._transaction: ClientTransaction | None = None

    @property
    def request(self) -> Request:
        """The last request sent."""
        assert self._transaction is not None
        return self._transaction.request

    @property
    def waiting(self) -> bool:
        """Whether the final answer has yet to come."""
        return self._transaction is not None and self._transaction.waiting

    def start(self, now_ms: float) -> None:
        """Send it, or send it again."""
        request = self._make()
        for name, challenge in self._challenged.items():
            request.headers.add(name, self._authorize(request, challenge))
        self._attempts += 1
        self._transaction = self._core.request(request, self._to(), self._receive, now_ms)

    def hurry(self, now_ms: float) -> None:
        """Treat even a short silence as a 408."""
        if self._transaction is not None and self._transaction.state is ClientState.TRYING:
            self._transaction.give_up_at(now_ms + HURRY_MS)

    def cancel(self, now_ms: float) -> None:
        """Cancel an INVITE: at once if a provisional answer has come, otherwise when one does. A final answer still
        comes. Other requests cannot be cancelled."""
        if self._cancelled or not self.waiting or self.request.method != "INVITE":
            return
        self._cancelled = True
        if self._transaction is not None and self._transaction.state is ClientState.PROCEEDING:
            self._send_cancel(self._transaction, now_ms)

    def _send_cancel(self, transaction: ClientTransaction, now_ms: float) -> None:
        self._cancel_sent = True
        cancel = cancellation(transaction.request)
        self._core.transactions.request(cancel, transaction.to, lambda _, __: None, now_ms)
        transaction.give_up_at(now_ms + GIVE_UP)

    def _receive(self, response: Response, now_ms: float) -> None:
        assert self._transaction is not None
        if response.status in _CHALLENGES and not self._cancelled and self._met(response):
            self.start(now_ms)
            return
        if response.status < 200 and self._cancelled and not self._cancel_sent:
            self._send_cancel(self._transaction, now_ms)
        self._answered(response, now_ms)

    def _met(self, response: Response) -> bool:
        """Store a challenge that we can answer: the first of its kind, or one that only wants a new nonce."""
        asks, answers = _CHALLENGES[response.status]
        try:
            challenge = digest.choose(response.headers.all(asks))
        except ValueError:
            return False
        again = answers in self._challenged
        if self._credentials is None or (again and not digest.is_stale(challenge)) or self._attempts >= MOST_ATTEMPTS:
            return False
        self._challenged[answers] = challenge
        return True

    def _authorize(self, request: Request, challenge: str) -> str:
        assert self._credentials is not None
        user, password = self._credentials.user, self._credentials.password
        return digest.answer(challenge, request.method, request.uri, user, password, cnonce=self._core.token())
