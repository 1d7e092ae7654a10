"""What happens in a call besides offers and transfers; the connections in use."""

import pytest

from telephony.lines.sip.dialogs.events import Acked, Cause, Ended, Info, Invited
from telephony.lines.sip.dialogs.invite_dialog import Call, reason_of, retry_after
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import Headers, Request, Response
from tests.telephony.lines.sip.peer import (
    OURS,
    OVER_TCP,
    THEM,
    Bench,
    ack,
    answer_to,
    invite,
    methods,
    statuses,
    within,
)


def called(bench: Bench, **changes: str) -> tuple[Call, Response]:
    bench.give(invite(**changes))
    call = bench.call(Invited)
    call.accept(OURS, bench.now)
    (ok,) = bench.take()
    assert isinstance(ok, Response)
    bench.give(ack(ok))
    bench.told(Acked)
    return call, ok


def hung_up(bench: Bench, call: Call) -> tuple[Request, Address]:
    call.hang_up(bench.now)
    (bye,) = bench.take()
    assert isinstance(bye, Request)
    return bye, bench.sent[-1].to


def test_keys_by_info() -> None:
    """Cisco's and Asterisk's dtmfmode=info."""
    bench = Bench()
    call, ok = called(bench)
    keys = b"Signal=5\r\nDuration=160\r\n"
    add = "Content-Type: application/dtmf-relay; charset=x\n"
    assert statuses(bench.give(within("INFO", ok, 2, "z9hG4bK-2", keys, add))) == [200]
    told = bench.told(Info)
    assert (told.call, told.content_type, told.body) == (call.id, "application/dtmf-relay", keys)
    assert statuses(bench.give(within("INFO", ok, 2, "z9hG4bK-2", keys, add))) == [200]  # once more: one key
    bench.untold(Info)
    assert statuses(bench.give(within("INFO", ok, 3, "z9hG4bK-3"))) == [200]
    bench.untold(Info)
    (refusal,) = bench.give(within("INFO", ok, 4, "z9hG4bK-4", b"<x/>", "Content-Type: application/xml\n"))
    assert isinstance(refusal, Response)
    assert (refusal.status, refusal.headers.get("Accept")) == (415, "application/dtmf-relay")


def probed(bench: Bench, call: Call) -> Request:
    call.probe(bench.now)
    (probe,) = bench.take()
    assert isinstance(probe, Request)
    assert (probe.method, probe.headers.get("Accept")) == ("OPTIONS", "application/sdp")
    return probe


@pytest.mark.parametrize("status", [200, 404, 405, 486, 500])
def test_a_peer_that_answers_has_the_call(status: int) -> None:
    bench = Bench()
    call, _ = called(bench)
    for _ in range(3):
        probe = probed(bench, call)
        call.probe(bench.now)
        assert bench.take() == []  # one at a time
        assert bench.give(answer_to(probe, status)) == []
    assert bench.run(60_000) == []
    assert call.up


@pytest.mark.parametrize("status", [481, 408])
def test_a_peer_that_has_forgotten_the_call_is_hung_up_on(status: int) -> None:
    bench = Bench()
    call, _ = called(bench)
    assert methods(bench.give(answer_to(probed(bench, call), status))) == ["BYE"]
    assert (ended := bench.told(Ended)).cause is Cause.LOST
    assert ended.status == status


def test_a_peer_that_does_not_answer_is_hung_up_on_soon() -> None:
    bench = Bench()
    call, _ = called(bench)
    probed(bench, call)
    out = bench.run(6100)
    assert methods(m for _, m in out) == ["OPTIONS"] * 3 + ["BYE"]
    assert out[-1][0] == 6000
    assert bench.told(Ended).cause is Cause.LOST


def test_a_connection_that_breaks_says_nothing_once() -> None:
    bench = Bench(OVER_TCP)
    call, _ = called(bench)
    for times in (1, 2):
        probed(bench, call)
        bench.ua.unreachable(bench.sent[-1].to, bench.now)
        assert methods(bench.take()) == ["BYE"] * (times == 2)


@pytest.mark.parametrize("method", ["INFO", "UPDATE", "INVITE"])
def test_before_the_answer(method: str) -> None:
    """Not 481: the peer would think that the call is gone."""
    bench = Bench()
    bench.give(invite())
    call = bench.call(Invited)
    call.ringing(bench.now)
    (ringing,) = bench.take()
    assert isinstance(ringing, Response)
    assert statuses(bench.give(within(method, ringing, 2, "z9hG4bK-2"))) == [491]
    call.accept(OURS, bench.now)
    assert statuses(bench.take()) == [200]


