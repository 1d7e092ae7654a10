"""re-INVITE and UPDATE in a call: hold as baresip and Asterisk do it, glare, refusals."""

import pytest

from telephony.lines.exceptions import CommandError
from telephony.lines.sip.dialogs.events import (
    Acked,
    Answered,
    Cause,
    Ended,
    Invited,
    Reanswered,
    Reinvited,
    ReinviteWithdrawn,
)
from telephony.lines.sip.dialogs.invite_dialog import Call
from telephony.lines.sip.syntax.message import Request, Response
from telephony.lines.sip.transactions.answers import Refusal
from tests.telephony.lines.sip.peer import (
    OURS,
    SDP,
    Bench,
    ack,
    answer_to,
    answered,
    invite,
    methods,
    statuses,
    up,
    within,
)

HOLD = SDP + b"a=sendonly\r\n"


def called(**config: object) -> tuple[Bench, Call, Response]:
    """A bench in an inbound call."""
    bench = Bench(**config)
    bench.give(invite())
    call = bench.call(Invited)
    call.accept(OURS, bench.now)
    (ok,) = bench.take()
    assert isinstance(ok, Response)
    bench.give(ack(ok))
    bench.told(Acked)
    bench.run(33_000)
    return bench, call, ok


def reinvite(ok: Response, sequence: int = 2, body: bytes = HOLD, **more: str) -> Request:
    add = "Content-Type: application/sdp\n" if body else ""
    return within("INVITE", ok, sequence, f"z9hG4bK-re{sequence}", body, add + more.get("add", ""))


def offered(bench: Bench, call: Call) -> Request:
    call.reinvite(HOLD, bench.now)
    (sent,) = bench.take()
    assert isinstance(sent, Request)
    return sent


# ---- theirs ----


def test_hold() -> None:
    bench, call, ok = called()
    assert statuses(bench.give(reinvite(ok))) == [100]
    asked = bench.told(Reinvited)
    assert (asked.call, asked.body) == (call.id, HOLD)
    call.answer_reinvite(OURS, bench.now)
    (answer,) = bench.take()
    assert isinstance(answer, Response)
    assert (answer.status, answer.body, answer.headers.get("To")) == (200, OURS, ok.headers.get("To"))
    assert answer.headers.get("Contact") == "<sip:voxline@10.0.0.1:5060>"
    assert bench.give(reinvite(ok)) == [answer]
    assert [ms for ms, _ in bench.run(2000)] == [500, 1500]
    bench.give(ack(answer, sequence=2))
    bench.told(Acked)
    assert bench.run(30_000) == []
    with pytest.raises(CommandError, match="no offer"):
        call.answer_reinvite(OURS, bench.now)


def test_refused_offer_leaves_the_call_up() -> None:
    bench, call, ok = called()
    bench.give(reinvite(ok))
    call.refuse_reinvite(Refusal(488, "not now"), bench.now)
    assert statuses(bench.take()) == [488]
    assert call.up
    assert call.reinvites.sent_body == OURS


def test_offer_in_the_ack() -> None:
    bench, call, ok = called()
    bench.give(reinvite(ok, body=b""))
    assert bench.told(Reinvited).body == b""
    call.answer_reinvite(OURS, bench.now)
    (answer,) = bench.take()
    assert isinstance(answer, Response)
    bench.give(ack(answer, body=HOLD, sequence=2))
    assert bench.told(Acked).body == HOLD


def test_cancelled_offer() -> None:
    bench, call, ok = called()
    bench.give(reinvite(ok))
    cancel = reinvite(ok, body=b"")
    cancel.method = "CANCEL"
    cancel.headers.set("CSeq", "2 CANCEL")
    assert statuses(bench.give(cancel)) == [200, 487]
    bench.told(ReinviteWithdrawn)
    assert call.up
    with pytest.raises(CommandError):
        call.answer_reinvite(OURS, bench.now)


def test_call_layer_that_does_not_answer() -> None:
    bench, call, ok = called()
    bench.give(reinvite(ok))
    assert statuses(m for _, m in bench.run(20_000))[0] == 500
    bench.told(ReinviteWithdrawn)
    assert call.up


def test_second_offer_before_the_first_is_done() -> None:
    bench, call, ok = called()
    bench.give(reinvite(ok))
    (second,) = bench.give(reinvite(ok, 3))
    assert isinstance(second, Response)
    assert second.status == 500
    assert 0 <= int(second.headers.get("Retry-After")) <= 10
    call.answer_reinvite(OURS, bench.now)
    assert statuses(bench.take()) == [200]


