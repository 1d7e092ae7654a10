"""Outbound calls, as trunks and phones answer them."""

from typing import Any

import pytest

from telephony.lines.exceptions import CommandError
from telephony.lines.sip.dialogs.events import Answered, Cause, Ended, Progress
from telephony.lines.sip.dialogs.uac import Outgoing
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.header import NameAddr, parse_via
from telephony.lines.sip.syntax.message import Message, Request
from tests.telephony.lines.sip.peer import ME, OURS, SDP, Bench, answer_to, dial, methods, statuses, up

TCP = Address("TCP", "10.0.0.2", 5060, 3)


def test_answered() -> None:
    bench = Bench()
    call, sent = dial(bench, headers=(("X-Campaign", "7"),))
    assert (sent.method, sent.uri, sent.body) == ("INVITE", "sip:+15551230000@10.0.0.2:5070", OURS)
    assert sent.headers.get("From").startswith('"Front desk" <sip:+15550001111@voice.example.com>;tag=')
    assert sent.headers.get("Contact") == "<sip:voxline@10.0.0.1:5060>"
    assert (sent.headers.get("Supported"), sent.headers.get("X-Campaign")) == ("timer", "7")
    bench.give(answer_to(sent, 100, tag=""))
    bench.untold(Progress)
    bench.give(answer_to(sent, 180))
    bench.give(answer_to(sent, 183, body=SDP))
    assert [(e.status, e.body) for e in bench.events if isinstance(e, Progress)] == [(180, b""), (183, SDP)]
    ok = answer_to(sent, 200, body=SDP)
    (ack,) = bench.give(ok)
    assert isinstance(ack, Request)
    assert (ack.method, ack.uri, ack.headers.get("CSeq").split()[0]) == (
        "ACK",
        "sip:bob@10.0.0.2:5070",
        sent.headers.get("CSeq").split()[0],
    )
    assert parse_via(ack.headers.get("Via")).branch != parse_via(sent.headers.get("Via")).branch
    assert bench.told(Answered).call == call.id
    assert bench.give(ok) == [ack]  # our ACK was lost
    bench.untold(Answered)
    call.hang_up(bench.now)
    (bye,) = bench.take()
    assert isinstance(bye, Request)
    assert int(bye.headers.get("CSeq").split()[0]) == int(sent.headers.get("CSeq").split()[0]) + 1
    bench.give(answer_to(bye, 200))
    assert bench.told(Ended).cause is Cause.LOCAL
    bench.run(32_000)
    assert bench.ua.idle


def test_rings_too_long() -> None:
    bench = Bench()
    _, sent = dial(bench, ring_ms=20_000)
    bench.give(answer_to(sent, 180))
    assert methods(m for _, m in bench.run(20_000)) == ["CANCEL"]
    assert bench.told(Ended).cause is Cause.UNANSWERED


def test_two_phones_answer() -> None:
    """13.2.2.4: a forking proxy lets two 200 through: the second is acknowledged and hung up on, once."""
    bench = Bench()
    call, sent, _ = up(bench)
    add = [("Contact", "<sip:second@10.0.0.3>")]
    other = answer_to(sent, 200, tag="other", body=SDP, add=add)
    ack, bye = bench.give(other)
    assert isinstance(ack, Request)
    assert isinstance(bye, Request)
    assert (ack.method, ack.uri, bye.method, bye.uri) == ("ACK", "sip:second@10.0.0.3", "BYE", "sip:second@10.0.0.3")
    assert bench.give(other) == [ack]
    bench.untold(Ended)
    assert bench.ua.calls == [call]
    assert [len(bench.give(answer_to(sent, 200, tag=f"fork{n}"))) for n in range(9)] == [2] * 7 + [0] * 2


@pytest.mark.parametrize(
    ("status", "add", "cause", "reason", "retry"),
    [
        (486, [], Cause.REFUSED, "Said", 0),
        (302, [("Contact", "<sip:evil@192.0.2.66>")], Cause.REFUSED, "redirections are not followed", 0),
        (503, [("Retry-After", "120 (busy)")], Cause.REFUSED, "Said", 120),
        (408, [], Cause.UNANSWERED, "Said", 0),
        (422, [("Min-SE", "90")], Cause.REFUSED, "Said", 0),
    ],
)
def test_refused(status: int, add: list[tuple[str, str]], cause: Cause, reason: str, retry: int) -> None:
    bench = Bench()
    call, sent = dial(bench)
    assert methods(bench.give(answer_to(sent, status, add=add))) == ["ACK"]
    ended = bench.told(Ended)
    assert (ended.call, ended.cause, ended.status, ended.reason, ended.retry_after_s) == (
        call.id,
        cause,
        status,
        reason,
        retry,
    )
    bench.run(32_000)
    assert bench.ua.idle


