"""Inbound calls, as sipp, Kamailio and phones make them: answered, given up, turned away."""

import pytest

from telephony.lines.exceptions import CommandError
from telephony.lines.sip.dialogs.events import Acked, Cause, Ended, Invited, Refused
from telephony.lines.sip.syntax.message import Request, Response
from telephony.lines.sip.transactions.answers import Refusal
from tests.telephony.lines.sip.peer import (
    OURS,
    OVER_TCP,
    SDP,
    THEM,
    Bench,
    ack,
    answered,
    invite,
    methods,
    statuses,
    within,
)


def test_call_as_sipp_makes_it() -> None:
    bench = Bench()
    assert statuses(bench.give(invite())) == [100]
    invited = bench.told(Invited)
    assert invited.body == SDP
    assert invited.source == THEM
    call = bench.ua.inbound(invited.call)
    call.ringing(bench.now)
    (ringing,) = bench.take()
    call.accept(OURS, bench.now)
    (ok,) = bench.take()
    assert isinstance(ringing, Response)
    assert isinstance(ok, Response)
    assert (ringing.status, ringing.body, ok.status, ok.body) == (180, b"", 200, OURS)
    assert ringing.headers.get("To") == ok.headers.get("To") == "<sip:1000@10.0.0.1:5060>;tag=t3"
    assert ok.headers.get("Contact") == "<sip:voxline@10.0.0.1:5060>"
    assert ok.headers.get("Content-Type") == "application/sdp"
    assert bench.give(ack(ok)) == []
    assert bench.told(Acked).body == b""
    assert statuses(bench.give(within("BYE", ok, 2, "z9hG4bK-bye", add='Reason: Q.850;cause=16;text="Normal"\n'))) == [
        200
    ]
    ended = bench.told(Ended)
    assert (ended.call, ended.cause, ended.status, ended.reason) == (call.id, Cause.REMOTE, 16, "Normal")
    bench.run(32_000)
    assert bench.ua.idle


def test_retransmitted_invite_is_one_call_with_one_tag() -> None:
    """Kamailio and a lossy line: the same INVITE three times, while it rings and after the 200."""
    bench = Bench()
    bench.give(invite())
    call = bench.call(Invited)
    assert statuses(bench.give(invite())) == [100]
    call.ringing(bench.now)
    (ringing,) = bench.take()
    assert bench.give(invite()) == [ringing]
    call.accept(OURS, bench.now)
    (ok,) = bench.take()
    assert bench.give(invite()) == [ok]
    bench.untold(Invited)
    assert len(bench.ua.calls) == 1


def test_200_is_sent_until_its_ack_even_over_tcp() -> None:
    for source in (THEM, OVER_TCP):
        bench = Bench(source)
        ok = answered(bench)
        sent = bench.run(31_000)
        assert [ms for ms, _ in sent] == [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500]
        assert all(response == ok for _, response in sent)
        bench.give(ack(ok))
        bench.told(Acked)
        assert bench.run(40_000) == []


def test_no_ack_ends_the_call_with_a_bye() -> None:
    bench = Bench()
    answered(bench)
    sent = bench.run(32_000)
    assert methods([sent[-1][1]]) == ["BYE"]
    assert bench.told(Ended).cause is Cause.UNACKNOWLEDGED
    bench.run(70_000)
    bench.untold(Ended)
    assert bench.ua.idle


def test_ack_of_a_2xx_is_found_by_its_dialog() -> None:
    """Also with the INVITE's own branch, as careless phones send it; never by a wrong tag or CSeq."""
    bench = Bench()
    ok = answered(bench)
    wrong = ack(ok)
    wrong.headers.set("To", "<sip:1000@10.0.0.1:5060>;tag=other")
    bench.give(wrong)
    bench.give(ack(ok, sequence=2))
    bench.untold(Acked)
    bench.give(ack(ok, branch="z9hG4bK-1"))
    bench.told(Acked)


def test_late_offer() -> None:
    """Cisco and Asterisk may call without SDP: ours is the offer, theirs comes with the ACK."""
    bench = Bench()
    bench.give(invite(body=b"", without="Content-Type"))
    invited = bench.told(Invited)
    assert invited.body == b""
    bench.ua.inbound(invited.call).accept(OURS, bench.now)
    (ok,) = bench.take()
    assert isinstance(ok, Response)
    bench.give(ack(ok, body=SDP))
    assert bench.told(Acked).body == SDP


def test_cancel_while_ringing() -> None:
    bench = Bench()
    bench.give(invite())
    call = bench.call(Invited)
    call.ringing(bench.now)
    (ringing,) = bench.take()
    assert isinstance(ringing, Response)
    cancel = invite(without="Contact", body=b"")
    cancel.method = "CANCEL"
    cancel.headers.set("CSeq", "1 CANCEL")
    cancel.headers.add("Reason", 'SIP;cause=200;text="Call completed elsewhere"')
    out = bench.give(cancel)
    assert [(r.status, r.headers.get("CSeq")) for r in out if isinstance(r, Response)] == [
        (200, "1 CANCEL"),
        (487, "1 INVITE"),
    ]
    assert {r.headers.get("To") for r in out} == {ringing.headers.get("To")}
    ended = bench.told(Ended)
    assert (ended.cause, ended.reason) == (Cause.CANCELLED, "Call completed elsewhere")
    assert [ms for ms, _ in bench.run(4000)] == [500, 1500, 3500]
    refusal = ack(ringing, branch="z9hG4bK-1")
    bench.give(refusal)
    assert bench.run(40_000) == []
    assert bench.ua.idle
    with pytest.raises(CommandError, match="over"):
        call.accept(OURS, bench.now)
    call.hang_up(bench.now)
    assert bench.take() == []