def test_500_for_an_update_too_while_a_reinvite_waits() -> None:
    bench, _, ok = called()
    bench.give(reinvite(ok))
    (second,) = bench.give(within("UPDATE", ok, 3, "z9hG4bK-u", HOLD, "Content-Type: application/sdp\n"))
    assert isinstance(second, Response)
    assert (second.status, "Retry-After" in second.headers) == (500, True)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_new_offer_tells_that_our_last_answer_has_come_although_its_ack_has_not(method: str) -> None:
    """Hold, our 200, no ACK, and then it is taken off hold (RFC 3261 14.2, RFC 5407 3.1.5)."""
    bench, call, ok = called()
    bench.give(reinvite(ok))
    bench.told(Reinvited)
    call.answer_reinvite(OURS, bench.now)
    bench.run(2000)
    again = within(method, ok, 3, "z9hG4bK-again", SDP, "Content-Type: application/sdp\n")
    assert statuses(bench.give(again)) == ([100] if method == "INVITE" else [])
    assert bench.told(Acked).body == b""
    assert bench.told(Reinvited).body == SDP
    call.answer_reinvite(OURS, bench.now)
    (answer,) = bench.take()
    assert statuses([answer]) == [200]
    assert isinstance(answer, Response)
    bench.give(ack(answer, sequence=2))  # it was only late
    bench.untold(Acked)
    if method == "INVITE":
        bench.give(ack(answer, sequence=3))
        bench.told(Acked)
    assert bench.run(40_000) == []
    assert call.up


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_an_offer_overtakes_the_ack_of_the_first_invite(method: str) -> None:
    bench = Bench()
    ok = answered(bench)
    again = within(method, ok, 2, "z9hG4bK-again", HOLD, "Content-Type: application/sdp\n")
    assert statuses(bench.give(again)) == ([100] if method == "INVITE" else [])
    told = [type(event) for event in bench.events]
    assert told.index(Acked) < told.index(Reinvited)
    call = bench.call(Reinvited)
    call.answer_reinvite(OURS, bench.now)
    bench.take()
    bench.told(Acked)
    bench.give(ack(ok))
    bench.untold(Acked)
    assert call.up


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_an_offer_meets_ours_that_waits_for_the_ack(method: str) -> None:
    """Our 200 holds an offer, and the answer is to come with the ACK: two offers at once are glare."""
    bench, call, ok = called()
    bench.give(reinvite(ok, body=b""))
    call.answer_reinvite(OURS, bench.now)
    (ours,) = bench.take()
    again = within(method, ok, 3, "z9hG4bK-again", HOLD, "Content-Type: application/sdp\n")
    assert statuses(bench.give(again)) == [491]
    assert isinstance(ours, Response)
    bench.give(ack(ours, body=SDP, sequence=2))
    assert bench.told(Acked).body == SDP


@pytest.mark.parametrize("method", ["UPDATE", "INFO", "OPTIONS"])
def test_what_is_no_offer_tells_nothing_of_the_ack(method: str) -> None:
    bench, call, ok = called()
    bench.give(reinvite(ok))
    call.answer_reinvite(OURS, bench.now)
    bench.take()
    assert statuses(bench.give(within(method, ok, 3, "z9hG4bK-other"))) == [200]
    bench.untold(Acked)
    assert 200 in statuses(m for _, m in bench.run(2000))  # still sent again


def test_bye_while_an_offer_waits() -> None:
    bench, _, ok = called()
    bench.give(reinvite(ok))
    assert statuses(bench.give(within("BYE", ok, 3, "z9hG4bK-bye"))) == [200, 487]
    assert bench.told(Ended).cause is Cause.REMOTE
    bench.run(40_000)
    assert bench.ua.idle


def test_hang_up_while_an_offer_waits() -> None:
    bench, call, ok = called()
    bench.give(reinvite(ok))
    call.hang_up(bench.now)
    out = bench.take()
    assert (statuses(out), methods(out)) == ([487], ["BYE"])
    assert statuses(bench.give(reinvite(ok, 5))) == [481]
    bench.run(40_000)
    assert bench.ua.idle


def test_answer_that_is_never_acknowledged() -> None:
    bench, call, ok = called()
    bench.give(reinvite(ok))
    call.answer_reinvite(OURS, bench.now)
    assert methods([bench.run(32_000)[-1][1]]) == ["BYE"]
    assert bench.told(Ended).cause is Cause.UNACKNOWLEDGED


def test_foreign_body() -> None:
    bench, _, ok = called()
    wrong = within("INVITE", ok, 2, "z9hG4bK-re", b"<xml/>", "Content-Type: application/media_control+xml\n")
    assert statuses(bench.give(wrong)) == [415]


def test_update_with_and_without_an_offer() -> None:
    """Asterisk refreshes sessions by an UPDATE without a body, and may send an offer in one."""
    bench, call, ok = called()
    assert statuses(bench.give(within("UPDATE", ok, 2, "z9hG4bK-u1"))) == [200]
    bench.untold(Reinvited)
    bench.give(within("UPDATE", ok, 3, "z9hG4bK-u2", HOLD, "Content-Type: application/sdp\n"))
    assert bench.told(Reinvited).body == HOLD
    call.answer_reinvite(OURS, bench.now)
    (answer,) = bench.take()
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (200, OURS)
    assert bench.run(33_000) == []  # no ACK to wait for
    assert call.up


