"""Provisional answers that are acknowledged (RFC 3262), both ways."""

from typing import Any

import pytest

from telephony.lines.sip.dialogs.events import Acked, Answered, Cause, Ended, Invited, Progress
from telephony.lines.sip.dialogs.provisional import MOST_EARLY
from telephony.lines.sip.dialogs.uas import UasCall
from telephony.lines.sip.syntax.message import Message, Request, Response, sequence_of
from telephony.lines.sip.transactions.answers import Refusal
from tests.telephony.lines.sip.peer import (
    OURS,
    SDP,
    Bench,
    ack,
    answer_to,
    dial,
    invite,
    message,
    methods,
    statuses,
    within,
)

# ---- ours ----


def ringing(**more: Any) -> tuple[Bench, UasCall, Response]:
    """A caller who requires it, and our first answer of that kind."""
    bench = Bench()
    assert statuses(bench.give(invite(add="Require: 100rel\n", **more))) == [100]
    call = bench.call(Invited)
    call.ringing(bench.now)
    (answer,) = bench.take()
    assert isinstance(answer, Response)
    return bench, call, answer


def prack(answer: Response, sequence: int = 2, rack: str = "", **more: Any) -> Request:
    rack = rack or f"{answer.headers.get('RSeq')} 1 INVITE"
    return within("PRACK", answer, sequence, f"z9hG4bK-prack{sequence}", add=f"RAck: {rack}\n", **more)


def test_it_is_sent_again_until_its_prack() -> None:
    bench, call, answer = ringing()
    assert (answer.status, answer.headers.get("Require")) == (180, "100rel")
    assert 1 <= int(answer.headers.get("RSeq")) < 2**31
    again = bench.run(4000)
    assert [ms for ms, _ in again] == [500, 1500, 3500]
    assert all(sent == answer for _, sent in again)
    assert statuses(bench.give(prack(answer))) == [200]
    assert bench.run(20_000) == []
    call.accept(OURS, bench.now)
    (ok,) = bench.take()
    assert isinstance(ok, Response)
    assert bench.give(ack(ok)) == []
    bench.told(Acked)


def test_answered_before_the_prack() -> None:
    """It held no SDP, so nobody waits for it; a late one is taken all the same."""
    bench, call, answer = ringing()
    call.accept(OURS, bench.now)
    (ok,) = bench.take()
    assert isinstance(ok, Response)
    bench.give(ack(ok))
    assert bench.run(3000) == []
    assert statuses(bench.give(prack(answer))) == [200]
    assert statuses(bench.give(prack(answer))) == [200]  # the same one again
    assert statuses(bench.give(prack(answer, 3))) == [481]
    assert call.up


def test_the_next_one_waits_for_the_prack_of_the_last() -> None:
    bench, call, first = ringing()
    call.progress(181, bench.now)
    call.progress(183, bench.now)
    assert bench.take() == []
    ok, second = bench.give(prack(first))
    assert isinstance(second, Response)
    assert statuses([ok, second]) in ([200, 183], [183, 200])
    newer = next(m for m in (ok, second) if isinstance(m, Response) and m.status == 183)
    assert int(newer.headers.get("RSeq")) == int(first.headers.get("RSeq")) + 1
    assert statuses(bench.give(prack(newer, 3))) == [200]


@pytest.mark.parametrize("rack", ["1 1 INVITE", "{} 2 INVITE", "{} 1 BYE", "{}", "x y z", ""])
def test_a_prack_of_something_else(rack: str) -> None:
    bench, _, answer = ringing()
    wrong = prack(answer, rack=rack.format(answer.headers.get("RSeq")) or "-")
    assert statuses(bench.give(wrong)) == [481]
    assert 180 in statuses(m for _, m in bench.run(1000))  # still sent again


def test_a_prack_with_an_offer_that_nobody_could_answer() -> None:
    bench, _, answer = ringing()
    wrong = prack(answer, body=SDP)
    wrong.headers.add("Content-Type", "application/sdp")
    assert statuses(bench.give(wrong)) == [488]


def test_it_is_never_acknowledged() -> None:
    bench, _, _ = ringing()
    assert statuses(m for _, m in bench.run(32_000))[-1] == 504
    assert bench.told(Ended).cause is Cause.UNACKNOWLEDGED
    bench.run(33_000)
    assert bench.ua.idle


@pytest.mark.parametrize("ending", ["cancel", "bye", "reject", "hang up"])
def test_the_call_ends_before(ending: str) -> None:
    bench, call, answer = ringing()
    if ending == "cancel":
        cancel = invite(body=b"", without="Content-Type")
        cancel.method = "CANCEL"
        cancel.headers.set("CSeq", "1 CANCEL")
        assert statuses(bench.give(cancel)) == [200, 487]
    elif ending == "bye":
        assert statuses(bench.give(within("BYE", answer, 2, "z9hG4bK-bye"))) == [200, 487]
    elif ending == "reject":
        call.reject(Refusal(486, "busy"), bench.now)
    else:
        call.hang_up(bench.now)
    bench.take()
    assert 180 not in statuses(m for _, m in bench.run(40_000))
    assert bench.ua.idle


def test_where_our_offer_would_have_to_be_in_it_nothing_rings() -> None:
    bench = Bench()
    bench.give(invite(body=b"", without="Content-Type", add="Require: 100rel\n"))
    call = bench.call(Invited)
    call.ringing(bench.now)
    assert bench.take() == []
    call.accept(OURS, bench.now)
    assert statuses(bench.take()) == [200]


