"""Session timers, from both sides and with peers that do not know them."""

import pytest

from telephony.lines.sip.dialogs.events import Acked, Cause, Ended, Invited, Reanswered, Reinvited
from telephony.lines.sip.dialogs.invite_dialog import Call
from telephony.lines.sip.syntax.message import Request, Response
from tests.telephony.lines.sip.peer import OURS, SDP, Bench, ack, answer_to, dial, invite, methods, statuses, up, within

KNOWS = "Supported: timer, replaces\n"


def called(bench: Bench, add: str) -> tuple[Call, Response]:
    bench.give(invite(add=add))
    call = bench.call(Invited)
    call.accept(OURS, bench.now)
    (ok,) = bench.take()
    assert isinstance(ok, Response)
    bench.give(ack(ok))
    bench.told(Acked)
    return call, ok


@pytest.mark.parametrize(
    ("add", "expires", "require"),
    [
        ("", "", ""),
        (KNOWS, "1800;refresher=uas", ""),
        (f"{KNOWS}Session-Expires: 600\n", "600;refresher=uac", "timer"),
        (f"{KNOWS}x: 600;refresher=uac\n", "600;refresher=uac", "timer"),
        (f"{KNOWS}Session-Expires: 600;refresher=uas\n", "600;refresher=uas", ""),
        (f"{KNOWS}Session-Expires: 7200\n", "1800;refresher=uac", "timer"),
        (f"{KNOWS}Session-Expires: 7200\nMin-SE: 3600\n", "3600;refresher=uac", "timer"),
        ("Session-Expires: 600;refresher=uac\n", "600;refresher=uas", ""),  # written by a proxy
        ("Session-Expires: 5\n", "90;refresher=uas", ""),  # a peer that would not understand a 422
        (f"{KNOWS}Session-Expires: soon\n", "1800;refresher=uas", ""),
    ],
)
def test_what_we_answer(add: str, expires: str, require: str) -> None:
    _, ok = called(Bench(), add)
    assert (ok.headers.get("Session-Expires"), ok.headers.get("Require")) == (expires, require)


def test_too_small() -> None:
    bench = Bench(min_session_s=120)
    (refusal,) = bench.give(invite(add=f"{KNOWS}Session-Expires: 90\n"))
    assert isinstance(refusal, Response)
    assert (refusal.status, refusal.headers.get("Min-SE")) == (422, "120")
    bench.untold(Invited)
    assert bench.ua.idle


def test_peer_refreshes_or_else() -> None:
    bench = Bench()
    _, ok = called(bench, f"{KNOWS}Session-Expires: 90;refresher=uac\n")
    for n in range(2, 12):
        assert bench.run(45_000) == []
        answers = bench.give(within("UPDATE", ok, n, f"z9hG4bK-{n}", add=f"{KNOWS}Session-Expires: 90;refresher=uac\n"))
        assert statuses(answers) == [200]
    ((after, bye),) = [sent for sent in bench.run(60_200) if methods([sent[1]])]
    assert (after, methods([bye])) == (60_000, ["BYE"])
    assert bench.told(Ended).cause is Cause.EXPIRED


def refresh(bench: Bench, ms: float) -> Request:
    """What we send when the time has come."""
    sent = bench.run(ms)
    assert [after for after, _ in sent] == [ms]
    assert isinstance(sent[0][1], Request)
    return sent[0][1]


def test_we_refresh_by_update() -> None:
    bench = Bench()
    call, _ = called(bench, f"{KNOWS}Session-Expires: 90;refresher=uas\nAllow: UPDATE\n")
    for _ in range(5):
        update = refresh(bench, 45_000)
        assert (update.method, update.body) == ("UPDATE", b"")
        assert update.headers.get("Session-Expires") == "90;refresher=uac"
        assert methods(bench.give(answer_to(update, 200, add=[("Session-Expires", "90;refresher=uac")]))) == []
    assert call.up
    update = refresh(bench, 45_000)
    assert methods(bench.give(answer_to(update, 481))) == ["BYE"]
    assert bench.told(Ended).cause is Cause.LOST


