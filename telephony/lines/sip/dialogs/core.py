"""What all calls and registrations of one user agent share: our identity, timers, transactions, output."""

import hashlib
from collections.abc import Callable, Iterable
from random import Random
from typing import Protocol

import msgspec

from telephony.lines.sip.dialogs.dialog import Dialog, Id
from telephony.lines.sip.dialogs.events import Event, Refused, Send
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.body import SDP
from telephony.lines.sip.syntax.header import Via, parse_via, tag_of
from telephony.lines.sip.syntax.message import Headers, Request, encode
from telephony.lines.sip.transactions.answers import Refusal, needs, reply_to, respond
from telephony.lines.sip.transactions.client import ClientTransaction, OnResponse
from telephony.lines.sip.transactions.server import ServerTransaction
from telephony.lines.sip.transactions.timers import Timers
from telephony.lines.sip.transactions.transaction import MAGIC, Transactions

ALLOWED = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "NOTIFY", "PRACK")
SUPPORTED = ("Supported", "timer, 100rel")
WITH_SDP = ("Content-Type", SDP)
ACCEPTED = ("Accept", f"{SDP}, multipart/mixed")


class UserAgentConfig(msgspec.Struct, frozen=True):
    """The identity and limits of a user agent."""

    advertised: dict[str, tuple[str, int]]  # by transport (UDP, TCP, TLS): host and port where peers reach us
    user: str = "voxline"  # in our Contact
    product: str = "voxline"  # in Server and User-Agent
    max_calls: int = 100
    max_transactions: int = 4000  # of peers
    answer_ms: float = 60_000  # a call that is neither accepted nor rejected is turned away after this
    session_s: int = 1800  # how long a call lasts without a refresh (RFC 4028)
    min_session_s: int = 90
    retry_after_s: int = 10  # told to callers who find no room
    allow_refer: bool = False  # report transfers that a peer asks for instead of declining them
    follow_source: bool = False  # peers are behind NATs: send to their source address, not to their Contact


class AnyCall(Protocol):
    """The part of a call that messages are handed to."""

    id: str

    def hang_up(self, now_ms: float) -> None:
        """End the call, however far it has come."""

    def dialog_of(self, request: Request) -> Dialog:
        """The dialog that a request from the peer belongs to."""

    def receive(self, transaction: ServerTransaction, way: Address, now_ms: float) -> None:
        """A new request in the dialog."""

    def acknowledged(self, ack: Request, now_ms: float) -> None:
        """An ACK of a 2xx has come."""


