"""The current transactions, and which of them a message belongs to (RFC 3261 17.1.3, 17.2.3)."""

from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.header import parse_cseq, parse_via, tag_of
from telephony.lines.sip.syntax.message import Request, Response, sequence_of
from telephony.lines.sip.transactions.answers import reply_to
from telephony.lines.sip.transactions.client import ClientTransaction, OnResponse
from telephony.lines.sip.transactions.server import Key, Send, ServerTransaction
from telephony.lines.sip.transactions.timers import Timers

MAGIC = "z9hG4bK"  # a branch with this prefix is unique


def server_key(request: Request, method: str = "") -> Key:
    """The key shared by a request, its retransmissions and its ACK; `method` gives that of another method on the
    branch."""
    method = method or ("INVITE" if request.method == "ACK" else request.method)
    top = request.headers.get("Via")
    via = parse_via(top)
    if via.branch.startswith(MAGIC) and len(via.branch) > len(MAGIC):
        return via.branch, via.host.lower(), str(via.port or 0), method
    headers = request.headers  # an RFC 2543 peer
    return (
        headers.get("Call-ID"),
        tag_of(headers.get("From")),
        str(sequence_of(request)),
        request.uri,
        f"{via.transport} {via.host.lower()}:{via.port or 0} {via.branch}",
        method,
    )


class Transactions:
    """The transactions of both sides. At most `most` of the peers' are kept; ours are bounded by the calls."""

    def __init__(self, timers: Timers, send: Send, most: int) -> None:
        self.servers: dict[Key, ServerTransaction] = {}
        self.clients: dict[Key, ClientTransaction] = {}
        self._timers = timers
        self._send = send
        self._most = most
        self._merging: dict[Key, Key] = {}  # requests outside dialogs

    @property
    def full(self) -> bool:
        """Whether there is no room for more of the peers'."""
        return len(self.servers) >= self._most

    def serve(self, request: Request, source: Address) -> ServerTransaction:
        """Open a transaction for a new request."""
        key = server_key(request)
        to = reply_to(request, source)
        transaction = ServerTransaction(
            key, request, to, timers=self._timers, send=self._send, ended=self._server_ended
        )
        self.servers[key] = transaction
        if not tag_of(request.headers.get("To")):
            self._merging[_merge_key(request)] = key
        return transaction

    def match(self, request: Request) -> ServerTransaction | None:
        """The transaction of a retransmitted request, or the one whose answer an ACK acknowledges."""
        return self.servers.get(server_key(request))

    def cancelled_by(self, cancel: Request) -> ServerTransaction | None:
        """The INVITE that a CANCEL refers to."""
        return self.servers.get(server_key(cancel, "INVITE"))

    def merged(self, request: Request) -> bool:
        """Whether the same request has arrived by another path (8.2.2.2)."""
        return not tag_of(request.headers.get("To")) and _merge_key(request) in self._merging

    def request(self, request: Request, to: Address, answered: OnResponse, now_ms: float) -> ClientTransaction:
        """Send a request of ours. Its Via holds its branch."""
        key = (parse_via(request.headers.get("Via")).branch, request.method)
        transaction = ClientTransaction(
            key, request, to, timers=self._timers, send=self._send, answered=answered, ended=self._client_ended
        )
        self.clients[key] = transaction
        transaction.start(now_ms)
        return transaction

    def answer(self, response: Response, now_ms: float) -> bool:
        """Take an answer to a request of ours; False if it matches none."""
        branch = parse_via(response.headers.get("Via")).branch
        transaction = self.clients.get((branch, parse_cseq(response.headers.get("CSeq")).method))
        if transaction is None:
            return False
        transaction.receive(response, now_ms)
        return True

    def unreachable(self, to: Address, now_ms: float) -> None:
        """Nothing can be sent there: fail the requests waiting for an answer from there."""
        for transaction in [client for client in self.clients.values() if client.to == to]:
            transaction.fail(503, now_ms)

    def _server_ended(self, key: Key) -> None:
        request = self.servers.pop(key).request
        if self._merging.get(_merge_key(request)) == key:
            del self._merging[_merge_key(request)]

    def _client_ended(self, key: Key) -> None:
        del self.clients[key]


def _merge_key(request: Request) -> Key:
    headers = request.headers
    return headers.get("Call-ID"), tag_of(headers.get("From")), headers.get("CSeq")
