"""Which transaction a message belongs to, and how both kinds live."""

import pytest

from telephony.lines.exceptions import CommandError
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import Request, Response, encode, parse
from telephony.lines.sip.transactions.answers import respond
from telephony.lines.sip.transactions.client import ClientState
from telephony.lines.sip.transactions.timers import Timers
from telephony.lines.sip.transactions.transaction import Transactions, server_key
from tests.telephony.lines.sip.peer import OVER_TCP, THEM, answer_to, invite, message

OLD = """
INVITE sip:1000@10.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2:5070
From: <sip:old@10.0.0.2>;tag=1
To: <sip:1000@10.0.0.1>
Call-ID: old
CSeq: 1 INVITE
Contact: <sip:old@10.0.0.2>
"""


class Layer:
    """Transactions, what they send, and when."""

    def __init__(self, most: int = 100) -> None:
        self.timers = Timers()
        self.sent: list[tuple[float, str]] = []
        self.told: list[int] = []
        self.now = 0.0
        self.transactions = Transactions(self.timers, self._send, most)

    def _send(self, data: bytes, to: Address) -> None:
        sent = parse(data)
        self.sent.append((self.now, sent.method if isinstance(sent, Request) else str(sent.status)))

    def run(self, until: float) -> list[tuple[float, str]]:
        """What is sent until then."""
        while self.timers.next_ms <= until:
            self.now = self.timers.next_ms
            self.timers.run(self.now)
        self.now = until
        sent, self.sent = self.sent, []
        return sent

    def request(self, method: str, to: Address = THEM) -> Request:
        request = message(OLD.replace("INVITE", method).replace("5070", "5070;branch=z9hG4bKmine"))
        self.client = self.transactions.request(request, to, lambda r, _: self.told.append(r.status), self.now)
        return request

    def answer(self, request: Request, status: int) -> None:
        assert self.transactions.answer(answer_to(request, status), self.now)

    @property
    def empty(self) -> bool:
        return not (self.transactions.servers or self.transactions.clients or self.timers)


def times(sent: list[tuple[float, str]]) -> list[float]:
    return [ms for ms, _ in sent]


# ---- matching ----


def changed(request: Request, **headers: str) -> Request:
    for name, value in headers.items():
        request.headers.set(name.replace("_", "-"), value)
    return request


def test_branch_sent_by_and_method_tell_transactions_apart() -> None:
    first = invite()
    assert server_key(first) == server_key(invite(CSeq="1 INVITE", From="<sip:other@x>;tag=9"))
    other_port = changed(invite(), Via="SIP/2.0/UDP 10.0.0.2:5071;branch=z9hG4bK-1")
    assert server_key(first) != server_key(other_port)
    assert server_key(first) != server_key(invite(branch="z9hG4bK-2"))
    ack = invite(body=b"")
    ack.method = "ACK"
    assert server_key(first) == server_key(ack)
    options = invite(body=b"")
    options.method = "OPTIONS"
    assert server_key(first) != server_key(options)
    assert server_key(first) == server_key(options, "INVITE")


def test_peers_that_know_rfc_2543_only() -> None:
    """Without the magic cookie: by Request-URI, Call-ID, From tag, CSeq number and the whole Via."""
    first = message(OLD)
    assert server_key(first) == server_key(changed(message(OLD), To="<sip:1000@10.0.0.1>;tag=ours"))
    ack = message(OLD.replace("INVITE", "ACK"))
    assert server_key(first) == server_key(ack)
    for name, value in (("Call-ID", "b"), ("CSeq", "2 INVITE"), ("From", "<sip:old@10.0.0.2>;tag=2")):
        other = message(OLD)
        other.headers.set(name, value)
        assert server_key(first) != server_key(other), name
    assert server_key(first) != server_key(changed(message(OLD), Via="SIP/2.0/UDP 10.0.0.2:5070;branch=1"))
    bare = changed(message(OLD), Via="SIP/2.0/UDP 10.0.0.2:5070;branch=z9hG4bK")
    assert len(server_key(bare)) > 4  # the cookie alone names nothing


# ---- server ----


def test_server_invite_refused_over_udp() -> None:
    layer = Layer()
    transaction = layer.transactions.serve(invite(), THEM)
    transaction.resend()
    assert layer.sent == []  # nothing was answered yet
    transaction.respond(respond(transaction.request, 100), 0.0)
    transaction.respond(respond(transaction.request, 486, tag="a"), 0.0)
    assert [what for _, what in layer.run(0)] == ["100", "486"]
    with pytest.raises(CommandError, match="too late"):
        transaction.respond(respond(transaction.request, 200), 0.0)
    assert times(layer.run(11_600)) == [500, 1500, 3500, 7500, 11500]
    transaction.acknowledge(layer.now)
    transaction.resend()
    assert layer.run(layer.now + 4999) == []
    assert not layer.empty
    layer.run(layer.now + 1)
    assert layer.empty