def test_session_interval_too_small() -> None:
    bench = Bench()
    _, sent = dial(bench)
    _, again = bench.give(answer_to(sent, 422, add=[("Min-SE", "3600")]))
    assert isinstance(again, Request)
    assert (again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == ("3600", "3600")
    bench.give(answer_to(again, 422, add=[("Min-SE", "7200")]))
    assert bench.told(Ended).status == 422  # once is enough


def test_nobody_there_and_no_way_there() -> None:
    bench = Bench()
    dial(bench)
    bench.run(32_000)
    ended = bench.told(Ended)
    assert (ended.cause, ended.status) == (Cause.UNANSWERED, 408)
    bench = Bench()
    dial(bench, transport="TCP")
    bench.ua.unreachable(bench.sent[-1].to, bench.now)
    assert bench.take() == []
    assert bench.told(Ended).status == 503
    assert bench.ua.idle


def test_by_proxy_and_by_connection() -> None:
    """To a trunk by TLS through a proxy; inside the call its connection is used, whatever the Contact says."""
    bench = Bench()
    proxy = Address("TLS", "sbc.example.com", 0)
    call, sent = dial(bench, proxy=proxy)
    assert bench.sent[-1].to == proxy
    assert sent.headers.get("Contact") == "<sip:voxline@10.0.0.1:5061;transport=tls>"
    assert sent.headers.get("Via").startswith("SIP/2.0/TLS 10.0.0.1:5061;")
    source = Address("TLS", "192.0.2.1", 5061, 9)
    assert methods(bench.give(answer_to(sent, 200, body=SDP), source)) == ["ACK"]
    assert bench.sent[-1].to == Address("TLS", "10.0.0.2", 5070, 9)
    call.hang_up(bench.now)
    bench.take()
    assert bench.sent[-1].to.connection == 9


def test_sips() -> None:
    bench = Bench()
    _, sent = dial(bench, to="sips:bob@10.0.0.2")
    assert bench.sent[-1].to == Address("TLS", "10.0.0.2", 5061)
    assert sent.headers.get("Contact") == "<sips:voxline@10.0.0.1:5061>"


@pytest.mark.parametrize("add", [("Contact", "<tel:+1>"), ("Record-Route", "nonsense"), ("Record-Route", "<tel:1;lr>")])
def test_answered_without_a_way_back(add: tuple[str, str]) -> None:
    bench = Bench()
    _, sent = dial(bench)
    bench.give(answer_to(sent, 200, body=SDP, add=[add]))
    assert bench.told(Ended).reason == "answered without a usable Contact or route"
    bench.run(40_000)
    assert bench.ua.idle


@pytest.mark.parametrize(
    "wrong",
    [{"to": "tel:+1555"}, {"to": "sip:a b@c"}, {"to": "nonsense"}, {"headers": (("X-A", "b\r\nRoute: <sip:evil>"),)}],
)
def test_what_cannot_be_called(wrong: dict[str, Any]) -> None:
    bench = Bench()
    with pytest.raises(ValueError):
        bench.ua.invite(Outgoing(**({"to": "sip:a@b", "body": OURS, "caller": ME} | wrong)), bench.now)
    assert bench.ua.idle
    evil = NameAddr("a\r\nb", ME.uri)
    with pytest.raises(ValueError):
        bench.ua.invite(Outgoing("sip:a@b", OURS, evil), bench.now)
    assert bench.ua.idle


def test_no_room() -> None:
    bench = Bench(max_calls=1)
    dial(bench)
    with pytest.raises(CommandError, match="no room"):
        dial(bench)


def test_our_own_call_comes_back() -> None:
    """A trunk that sends our call back to us: 482, no endless ring of calls."""
    bench = Bench()
    _, sent = dial(bench)
    looped = Request(sent.method, sent.uri, type(sent.headers)(sent.headers), sent.body)
    vias = [f"SIP/2.0/UDP 10.0.0.2:5070;branch=z9hG4bKproxy, {sent.headers.get('Via')}"]
    looped.headers.set("Via", vias[0])
    out: list[Message] = bench.give(looped)
    assert statuses(out) == [482]


FIRST, SECOND = Address("UDP", "10.0.0.3", 5060), Address("TCP", "10.0.0.4", 5060)


def test_next_server_is_tried_soon_where_the_first_one_is_silent() -> None:
    """RFC 3263 4.3: the same call anew, by another transport too."""
    bench = Bench()
    call, sent = dial(bench, proxy=FIRST, spares=(SECOND,))
    assert bench.sent[-1].to == FIRST
    later = [(ms, again) for ms, again in bench.run(10_000) if bench.sent[-1].to == SECOND]
    ms, again = later[-1]
    assert ms == 6000
    assert isinstance(again, Request)
    assert again.headers.get("Call-ID") == sent.headers.get("Call-ID")
    assert again.headers.get("Via") != sent.headers.get("Via")
    assert again.headers.get("Contact").endswith(";transport=tcp>")
    assert methods(bench.give(answer_to(again, 200, body=SDP))) == ["ACK"]
    assert bench.told(Answered).call == call.id


@pytest.mark.parametrize("status", [408, 503])
def test_next_server_is_tried_at_once_where_the_first_one_cannot(status: int) -> None:
    bench = Bench()
    call, sent = dial(bench, proxy=FIRST, spares=(SECOND,), id="mine")
    assert call.id == "mine"
    assert methods(bench.give(answer_to(sent, status))) == ["ACK", "INVITE"]
    bench.untold(Ended)
    bench.ua.unreachable(SECOND, bench.now)
    assert bench.take() == []
    assert bench.told(Ended).status == 503
    bench.run(32_000)
    assert bench.ua.idle


def test_server_that_takes_care_of_a_call_keeps_it() -> None:
    for status, first in ((486, 0), (503, 180), (404, 100)):
        bench = Bench()
        _, sent = dial(bench, proxy=FIRST, spares=(SECOND,))
        if first:
            bench.give(answer_to(sent, first))
        bench.run(7000 if first else 0)
        assert methods(bench.give(answer_to(sent, status))) == ["ACK"]
        assert bench.told(Ended).status == status


def test_given_up_call_is_not_tried_elsewhere() -> None:
    bench = Bench()
    call, sent = dial(bench, proxy=FIRST, spares=(SECOND,))
    call.hang_up(bench.now)
    assert methods(bench.give(answer_to(sent, 503))) == ["ACK"]
    bench.run(40_000)
    assert bench.ua.idle