def test_through_kamailio() -> None:
    """record_route() and t_relay(): every Via and Record-Route comes back; ours goes by the route to the Contact."""
    bench = Bench(Address("UDP", "10.0.0.9", 5060))
    add = (
        "Record-Route: <sip:10.0.0.9;lr=on;ftag=331SIPp1>\n"
        "Via: SIP/2.0/UDP 10.0.0.2:5070;rport=5070;received=10.0.0.2;branch=z9hG4bKphone\n"
    )
    call, ok = called(bench, Via="SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKcydzigwkX;i=1", add=add)
    assert bench.sent[-1].to == Address("UDP", "10.0.0.9", 5060)
    assert len(ok.headers.all("Via")) == 2
    assert ok.headers.all("Record-Route") == ["<sip:10.0.0.9;lr=on;ftag=331SIPp1>"]
    bye, to = hung_up(bench, call)
    assert (bye.uri, bye.headers.all("Route"), to) == (
        "sip:+15551230000@10.0.0.2:5070",
        ["<sip:10.0.0.9;lr=on;ftag=331SIPp1>"],
        Address("UDP", "10.0.0.9", 5060),
    )


def test_over_tcp_the_connection_is_used_in_both_directions() -> None:
    bench = Bench(OVER_TCP)
    call, ok = called(bench, Via="SIP/2.0/TCP 192.168.1.5:5060;branch=z9hG4bK-tcp")
    assert ok.headers.get("Contact") == "<sip:voxline@10.0.0.1:5060;transport=tcp>"
    bye, to = hung_up(bench, call)
    assert bye.headers.get("Via").startswith("SIP/2.0/TCP 10.0.0.1:5060;")
    assert to == Address("TCP", "10.0.0.2", 5070, OVER_TCP.connection)


def test_the_connection_of_the_last_request_is_used() -> None:
    bench = Bench(OVER_TCP)
    call, ok = called(bench)
    again = Address("TCP", "10.0.0.2", 50_999, 8)
    bench.give(within("OPTIONS", ok, 2, "z9hG4bK-2"), again)
    assert bench.sent[-1].to == again
    assert hung_up(bench, call)[1].connection == 8


def test_called_as_sips() -> None:
    bench = Bench(Address("TLS", "10.0.0.2", 40_000, 5))
    _, ok = called(bench, Contact="<sips:ann@10.0.0.2:5061>")
    assert ok.headers.get("Contact") == "<sips:voxline@10.0.0.1:5061>"


def test_behind_a_nat() -> None:
    natted = Address("UDP", "81.2.69.142", 31337)
    bench = Bench(natted, follow_source=True)
    call, _ = called(bench, Contact="<sip:ann@192.168.1.5:5060>")
    assert bench.sent[-1].to == natted
    bye, to = hung_up(bench, call)
    assert (bye.uri, to) == ("sip:ann@192.168.1.5:5060", natted)


def test_a_transport_that_we_do_not_have_ends_the_call() -> None:
    """The Contact says TLS, and nothing can be sent by it: our BYE fails, and the call is over all the same."""
    bench = Bench()
    call, _ = called(bench, Contact="<sip:ann@10.0.0.2;transport=tls>")
    _, to = hung_up(bench, call)
    assert to == Address("TLS", "10.0.0.2", 5061)
    bench.ua.unreachable(to, bench.now)
    assert bench.ua.calls == []
    bench.told(Ended)


def test_compact_headers() -> None:
    bench = Bench()
    names = {"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Content-Type": "c"}
    request = invite()
    request.headers = Headers([(names.get(name, name), value) for name, value in request.headers])
    assert statuses(bench.give(request, THEM)) == [100]
    bench.told(Invited)


@pytest.mark.parametrize(
    ("reason", "read"),
    [
        ('Q.850;cause=16;text="Normal call clearing"', (16, "Normal call clearing")),
        ("SIP ;cause=200 ;text=x", (200, "x")),
        ("Q.850;cause=many", (0, "")),
        ("", (0, "")),
    ],
)
def test_reasons(reason: str, read: tuple[int, str]) -> None:
    assert reason_of(Headers([("Reason", reason)] if reason else [])) == read


@pytest.mark.parametrize(("value", "seconds"), [("120", 120), ("18 (in a meeting)", 18), ("5;duration=9", 5), ("x", 0)])
def test_retry_after(value: str, seconds: int) -> None:
    assert retry_after(Headers([("Retry-After", value)])) == seconds