def test_cancel_after_the_answer_changes_nothing() -> None:
    bench = Bench()
    ok = answered(bench)
    cancel = invite(without="Contact", body=b"")
    cancel.method = "CANCEL"
    cancel.headers.set("CSeq", "1 CANCEL")
    assert statuses(bench.give(cancel)) == [200]
    bench.untold(Ended)
    bench.give(ack(ok))
    bench.told(Acked)


def test_cancel_of_nothing() -> None:
    bench = Bench()
    cancel = invite(branch="z9hG4bK-other", without="Contact", body=b"")
    cancel.method = "CANCEL"
    cancel.headers.set("CSeq", "1 CANCEL")
    assert statuses(bench.give(cancel)) == [481]
    assert bench.told(Refused).why == "CANCEL of nothing"
    assert bench.ua.idle


@pytest.mark.parametrize(("status", "retry"), [(486, 0), (488, 0), (603, 0), (503, 30)])
def test_rejected(status: int, retry: int) -> None:
    bench = Bench()
    bench.give(invite())
    headers = (("Retry-After", str(retry)),) if retry else ()
    bench.call(Invited).reject(Refusal(status, "not now", headers), bench.now)
    (refusal,) = bench.take()
    assert isinstance(refusal, Response)
    assert refusal.status == status
    assert refusal.headers.get("Retry-After") == (str(retry) if retry else "")
    assert bench.told(Ended).cause is Cause.REJECTED
    assert bench.told(Refused).status == status
    assert [ms for ms, _ in bench.run(8000)] == [500, 1500, 3500, 7500]
    assert bench.give(invite()) == [refusal]
    bench.give(ack(refusal, branch="z9hG4bK-1"))
    assert bench.give(invite()) == []  # absorbed: the caller has it
    assert bench.run(5000) == []
    assert bench.ua.idle


def test_rejection_over_tcp_is_sent_once() -> None:
    bench = Bench(OVER_TCP)
    bench.give(invite())
    bench.call(Invited).reject(Refusal(486, "busy"), bench.now)
    assert statuses(bench.take()) == [486]
    assert bench.run(33_000) == []
    assert bench.ua.idle


def test_nobody_accepts() -> None:
    bench = Bench(answer_ms=5000)
    bench.give(invite())
    sent = bench.run(5000)
    assert statuses(r for _, r in sent) == [480]
    assert bench.told(Ended).cause is Cause.UNANSWERED


def test_bye_before_the_answer() -> None:
    bench = Bench()
    bench.give(invite())
    call = bench.call(Invited)
    call.ringing(bench.now)
    (ringing,) = bench.take()
    assert isinstance(ringing, Response)
    assert statuses(bench.give(within("BYE", ringing, 2, "z9hG4bK-bye"))) == [200, 487]
    assert bench.told(Ended).cause is Cause.CANCELLED


def test_hang_up() -> None:
    bench = Bench()
    ok = answered(bench)
    bench.give(ack(ok))
    call = bench.call(Acked)
    call.hang_up(bench.now)
    (bye,) = bench.take()
    assert isinstance(bye, Request)
    assert bye.uri == "sip:+15551230000@10.0.0.2:5070"
    assert bye.headers.get("From") == ok.headers.get("To")
    assert bye.headers.get("To") == ok.headers.get("From")
    assert bench.told(Ended).cause is Cause.LOCAL
    assert [ms for ms, _ in bench.run(16_000)] == [500, 1500, 3500, 7500, 11500, 15500]
    call.hang_up(bench.now)
    assert bench.take() == []
    bench.run(90_000)
    assert bench.ua.idle


def test_hang_up_waits_for_the_ack() -> None:
    """15: no BYE before the ACK of the 200, or it would overtake it."""
    bench = Bench()
    ok = answered(bench)
    (call,) = bench.ua.calls
    call.hang_up(bench.now)
    assert bench.take() == []
    assert bench.told(Ended).cause is Cause.LOCAL
    assert statuses(r for _, r in bench.run(600)) == [200]
    assert methods(bench.give(ack(ok))) == ["BYE"]
    bench.run(90_000)
    bench.untold(Ended)
    assert bench.ua.idle


def test_byes_that_cross() -> None:
    bench = Bench()
    ok = answered(bench)
    bench.give(ack(ok))
    bench.call(Acked).hang_up(bench.now)
    bench.take()
    assert statuses(bench.give(within("BYE", ok, 2, "z9hG4bK-bye"))) == [200]
    bench.told(Ended)
    bench.run(90_000)
    bench.untold(Ended)
    assert bench.ua.idle
