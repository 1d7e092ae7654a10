"""Requests of ours that are challenged, or given up."""

import pytest

from telephony.lines.sip.dialogs.events import Answered, Cause, Ended
from telephony.lines.sip.dialogs.exchange import Credentials
from telephony.lines.sip.syntax.header import parse_via
from telephony.lines.sip.syntax.message import Request
from tests.telephony.lines.sip.peer import SDP, Bench, answer_to, dial, methods

ASKED = 'Digest realm="sip.telnyx.com", nonce="n1", algorithm=MD5, qop="auth"'


def test_credentials_once() -> None:
    """407 as Telnyx asks: the INVITE once more with them, and the ACK of its 200 too; a second 407 is the end."""
    bench = Bench()
    call, first = dial(bench, credentials=Credentials("agent", "pw123"))
    ack, second = bench.give(answer_to(first, 407, add=[("Proxy-Authenticate", ASKED)]))
    assert isinstance(ack, Request)
    assert isinstance(second, Request)
    assert (ack.method, parse_via(ack.headers.get("Via")).branch) == ("ACK", parse_via(first.headers.get("Via")).branch)
    assert parse_via(second.headers.get("Via")).branch != parse_via(first.headers.get("Via")).branch
    for name in ("Call-ID", "From", "To"):
        assert second.headers.get(name) == first.headers.get(name)
    assert int(second.headers.get("CSeq").split()[0]) == int(first.headers.get("CSeq").split()[0]) + 1
    credentials = second.headers.get("Proxy-Authorization")
    assert 'username="agent"' in credentials
    assert 'nonce="n1"' in credentials
    (acked,) = bench.give(answer_to(second, 200, body=SDP))
    assert isinstance(acked, Request)
    assert acked.headers.get("Proxy-Authorization") == credentials
    assert "pw123" not in repr(call)

    bench = Bench()
    _, first = dial(bench, credentials=Credentials("agent", "wrong"))
    _, second = bench.give(answer_to(first, 407, add=[("Proxy-Authenticate", ASKED)]))
    assert methods(bench.give(answer_to(second, 407, add=[("Proxy-Authenticate", ASKED)]))) == ["ACK"]
    ended = bench.told(Ended)
    assert (ended.cause, ended.status) == (Cause.REFUSED, 407)


def test_stale_nonces_and_two_challengers() -> None:
    """A proxy (407), then the server behind it (401), then a stale nonce: all are answered, but not for ever."""
    bench = Bench()
    _, sent = dial(bench, credentials=Credentials("agent", "pw123"))
    _, both = bench.give(answer_to(sent, 407, add=[("Proxy-Authenticate", ASKED)]))
    _, both = bench.give(answer_to(both, 401, add=[("WWW-Authenticate", ASKED.replace("telnyx", "pbx"))]))
    assert isinstance(both, Request)
    assert "Proxy-Authorization" in both.headers
    assert "Authorization" in both.headers
    asks = 0
    while len(out := bench.give(answer_to(both, 401, add=[("WWW-Authenticate", f"{ASKED}, stale=true")]))) == 2:
        both = out[1]
        asks += 1
    assert asks == 2
    assert bench.told(Ended).status == 401


@pytest.mark.parametrize("challenge", ['Basic realm="x"', 'Digest realm="x", nonce="1", algorithm=SHA-512-256'])
def test_challenges_that_cannot_be_met(challenge: str) -> None:
    bench = Bench()
    _, sent = dial(bench, credentials=Credentials("agent", "pw123"))
    bench.give(answer_to(sent, 401, add=[("WWW-Authenticate", challenge)]))
    assert bench.told(Ended).status == 401
    bench = Bench()
    _, sent = dial(bench)  # no credentials at all
    bench.give(answer_to(sent, 401, add=[("WWW-Authenticate", ASKED)]))
    assert bench.told(Ended).status == 401


def test_given_up_before_anybody_has_it() -> None:
    """9.1: the CANCEL waits for a sign that the INVITE has arrived."""
    bench = Bench()
    call, sent = dial(bench)
    call.hang_up(bench.now)
    assert bench.take() == []
    assert bench.told(Ended).cause is Cause.LOCAL
    assert methods(m for _, m in bench.run(600)) == ["INVITE"]
    (cancel,) = bench.give(answer_to(sent, 100, tag=""))
    assert isinstance(cancel, Request)
    assert (cancel.method, cancel.headers.get("Via")) == ("CANCEL", sent.headers.get("Via"))
    assert cancel.headers.get("CSeq") == sent.headers.get("CSeq").replace("INVITE", "CANCEL")
    assert bench.give(answer_to(sent, 180)) == []  # one CANCEL is enough
    bench.give(answer_to(cancel, 200))
    assert methods(bench.give(answer_to(sent, 487))) == ["ACK"]
    bench.run(40_000)
    bench.untold(Ended)
    assert bench.ua.idle


def test_answered_while_given_up() -> None:
    """The 200 crosses our CANCEL: acknowledge it and hang up."""
    bench = Bench()
    call, sent = dial(bench)
    bench.give(answer_to(sent, 180))
    call.hang_up(bench.now)
    assert methods(bench.take()) == ["CANCEL"]
    assert methods(bench.give(answer_to(sent, 200, body=SDP))) == ["ACK", "BYE"]
    bench.untold(Answered)
    bench.told(Ended)
    bench.run(80_000)
    bench.untold(Ended)
    assert bench.ua.idle


def test_a_cancel_that_nobody_heeds_ends_all_the_same() -> None:
    bench = Bench()
    call, sent = dial(bench)
    bench.give(answer_to(sent, 180))
    call.hang_up(bench.now)
    bench.run(32_000)
    assert bench.ua.idle
