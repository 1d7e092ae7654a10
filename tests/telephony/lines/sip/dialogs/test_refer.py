"""Transfers: ours, cold and attended, as Asterisk, baresip and trunks report on them; and the peer's."""

import pytest

from telephony.lines.exceptions import CommandError
from telephony.lines.sip.dialogs.events import Acked, Ended, Invited, Referred, Refused, TransferProgress
from telephony.lines.sip.dialogs.invite_dialog import Call
from telephony.lines.sip.dialogs.refer import status_of
from telephony.lines.sip.syntax.header import unescape
from telephony.lines.sip.syntax.message import Request, Response
from tests.telephony.lines.sip.peer import OURS, Bench, ack, answer_to, invite, statuses, up, within


def called(**config: object) -> tuple[Bench, Call, Response]:
    bench = Bench(**config)
    bench.give(invite())
    call = bench.call(Invited)
    call.accept(OURS, bench.now)
    (ok,) = bench.take()
    assert isinstance(ok, Response)
    bench.give(ack(ok))
    bench.told(Acked)
    return bench, call, ok


def notify(ok: Response, sequence: int, status: str, state: str = "active", event: str = "refer") -> Request:
    """As Asterisk reports it."""
    add = f"Event: {event}\nSubscription-State: {state}\nContent-Type: message/sipfrag;version=2.0\n"
    return within("NOTIFY", ok, sequence, f"z9hG4bK-n{sequence}", f"SIP/2.0 {status}\r\n".encode(), add)


def refer(bench: Bench, call: Call, target: str | Call = "sip:+15559998888@trunk.example.com") -> Request:
    call.refer(target, bench.now)
    (sent,) = bench.take()
    assert isinstance(sent, Request)
    return sent


# ---- ours ----


def test_cold() -> None:
    bench, call, ok = called()
    sent = refer(bench, call)
    assert sent.headers.get("Refer-To") == "<sip:+15559998888@trunk.example.com>"
    assert sent.headers.get("Referred-By") == "<sip:1000@10.0.0.1:5060>"
    with pytest.raises(CommandError, match="already"):
        call.refer("sip:other@x", bench.now)
    assert bench.give(answer_to(sent, 202)) == []
    for n, (status, state, final) in enumerate(
        [("100 Trying", "active;expires=60", False), ("180 Ringing", "active", False), ("200 OK", "terminated", True)]
    ):
        assert statuses(bench.give(notify(ok, 2 + n, status, state))) == [200]
        told = bench.told(TransferProgress)
        assert (told.status, told.final) == (int(status[:3]), final)
    assert statuses(bench.give(notify(ok, 9, "200 OK", "terminated"))) == [200]  # once is enough
    bench.untold(TransferProgress)
    call.hang_up(bench.now)
    bench.run(90_000)
    bench.told(Ended)
    assert bench.ua.idle


def test_notify_before_the_202() -> None:
    bench, call, ok = called()
    sent = refer(bench, call)
    assert statuses(bench.give(notify(ok, 2, "200 OK", "terminated;reason=noresource"))) == [200]
    bench.told(TransferProgress)
    bench.give(answer_to(sent, 202))
    bench.untold(TransferProgress)


@pytest.mark.parametrize("status", [403, 405, 501, 603])
def test_refused(status: int) -> None:
    """Twilio: 403 unless REFER is enabled for the trunk. The call goes on, and may try again."""
    bench, call, _ = called()
    bench.give(answer_to(refer(bench, call), status))
    told = bench.told(TransferProgress)
    assert (told.status, told.final) == (status, True)
    assert call.up
    refer(bench, call)


def test_target_does_not_answer() -> None:
    bench, call, ok = called()
    bench.give(answer_to(refer(bench, call), 202))
    bench.give(notify(ok, 2, "486 Busy Here", "terminated"))
    told = bench.told(TransferProgress)
    assert (told.status, told.final, call.up) == (486, True, True)


def test_peer_that_tells_nothing() -> None:
    bench, call, _ = called()
    bench.give(answer_to(refer(bench, call), 202))
    bench.run(120_000)
    told = bench.told(TransferProgress)
    assert (told.status, told.final) == (0, True)


def test_attended() -> None:
    """The caller's phone is given the other call's peer, with the escaped identifiers of our dialog."""
    bench, call, _ = called()
    consulted, _, _ = up(bench)
    sent = refer(bench, call, consulted)
    target = sent.headers.get("Refer-To")
    assert target.startswith("<sip:bob@10.0.0.2:5070?Replaces=")
    call_id, theirs, ours = consulted.dialog.id[0], consulted.dialog.id[2], consulted.dialog.id[1]
    assert unescape(target).endswith(f"?Replaces={call_id};to-tag={theirs};from-tag={ours}>")
    assert ";" not in target
    consulted.hang_up(bench.now)
    bench.take()
    with pytest.raises(CommandError):
        call.refer(consulted, bench.now)