def test_server_invite_refused_and_never_acknowledged() -> None:
    layer = Layer()
    transaction = layer.transactions.serve(invite(), THEM)
    transaction.respond(respond(transaction.request, 486, tag="a"), 0.0)
    assert len(layer.run(32_000)) == 11
    assert layer.empty


@pytest.mark.parametrize(("source", "kept_ms"), [(THEM, 32_000), (OVER_TCP, 0)])
def test_server_other_methods(source: Address, kept_ms: float) -> None:
    layer = Layer()
    transaction = layer.transactions.serve(message(OLD.replace("INVITE", "OPTIONS")), source)
    transaction.respond(respond(transaction.request, 200, tag="a"), 0.0)
    assert layer.empty == (kept_ms == 0)
    layer.run(kept_ms)
    assert layer.empty


def test_server_transactions_are_bounded() -> None:
    layer = Layer(most=2)
    for n in range(2):
        assert not layer.transactions.full
        layer.transactions.serve(invite(branch=f"z9hG4bK-{n}"), THEM)
    assert layer.transactions.full


def test_merged_requests_are_forgotten_with_their_transaction() -> None:
    layer = Layer()
    transaction = layer.transactions.serve(invite(), OVER_TCP)
    other = invite(branch="z9hG4bK-2")
    assert layer.transactions.merged(other)
    transaction.respond(respond(transaction.request, 486, tag="a"), 0.0)
    transaction.acknowledge(0.0)
    assert not layer.transactions.merged(other)
    assert layer.empty


# ---- client ----


def test_client_invite_without_any_answer() -> None:
    layer = Layer()
    layer.request("INVITE")
    assert times(layer.run(40_000)) == [0, 500, 1500, 3500, 7500, 15500, 31500]
    assert layer.told == [408]
    assert layer.empty


def test_client_request_without_any_answer() -> None:
    layer = Layer()
    layer.request("BYE")
    sent = times(layer.run(40_000))
    assert sent == [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]
    assert layer.told == [408]
    assert layer.empty


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_nothing_is_sent_again_over_tcp(method: str) -> None:
    layer = Layer()
    layer.request(method, OVER_TCP)
    assert times(layer.run(40_000)) == [0]
    assert layer.told == [408]


def test_client_invite_that_rings_waits_as_long_as_it_takes() -> None:
    layer = Layer()
    request = layer.request("INVITE")
    layer.answer(request, 100)
    layer.answer(request, 180)
    assert times(layer.run(500_000)) == [0]
    assert layer.told == [100, 180]
    layer.answer(request, 486)
    assert [what for _, what in layer.run(500_010)] == ["ACK"]
    layer.answer(request, 486)  # once more: acknowledged once more, told once
    assert [what for _, what in layer.run(500_020)] == ["ACK"]
    assert layer.told == [100, 180, 486]
    layer.run(532_000)
    assert layer.empty


def test_client_invite_accepted_passes_every_2xx_on() -> None:
    layer = Layer()
    request = layer.request("INVITE")
    for tag in ("a", "a", "b"):
        layer.transactions.answer(answer_to(request, 200, tag=tag), layer.now)
    layer.answer(request, 486)  # another branch of a fork; too late
    layer.answer(request, 180)
    assert layer.told == [200, 200, 200]
    assert layer.client.state is ClientState.ACCEPTED
    layer.run(32_000)
    assert layer.empty


def test_client_request_slows_down_when_somebody_works_on_it() -> None:
    layer = Layer()
    request = layer.request("BYE")
    layer.answer(request, 100)
    assert times(layer.run(9000)) == [0, 500, 4500, 8500]
    layer.answer(request, 200)
    layer.answer(request, 200)
    layer.run(14_000)
    assert layer.told == [100, 200]
    assert layer.empty


def test_ack_of_a_refusal_is_in_its_transaction() -> None:
    layer = Layer()
    sent: list[Request] = []
    layer.transactions._send = lambda data, _: sent.append(parse(data))  # type: ignore[arg-type]
    request = layer.request("INVITE")
    layer.answer(request, 486)
    ack = sent[1]
    assert ack.headers.get("Via") == request.headers.get("Via")
    assert (ack.uri, ack.headers.get("CSeq"), ack.headers.get("To")) == (
        request.uri,
        "1 ACK",
        "<sip:1000@10.0.0.1>;tag=them",
    )


def test_unreachable() -> None:
    layer = Layer()
    layer.request("INVITE", OVER_TCP)
    layer.transactions.unreachable(THEM, 1.0)
    assert layer.told == []
    layer.transactions.unreachable(OVER_TCP, 1.0)
    assert layer.told == [503]
    assert layer.empty


def test_answers_to_nothing() -> None:
    layer = Layer()
    request = layer.request("BYE")
    stray = answer_to(request, 200)
    stray.headers.set("CSeq", "1 INFO")
    assert not layer.transactions.answer(stray, 0.0)
    assert isinstance(parse(encode(stray)), Response)