def test_we_refresh_by_reinvite_with_the_same_sdp() -> None:
    """sipp's Allow has no UPDATE."""
    bench = Bench()
    call, _ = called(bench, f"{KNOWS}Session-Expires: 90;refresher=uas\n")
    again = refresh(bench, 45_000)
    assert (again.method, again.body) == ("INVITE", OURS)
    granted = [("Session-Expires", "90;refresher=uac")]
    assert methods(bench.give(answer_to(again, 200, body=SDP, add=granted))) == ["ACK"]
    bench.untold(Reanswered)  # nobody asked for it
    assert call.up
    again = refresh(bench, 45_000)
    bench.give(answer_to(again, 491))
    assert methods(m for _, m in bench.run(2000))[:1] == ["INVITE"]


def test_update_that_is_not_served_becomes_a_reinvite() -> None:
    bench = Bench()
    called(bench, f"{KNOWS}Session-Expires: 90;refresher=uas\nAllow: UPDATE\n")
    assert methods(bench.give(answer_to(refresh(bench, 45_000), 501))) == ["INVITE"]


def test_refresh_without_an_answer() -> None:
    bench = Bench()
    called(bench, f"{KNOWS}Session-Expires: 90;refresher=uas\nAllow: UPDATE\n")
    sent = methods(m for _, m in bench.run(77_000))
    assert "BYE" in sent
    assert bench.told(Ended).cause is Cause.EXPIRED  # 15 s after the first UPDATE, before it has timed out
    bench.run(70_000)
    assert bench.ua.idle


@pytest.mark.parametrize(
    ("granted", "sent"),
    [("", ""), ("120;refresher=uac", "INVITE"), ("120", "INVITE"), ("120;refresher=uas", ""), ("10;refresher=uac", "")],
)
def test_calls_that_we_make(granted: str, sent: str) -> None:
    """The answer says whether there is a session timer, and who refreshes; at most every 45 s."""
    bench = Bench()
    _, invited = dial(bench)
    assert invited.headers.get("Session-Expires") == "1800"
    add = [("Session-Expires", granted)] if granted else []
    bench.give(answer_to(invited, 200, body=SDP, add=add))
    bench.run(30_000)
    out = methods(m for _, m in bench.run(30_000))
    if granted.startswith("10"):
        assert out[:1] == ["INVITE"]
    else:
        assert out[:1] == ([sent] if sent else [])


def test_our_refresh_names_the_refresher() -> None:
    bench = Bench()
    call, invited, _ = up(bench)
    assert "refresher" not in invited.headers.get("Session-Expires")
    call.reinvite(SDP, bench.now)
    (again,) = bench.take()
    assert isinstance(again, Request)
    assert again.headers.get("Session-Expires") == "1800"


def test_422_to_a_refresh() -> None:
    bench = Bench()
    called(bench, f"{KNOWS}Session-Expires: 90;refresher=uas\nAllow: UPDATE\n")
    (again,) = bench.give(answer_to(refresh(bench, 45_000), 422, add=[("Min-SE", "200")]))
    assert isinstance(again, Request)
    assert (again.headers.get("Session-Expires"), again.headers.get("Min-SE")) == ("200;refresher=uac", "200")


def test_a_refresh_is_no_glare() -> None:
    """Our UPDATE makes no offer, so the peer's re-INVITE may come at the same time."""
    bench = Bench()
    _, ok = called(bench, f"{KNOWS}Session-Expires: 90;refresher=uas\nAllow: UPDATE\n")
    refresh(bench, 45_000)
    again = within("INVITE", ok, 2, "z9hG4bK-re", SDP, "Content-Type: application/sdp\n")
    assert statuses(bench.give(again)) == [100]
    bench.told(Reinvited)
