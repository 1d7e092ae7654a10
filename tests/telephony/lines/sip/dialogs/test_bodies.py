"""Bodies of several parts, in every message that may hold SDP: the SDP is taken, what is optional is ignored."""

import pytest

from telephony.lines.sip.dialogs.events import Acked, Answered, Info, Invited, Reanswered, Refused, Reinvited
from telephony.lines.sip.syntax.message import Request, Response
from tests.telephony.lines.sip.peer import (
    OPTIONAL,
    OURS,
    SDP,
    Bench,
    ack,
    answer_to,
    answered,
    dial,
    invite,
    methods,
    mixed,
    statuses,
    up,
    within,
)

KIND, BODY = mixed(OPTIONAL)
REQUIRED = mixed("Content-Disposition: signal;handling=required"), mixed()


def same(found: bytes) -> None:
    assert found.rstrip() == SDP.rstrip()


def called() -> tuple[Bench, Response]:
    bench = Bench()
    ok = answered(bench)
    bench.give(ack(ok))
    bench.told(Acked)
    return bench, ok


def test_invite() -> None:
    bench = Bench()
    assert statuses(bench.give(invite(body=BODY, Content_Type=KIND))) == [100]
    same(bench.told(Invited).body)


@pytest.mark.parametrize(("kind", "body"), REQUIRED)
def test_invite_with_a_part_that_is_required(kind: str, body: bytes) -> None:
    bench = Bench()
    (refusal,) = bench.give(invite(body=body, Content_Type=kind))
    assert isinstance(refusal, Response)
    assert (refusal.status, refusal.headers.all("Accept")) == (415, ["application/sdp", "multipart/mixed"])
    assert bench.told(Refused).status == 415


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_offer_in_a_call(method: str) -> None:
    bench, ok = called()
    wrong = within(method, ok, 2, "z9hG4bK-2", REQUIRED[0][1], f"Content-Type: {KIND}\n")
    assert statuses(bench.give(wrong)) == [415]
    bench.give(within(method, ok, 3, "z9hG4bK-3", BODY, f"Content-Type: {KIND}\n"))
    reinvited = bench.told(Reinvited)
    same(reinvited.body)
    bench.ua.call(reinvited.call).answer_reinvite(OURS, bench.now)
    assert statuses(bench.take()) == [200]


def test_reinvite_whose_only_part_is_optional_has_no_offer() -> None:
    """It asks for ours, and the answer comes with the ACK."""
    bench, ok = called()
    add = f"Content-Type: application/isup\n{OPTIONAL}\n"
    bench.give(within("INVITE", ok, 2, "z9hG4bK-2", b"\x01", add))
    reinvited = bench.told(Reinvited)
    assert reinvited.body == b""
    bench.ua.call(reinvited.call).answer_reinvite(OURS, bench.now)
    (answer,) = bench.take()
    assert isinstance(answer, Response)
    acked = ack(answer, body=BODY, sequence=2)
    acked.headers.set("Content-Type", KIND)
    bench.give(acked)
    same(bench.told(Acked).body)


def test_answer_to_our_invite() -> None:
    bench = Bench()
    _, sent = dial(bench)
    ok = answer_to(sent, 200, body=BODY)
    ok.headers.set("Content-Type", KIND)
    assert methods(bench.give(ok)) == ["ACK"]
    same(bench.told(Answered).body)


def test_answer_to_our_reinvite() -> None:
    bench = Bench()
    call, _, _ = up(bench)
    call.reinvite(OURS, bench.now)
    (sent,) = bench.take()
    assert isinstance(sent, Request)
    ok = answer_to(sent, 200, body=BODY)
    ok.headers.set("Content-Type", KIND)
    bench.give(ok)
    same(bench.told(Reanswered).body)


@pytest.mark.parametrize(
    ("add", "body", "status"),
    [
        (f"Content-Type: application/isup\n{OPTIONAL}\n", b"\x01", 200),
        ("Content-Type: application/isup\n", b"\x01", 415),
        ("Content-Type: multipart/mixed\n", b"\x01", 400),
    ],
)
def test_info_of_something_else(add: str, body: bytes, status: int) -> None:
    bench, ok = called()
    assert statuses(bench.give(within("INFO", ok, 2, "z9hG4bK-2", body, add))) == [status]
    bench.untold(Info)
