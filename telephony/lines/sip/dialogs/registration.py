"""Registering with a registrar (RFC 3261 10): renewed in time, tried again on failure."""

import msgspec

from telephony.lines.sip.dialogs.core import Core
from telephony.lines.sip.dialogs.dialog import towards
from telephony.lines.sip.dialogs.events import Registered, RegistrationFailed
from telephony.lines.sip.dialogs.exchange import Credentials, Exchange
from telephony.lines.sip.dialogs.invite_dialog import retry_after
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.header import NameAddr, parse_name_addr, parse_number, parse_uri
from telephony.lines.sip.syntax.message import Headers, Request, Response
from telephony.lines.sip.transactions.timers import GIVE_UP, Timer

FIRST_PAUSE_MS = 5_000.0  # after a failure, doubled with each further one
SHORTEST_PAUSE_MS = 1_000.0
LONGEST_PAUSE_MS = 1_800_000.0
MOST_EXPIRES_S = 86_400


class Account(msgspec.Struct, frozen=True):
    """One account: the registrar, our address and our credentials."""

    registrar: str  # a SIP URI without a user, such as sip:pbx.example.com
    address: str  # the address of record, such as sip:agent@pbx.example.com
    credentials: Credentials | None = None
    expires_s: int = 3600
    proxy: Address | None = None
    spares: tuple[Address, ...] = ()  # servers tried in turn while none answers
    transport: str = "UDP"  # if the URI does not say


class Registration:
    """The registration of one account. `Registered` and `RegistrationFailed` report on it, until `stop`."""

    def __init__(self, core: Core, account: Account, now_ms: float) -> None:
        """Registers at once. ValueError for a bad URI."""
        registrar = parse_uri(account.registrar)
        parse_uri(account.address)
        self.account = account
        self._core = core
        self.hop = account.proxy or towards(registrar, Address(account.transport, ""))  # where requests go
        self.hops = [self.hop, *account.spares]  # all servers of the registrar
        self._untried = self.hops[1:]
        self._expires_s = account.expires_s
        self.id = core.token()  # its Call-ID
        self._tag = core.token()
        self._sequence = core.random.randint(1, 9999)
        self._failures = 0
        self._raised = False
        self._stopping = False
        self._next: Timer | None = None
        self._exchange: Exchange | None = None
        self._send(now_ms)

    def stop(self, now_ms: float) -> None:
        """Unregister; `Registered` with 0 or `RegistrationFailed` tells the result."""
        if self._stopping:
            return
        self._stopping = True
        if self._next is not None:
            self._next.stop()
        if self._exchange is None or not self._exchange.waiting:
            self._send(now_ms)

    def move(self, hops: list[Address]) -> None:
        """Use these servers of the registrar for attempts after the next failure, in turn."""
        self.hops = hops or self.hops

    def _send(self, now_ms: float) -> None:
        exchange = Exchange(self._core, self._make, lambda: self.hop, self.account.credentials, self._receive)
        self._exchange = exchange
        exchange.start(now_ms)
        if self._untried:
            exchange.hurry(now_ms)

    def _begin_again(self, now_ms: float) -> None:
        self.hop, *self._untried = self.hops
        self._send(now_ms)

    def _make(self) -> Request:
        self._sequence += 1
        headers = Headers([("Max-Forwards", "70"), ("From", f"<{self.account.address}>;tag={self._tag}")])
        headers.add("To", f"<{self.account.address}>")
        headers.add("Call-ID", self.id)
        headers.add("CSeq", f"{self._sequence} REGISTER")
        headers.add(*self._core.contact(self.hop.transport))
        headers.add("Expires", str(0 if self._stopping else self._expires_s))
        return Request("REGISTER", self.account.registrar, headers)

    def _receive(self, response: Response, now_ms: float) -> None:
        if response.status < 200:
            return
        if self._stopping:
            self._stopped(response, now_ms)
        elif response.status < 300:
            self._registered(response, now_ms)
        elif response.status == 423 and not self._raised and self._raise(response):
            self._raised = True
            self._send(now_ms)
        else:
            self._failed(response, now_ms)

    def _stopped(self, response: Response, now_ms: float) -> None:
        assert self._exchange is not None
        if self._exchange.request.headers.get("Expires") != "0":  # the answer to the previous request
            self._send(now_ms)
        elif response.status < 300:
            self._core.tell(Registered(self.id, 0))
        else:
            self._core.tell(RegistrationFailed(self.id, response.status, response.reason, 0.0))

    def _registered(self, response: Response, now_ms: float) -> None:
        self._failures = 0
        self._raised = False
        granted_s = min(max(1, self._granted(response)), MOST_EXPIRES_S)
        granted_ms = 1000.0 * granted_s
        pause_ms = max(SHORTEST_PAUSE_MS, granted_ms / 2, granted_ms - max(GIVE_UP, granted_ms / 10))
        self._next = self._core.timers.start(now_ms + pause_ms, self._send)
        self._core.tell(Registered(self.id, granted_s))

    def _granted(self, response: Response) -> int:
        """The granted seconds: from our Contact, else from Expires, else as we asked."""
        ours = parse_name_addr(self._core.contact(self.hop.transport)[1]).uri
        for value in response.headers.all("Contact"):
            try:
                contact = parse_name_addr(value)
                if _same(contact, ours.user, ours.host, ours.port):
                    return parse_number(contact.params["expires"], 2**32)
            except (ValueError, KeyError):
                continue
        return _number(response.headers.get("Expires")) or self._expires_s

    def _raise(self, response: Response) -> bool:
        """Whether the registrar wants a longer time (423) that we can live with."""
        least = _number(response.headers.get("Min-Expires"))
        if not self._expires_s < least <= MOST_EXPIRES_S:
            return False
        self._expires_s = least
        return True

    def _failed(self, response: Response, now_ms: float) -> None:
        if response.status in (408, 503) and self._untried:
            self.hop = self._untried.pop(0)
            self._send(now_ms)
            return
        pause_ms = min(FIRST_PAUSE_MS * 2 ** min(self._failures, 20), LONGEST_PAUSE_MS)
        pause_ms *= self._core.random.uniform(0.5, 1.0)  # so that many that failed at once do not return at once
        pause_ms = max(pause_ms, 1000.0 * retry_after(response.headers))
        self._failures += 1
        self._raised = False
        self._next = self._core.timers.start(now_ms + pause_ms, self._begin_again)
        self._core.tell(RegistrationFailed(self.id, response.status, response.reason, pause_ms))


def _same(contact: NameAddr, user: str, host: str, port: int | None) -> bool:
    uri = contact.uri
    return (uri.user, uri.host.lower(), uri.port) == (user, host.lower(), port)


def _number(value: str) -> int:
    try:
        return parse_number(value, 2**32)
    except ValueError:
        return 0
