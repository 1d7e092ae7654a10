"""Originating a call: the identity, the server, and that nothing is left if it fails."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from telephony.lines.exceptions import CommandError
from telephony.lines.sip import calls
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.media.sockets import MediaSockets
from telephony.lines.sip.originate import OriginateError, Originator, why_refused
from telephony.lines.sip.syntax.header import parse_name_addr, parse_uri
from telephony.server.app import App
from tests.telephony.lines.sip.callee import Callee
from tests.telephony.lines.sip.phone import server

pytestmark = pytest.mark.looptime
Somebody = Callable[..., Awaitable[Callee]]


def parts(app: App) -> tuple[Originator, UserAgent]:
    assert app.sip
    assert app.sip._ua
    return app.sip.outbound._originator, app.sip._ua


async def test_by_a_trunk_and_without_one(callee: Somebody) -> None:
    one, trunk = await callee(Callee.ring), {"from": "sip:desk@example.com"}
    async with server(sip__trunks={"pbx": trunk | {"server": f"sip:127.0.0.1:{one.port}"}}) as app:
        assert app.sip
        originator, ua = parts(app)
        pbx = app.sip._trunks["pbx"]
        _, through = await originator.originate(ua, "first", parse_uri("sip:bob@example.com"), pbx)
        _, direct = await originator.originate(ua, "second", parse_uri(one.uri), None)
        assert (through.trunk, direct.trunk) == ("pbx", "")
        assert list(app.sip.calls) == ["first", "second"]
        app.sip._flush()
        await one.until(lambda: one.methods().count("INVITE") == 2)
        asked = {str(m.uri): parse_name_addr(m.headers.get("From")).uri for m in one.requests}
        assert asked == {
            "sip:bob@example.com": parse_uri("sip:desk@example.com"),
            one.uri: parse_uri("sip:voxline@127.0.0.1"),
        }


@pytest.mark.parametrize(
    ("error", "reason", "logged"),
    [(CommandError("no room"), "no room", False), (RuntimeError("a bug"), "internal error", True)],
)
async def test_a_call_that_cannot_be_originated_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, reason: str, logged: bool
) -> None:
    caplog.set_level(logging.INFO)
    opened: list[MediaSockets] = []

    class Noted(MediaSockets):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            opened.append(self)

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(calls, "MediaSockets", Noted)
    monkeypatch.setattr(UserAgent, "invite", refuse)
    async with server() as app:
        assert app.sip
        originator, ua = parts(app)
        with pytest.raises(OriginateError, match=reason):
            await originator.originate(ua, "one", parse_uri("sip:bob@127.0.0.1"), None)
        assert not app.sip.calls
    assert [sockets.audio.fileno() for sockets in opened] == [-1]
    assert ("call failed: a bug" in caplog.text) == logged


async def test_a_name_that_is_nobodys_is_not_called() -> None:
    async with server() as app:
        originator, ua = parts(app)
        with pytest.raises(OriginateError, match=r"no-such-host\.invalid"):
            await originator.originate(ua, "one", parse_uri("sip:bob@no-such-host.invalid"), None)
        assert not ua.calls


def test_why_a_call_was_not_answered() -> None:
    reasons = {status: why_refused(status, in_time=True) for status in (404, 408, 480, 486, 500, 600, 603, 607)}
    assert reasons == {
        404: "failed",
        408: "unanswered",
        480: "unanswered",
        486: "busy",
        500: "failed",
        600: "busy",
        603: "declined",
        607: "declined",
    }
    assert why_refused(0, in_time=False) == "unanswered"