def test_who_only_supports_it_is_told_as_ever() -> None:
    bench = Bench()
    bench.give(invite(add="Supported: 100rel\n"))
    call = bench.call(Invited)
    call.ringing(bench.now)
    (answer,) = bench.take()
    assert "RSeq" not in answer.headers
    assert bench.run(10_000) == []
    assert statuses(bench.give(prack(answer, rack="1 1 INVITE"))) == [481]  # type: ignore[arg-type]


# ---- theirs ----


def rings(sent: Request, number: int, status: int = 183, **more: Any) -> Response:
    return answer_to(sent, status, add=[("Require", "100rel"), ("RSeq", str(number))], **more)


def acked(messages: list[Message]) -> Request:
    (request,) = messages
    assert isinstance(request, Request)
    assert request.method == "PRACK"
    return request


def test_our_prack() -> None:
    bench = Bench()
    call, sent = dial(bench)
    assert "100rel" in sent.headers.all("Supported")
    assert "PRACK" in sent.headers.all("Allow")
    first = rings(sent, 7, body=SDP)
    request = acked(bench.give(first))
    assert request.headers.get("RAck") == f"7 {sequence_of(sent)} INVITE"
    assert (request.uri, sequence_of(request)) == ("sip:bob@10.0.0.2:5070", sequence_of(sent) + 1)
    assert bench.told(Progress).body == SDP
    assert bench.give(first) == []  # once more: the PRACK is sent again by itself
    bench.untold(Progress)
    bench.give(answer_to(request, 200))
    second = acked(bench.give(rings(sent, 8, 180)))
    assert second.headers.get("RAck") == f"8 {sequence_of(sent)} INVITE"
    assert bench.give(rings(sent, 10, 180)) == []  # number 9 is on its way
    bench.give(answer_to(second, 200))
    (ack,) = bench.give(answer_to(sent, 200))  # without SDP: the answer was in the 183
    assert methods([ack]) == ["ACK"]
    assert bench.told(Answered).body == SDP
    call.hang_up(bench.now)
    (bye,) = bench.take()
    assert isinstance(bye, Request)
    assert sequence_of(bye) == sequence_of(second) + 1  # the dialog goes on counting
    bench.give(answer_to(bye, 200))
    bench.run(40_000)
    assert bench.ua.idle


def test_phones_that_ring_at_once_have_a_prack_each() -> None:
    bench = Bench()
    _, sent = dial(bench)
    for n in range(MOST_EARLY + 2):
        out = bench.give(rings(sent, 1 + n, tag=f"phone{n}"))
        assert methods(out) == (["PRACK"] if n < MOST_EARLY else [])
    ok = answer_to(sent, 200, tag="phone3", body=OURS)
    assert methods(bench.give(ok)) == ["ACK"]
    assert bench.told(Answered).body == OURS


@pytest.mark.parametrize("number", ["", "x", "-1", str(2**33)])
def test_one_that_cannot_be_acknowledged_is_told_as_ever(number: str) -> None:
    bench = Bench()
    _, sent = dial(bench)
    assert bench.give(answer_to(sent, 180, add=[("Require", "100rel"), *([("RSeq", number)] if number else [])])) == []
    assert bench.told(Progress).status == 180


def test_a_prack_that_is_refused_changes_nothing() -> None:
    bench = Bench()
    _, sent = dial(bench)
    request = acked(bench.give(rings(sent, 1)))
    assert bench.give(answer_to(request, 481)) == []
    assert bench.ua.calls


def update(sent: Request, sequence: int = 1, body: bytes = b"", method: str = "UPDATE", tag: str = "them") -> Request:
    """In the dialog that rings."""
    return message(
        f"""
{method} sip:voxline@10.0.0.1:5060 SIP/2.0
Via: SIP/2.0/UDP 10.0.0.2:5070;branch=z9hG4bK-{method}{sequence}{tag};rport
From: {sent.headers.get("To")};tag={tag}
To: {sent.headers.get("From")}
Call-ID: {sent.headers.get("Call-ID")}
CSeq: {sequence} {method}
Contact: <sip:bob@10.0.0.9:5099>
Content-Type: application/sdp
""",
        body,
    )


def test_requests_of_a_ringing_phone() -> None:
    """Asterisk tells of the connected line by UPDATE: a 481 would be the end of the call."""
    bench = Bench()
    call, sent = dial(bench)
    bench.give(rings(sent, 7, body=SDP))
    assert statuses(bench.give(update(sent))) == [200]
    assert statuses(bench.give(update(sent, 2, method="OPTIONS"))) == [200]
    assert statuses(bench.give(update(sent, 3, SDP))) == [488]
    assert statuses(bench.give(update(sent, 4, method="INFO"))) == [491]
    assert statuses(bench.give(update(sent, 5, tag="nobody"))) == [481]
    second = acked(bench.give(rings(sent, 8, 180)))
    assert second.uri == "sip:bob@10.0.0.9:5099"  # it has moved
    assert methods(bench.give(answer_to(sent, 200))) == ["ACK"]
    assert statuses(bench.give(update(sent, 4))) == [500]  # its requests go on counting
    assert statuses(bench.give(update(sent, 6))) == [200]
    assert call.up


def test_nothing_is_left_of_a_ringing_phone() -> None:
    bench = Bench()
    call, sent = dial(bench)
    for n in range(3):
        (request,) = bench.give(rings(sent, 1, tag=f"phone{n}"))
        bench.give(answer_to(request, 200))  # type: ignore[arg-type]
    call.hang_up(bench.now)
    bench.take()
    bench.give(answer_to(sent, 487))
    bench.run(70_000)
    assert bench.ua.idle