@pytest.mark.parametrize("target", ["tel:+15559998888", "nonsense", "sip:a@b\r\nX: y", "sip:a@b>;x=<sip:c"])
def test_bad_targets(target: str) -> None:
    bench, call, _ = called()
    with pytest.raises(ValueError):
        call.refer(target, bench.now)
    assert bench.take() == []
    refer(bench, call)


def test_notify_that_nobody_asked_for() -> None:
    bench, _, ok = called()
    assert statuses(bench.give(notify(ok, 2, "200 OK"))) == [481]
    (refusal,) = bench.give(notify(ok, 3, "x", event="message-summary"))
    assert isinstance(refusal, Response)
    assert (refusal.status, refusal.headers.get("Allow-Events")) == (489, "refer")


def test_bye_in_a_transfer() -> None:
    bench, call, ok = called()
    bench.give(answer_to(refer(bench, call), 202))
    bench.give(within("BYE", ok, 2, "z9hG4bK-bye"))
    bench.told(Ended)
    bench.run(200_000)
    bench.untold(TransferProgress)
    assert bench.ua.idle


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"SIP/2.0 180 Ringing\r\n", 180), (b"sip/2.0 200", 200), (b"", 0), (b"200 OK", 0), (b"SIP/2.0 2x0 OK", 0)],
)
def test_sipfrag(body: bytes, status: int) -> None:
    assert status_of(body) == status


# ---- theirs ----


def wish(ok: Response, sequence: int = 2, to: str = "<sip:premium@evil.example.com>") -> Request:
    return within("REFER", ok, sequence, f"z9hG4bK-r{sequence}", add=f"Refer-To: {to}\n" if to else "")


def test_declined_unless_allowed() -> None:
    """Toll fraud: a caller must not make us call others."""
    bench, _, ok = called()
    assert statuses(bench.give(wish(ok))) == [603]
    bench.untold(Referred)
    assert bench.told(Refused).why == "transfers asked for by peers are not allowed"


def test_allowed() -> None:
    bench, call, ok = called(allow_refer=True)
    assert bench.give(wish(ok)) == []
    assert bench.told(Referred).target == "sip:premium@evil.example.com"
    assert statuses(bench.give(wish(ok, 3))) == [491]
    call.accept_refer(bench.now)
    accepted, trying = bench.take()
    assert isinstance(accepted, Response)
    assert isinstance(trying, Request)
    assert (accepted.status, trying.method, trying.body) == (202, "NOTIFY", b"SIP/2.0 100 Trying\r\n")
    assert (trying.headers.get("Event"), trying.headers.get("Content-Type")) == ("refer", "message/sipfrag")
    assert trying.headers.get("Subscription-State").startswith("active")
    bench.give(answer_to(trying, 200))
    call.tell_refer(200, bench.now)
    (done,) = bench.take()
    assert isinstance(done, Request)
    assert (done.body, done.headers.get("Subscription-State")) == (
        b"SIP/2.0 200 OK\r\n",
        "terminated;reason=noresource",
    )
    with pytest.raises(CommandError):
        call.tell_refer(200, bench.now)
    with pytest.raises(CommandError):
        call.accept_refer(bench.now)


def test_refused_by_the_call_layer() -> None:
    bench, call, ok = called(allow_refer=True)
    bench.give(wish(ok))
    call.refuse_refer(603, bench.now)
    assert statuses(bench.take()) == [603]
    bench.give(wish(ok, 3))
    assert statuses(m for _, m in bench.run(20_000)) == [603]  # or when it says nothing


def test_call_that_ends_meanwhile() -> None:
    bench, call, ok = called(allow_refer=True)
    bench.give(wish(ok))
    assert sorted(statuses(bench.give(within("BYE", ok, 3, "z9hG4bK-bye")))) == [200, 487]
    with pytest.raises(CommandError):
        call.accept_refer(bench.now)
    bench.run(40_000)
    assert bench.ua.idle


@pytest.mark.parametrize("to", ["", "<sip:a@b>, <sip:c@d>", "<nonsense"])
def test_bad_wishes(to: str) -> None:
    bench, _, ok = called(allow_refer=True)
    assert statuses(bench.give(wish(ok, to=to))) == [400]