def test_the_peer_moves() -> None:
    bench, call, ok = called()
    update = within("UPDATE", ok, 2, "z9hG4bK-u1")
    update.headers.set("Contact", "<sip:ann@10.0.0.77:5099>")
    bench.give(update)
    call.hang_up(bench.now)
    (bye,) = bench.take()
    assert isinstance(bye, Request)
    assert bye.uri == "sip:ann@10.0.0.77:5099"
    assert (bench.sent[-1].to.host, bench.sent[-1].to.port) == ("10.0.0.77", 5099)


# ---- ours ----


def test_reinvite() -> None:
    bench, call, _ = called()
    sent = offered(bench, call)
    assert (sent.method, sent.body, sent.headers.get("CSeq")) == ("INVITE", HOLD, "1 INVITE")
    with pytest.raises(CommandError, match="under way"):
        call.reinvite(OURS, bench.now)
    ok = answer_to(sent, 200, body=SDP)
    (acked,) = bench.give(ok)
    assert methods([acked]) == ["ACK"]
    assert (bench.told(Reanswered).status, call.reinvites.sent_body) == (200, HOLD)
    assert bench.give(ok) == [acked]
    bench.untold(Reanswered)


@pytest.mark.parametrize("status", [488, 415, 500, 603])
def test_refused_reinvite_changes_nothing(status: int) -> None:
    bench, call, _ = called()
    bench.give(answer_to(offered(bench, call), status))
    assert (bench.told(Reanswered).status, call.reinvites.sent_body) == (status, OURS)
    assert call.up
    assert not call.reinvites.busy


@pytest.mark.parametrize("status", [481, 408])
def test_peer_that_has_forgotten_the_call(status: int) -> None:
    """12.2.1.2: 481 and 408 end the call; a BYE is sent all the same."""
    bench, call, _ = called()
    assert methods(bench.give(answer_to(offered(bench, call), status))) == ["ACK", "BYE"]
    ended = bench.told(Ended)
    assert (ended.cause, ended.status) == (Cause.LOST, status)


def test_peer_that_is_gone() -> None:
    bench, call, _ = called()
    offered(bench, call)
    assert methods([bench.run(32_000)[-1][1]]) == ["BYE"]
    assert bench.told(Ended).cause is Cause.LOST
    bench.run(33_000)
    assert bench.ua.idle


@pytest.mark.parametrize("ours", [True, False])
def test_glare(ours: bool) -> None:
    """14.1: after 491 the owner of the Call-ID waits 2.1 to 4 s, the other side less than 2 s."""
    bench, call = Bench(), None
    if ours:
        call = up(bench)[0]
    else:
        bench, call, _ = called()
    waits = []
    sent = offered(bench, call)
    for _ in range(7):
        assert methods(bench.give(answer_to(sent, 491))) == ["ACK"]
        bench.untold(Reanswered)
        ((after, again),) = bench.run(bench.ua.next_ms - bench.now)
        assert isinstance(again, Request)
        sent = again
        waits.append(after)
    least, most = (2100, 4000) if ours else (0, 2000)
    assert all(least <= wait <= most and wait % 10 == 0 for wait in waits), waits
    assert len(set(waits)) > 3
    bench.give(answer_to(sent, 491))
    assert bench.told(Reanswered).status == 491  # some day it is enough


def test_their_offer_meets_ours() -> None:
    bench, call, ok = called()
    sent = offered(bench, call)
    assert statuses(bench.give(reinvite(ok))) == [491]
    assert statuses(bench.give(within("UPDATE", ok, 3, "z9hG4bK-u"))) == [200]  # without an offer it does no harm
    bench.give(answer_to(sent, 200, body=SDP))
    bench.told(Reanswered)


def test_reinvite_that_only_rings_is_given_up() -> None:
    bench, call, _ = called()
    sent = offered(bench, call)
    bench.give(answer_to(sent, 180))
    assert "CANCEL" in methods(m for _, m in bench.run(32_000))
    bench.give(answer_to(sent, 487))
    assert bench.told(Reanswered).status == 487
    assert call.up


def test_answer_after_the_call() -> None:
    """The 200 to our re-INVITE crosses our BYE: it is acknowledged, and nothing else happens."""
    bench, call, _ = called()
    sent = offered(bench, call)
    bench.give(answer_to(sent, 100, tag=""))
    call.hang_up(bench.now)
    assert methods(bench.take()) == ["CANCEL", "BYE"]
    assert methods(bench.give(answer_to(sent, 200, body=SDP))) == ["ACK"]
    bench.untold(Reanswered)
    bench.run(70_000)
    assert bench.ua.idle


def test_not_before_the_call_is_up() -> None:
    bench = Bench()
    bench.give(invite())
    call = bench.call(Invited)
    with pytest.raises(CommandError, match="ringing"):
        call.reinvite(HOLD, bench.now)
    bench.untold(Answered)