class Core:
    """Internal: the shell uses `UserAgent`."""

    def __init__(self, config: UserAgentConfig, token: Callable[[], str], random: Random) -> None:
        """`token` returns unguessable letters and digits for tags, branches and Call-IDs."""
        self.config = config
        self.token = token
        self.random = random
        self.timers = Timers()
        self.transactions = Transactions(self.timers, self.send, config.max_transactions)
        self.calls: dict[str, AnyCall] = {}  # by our id
        self.dialogs: dict[Id, AnyCall] = {}
        self.out: list[Send | Event] = []
        self.allow = ("Allow", ", ".join((*ALLOWED, *(("REFER",) if config.allow_refer else ()))))
        self.way = Address("UDP", "")  # where the message being read came from
        self.most: int | None = None  # size limit in bytes of an answer to it, if its sender is unknown
        self.withheld = 0  # answers that would have been larger
        self._secret = token().encode()

    def send(self, data: bytes, to: Address) -> None:
        """Send to the network."""
        self.out.append(Send(data, to))

    def tell(self, event: Event) -> None:
        """Tell the call layer."""
        self.out.append(event)

    def contact(self, transport: str, *, secure: bool = False) -> tuple[str, str]:
        """Our Contact as a header. `secure`: the peer addresses us by sips."""
        host, port = self.advertised(transport)
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if secure:
            return "Contact", f"<sips:{self.config.user}@{where}>"
        param = "" if transport == "UDP" else f";transport={transport.lower()}"
        return "Contact", f"<sip:{self.config.user}@{where}{param}>"

    def advertised(self, transport: str) -> tuple[str, int]:
        """Host and port where peers reach us by a transport; for a transport that a peer made up, sending fails."""
        known = self.config.advertised
        return known.get(transport) or next(iter(known.values()))

    def is_ours(self, via: str) -> bool:
        """Whether we wrote this Via."""
        parsed = parse_via(via)
        ours = self.config.advertised.get(parsed.transport)
        return ours is not None and (parsed.host.lower(), parsed.port) == (ours[0].lower(), ours[1])

    def stable_tag(self, request: Request) -> str:
        """A tag for a stateless answer: a repeated request gets the same one."""
        said = "\n".join(
            (request.headers.get("Call-ID"), tag_of(request.headers.get("From")), request.headers.get("Via"))
        )
        return hashlib.blake2s(said.encode(), key=self._secret[:32], digest_size=8).hexdigest()

    def stamped(self, request: Request, transport: str) -> Request:
        """The request with our Via, a new branch and our User-Agent."""
        host, port = self.advertised(transport)
        via = Via(transport, host, port, {"rport": "", "branch": MAGIC + self.token()})
        name = ("User-Agent", self.config.product)
        return Request(request.method, request.uri, Headers([("Via", str(via)), *request.headers, name]), request.body)

    def request(self, request: Request, to: Address, answered: OnResponse, now_ms: float) -> ClientTransaction:
        """Send a request of ours."""
        return self.transactions.request(self.stamped(request, to.transport), to, answered, now_ms)

    def acknowledge(self, dialog: Dialog, invite: Request) -> Send:
        """Send the ACK of a 2xx to our INVITE, with its credentials; keep the result to send it again."""
        ack = dialog.request("ACK", int(invite.headers.get("CSeq").split()[0]))
        for name in ("Authorization", "Proxy-Authorization"):
            for value in invite.headers.all(name):
                ack.headers.add(name, value)
        to = dialog.next_hop
        sent = Send(encode(self.stamped(ack, to.transport)), to)
        self.out.append(sent)
        return sent

    def answer(
        self,
        transaction: ServerTransaction,
        status: int,
        now_ms: float,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """Answer a request that has a transaction."""
        named = [*headers, ("Server", self.config.product)]
        response = respond(transaction.request, status, tag=transaction.tag, headers=named, body=body)
        transaction.respond(response, now_ms)

    def answer_once(
        self, request: Request, to: Address, status: int, headers: Iterable[tuple[str, str]] = (), *, tag: str = ""
    ) -> None:
        """Answer a request without keeping state. An answer over the size limit is cut down to the headers it needs; if
        it is still too large, it is not sent."""
        named = [*headers, ("Server", self.config.product)]
        answer = respond(request, status, tag=tag or self.stable_tag(request), headers=named)
        data = encode(answer)
        if self.most is not None and len(data) > self.most:
            answer.headers = Headers((name, value) for name, value in answer.headers if needs(status, name))
            data = encode(answer, compact=True)
        if self.most is None or len(data) <= self.most:
            self.send(data, to)
        else:
            self.withheld += 1

    def refuse(self, transaction: ServerTransaction, refusal: Refusal, now_ms: float) -> None:
        """Refuse a request that has a transaction, and report why."""
        self.answer(transaction, refusal.status, now_ms, headers=refusal.told(self.config.product))
        self.tell_refused(transaction.request, refusal, transaction.reply_to)

    def refuse_once(self, request: Request, refusal: Refusal, source: Address) -> None:
        """Refuse a request without keeping state."""
        self.answer_once(request, reply_to(request, source), refusal.status, refusal.told(self.config.product))
        self.tell_refused(request, refusal, source)

    def tell_refused(self, request: Request, refusal: Refusal, source: Address) -> None:
        """For the log."""
        call_id = request.headers.get("Call-ID")
        self.tell(Refused(request.method, refusal.status, refusal.why, source, call_id))

    def no_room(self, why: str) -> Refusal:
        """503: try again later."""
        return Refusal(503, why, (("Retry-After", str(self.config.retry_after_s)),))
