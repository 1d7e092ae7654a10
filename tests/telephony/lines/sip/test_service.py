"""SIP as a whole over real sockets: the right to call, capacity, strangers and floods."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from config.exceptions import SettingsError
from telephony.lines.rtp import packet, srtp
from telephony.lines.rtp.codec import PCMU
from telephony.lines.rtp.packet import Packet
from telephony.lines.sip.call import SipCall
from telephony.lines.sip.dialogs.events import Cause, Ended
from telephony.lines.sip.dialogs.exchange import Credentials
from telephony.lines.sip.syntax.message import Response, encode
from telephony.server.agents import Edition
from telephony.server.app import App
from tests.telephony.lines.sip.peer import invite, message
from tests.telephony.lines.sip.phone import Phone, over, server
from tests.waiting import until

pytestmark = pytest.mark.looptime
Open = Callable[..., Awaitable[Phone]]
OPTIONS = """\
OPTIONS sip:127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-o{number};rport
From: <sip:a@127.0.0.1>;tag=1
To: <sip:127.0.0.1>
Call-ID: options-{number}
CSeq: 1 OPTIONS
Max-Forwards: 70
User-Agent: a telephone whose name is as long as those of others, and what it supports
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO
"""


def options(one: Phone, number: int = 1) -> bytes:
    return encode(message(OPTIONS.format(port=one.address[1], number=number)))


def answers(one: Phone) -> list[int]:
    return [m.status for m in one.messages if isinstance(m, Response)]


async def refused(one: Phone) -> Any:
    """Dial, and be turned away."""
    one.dial()
    ended = await one.wait(Ended)
    assert ended.cause is Cause.REFUSED
    return ended


async def asked(one: Phone) -> tuple[int, str]:
    """Ask by OPTIONS: the status, and when to try again."""
    one.send(options(one))
    await one.until(lambda: answers(one))
    (answer,) = one.messages
    assert isinstance(answer, Response)
    return answer.status, answer.headers.get("Retry-After")


async def test_options_are_answered_as_a_call_would_be(phone: Open) -> None:
    async with server() as app:
        assert await asked(await phone(app)) == (200, "")
        app.calls.is_ready = False
        assert await asked(await phone(app)) == (503, "10")


async def test_beyond_the_capacity_callers_hear_that_it_is_busy(phone: Open, caplog: pytest.LogCaptureFixture) -> None:
    async with server(call__capacity=1) as app:
        one = await (await phone(app)).talk()
        ended = await refused(await phone(app))
        assert (ended.status, ended.retry_after_s) == (486, 10)
        assert "refused: no capacity" in caplog.text
        assert 'voxline_refused_total{reason="sip 486"} 1.0' in app.metrics.exposition().decode()
        assert await asked(await phone(app)) == (486, "10")
        one.hang_up()
        await over(app)
        again = await (await phone(app)).talk()
        again.hang_up()
        await over(app)


async def test_draining_server_takes_no_new_calls_and_says_goodbye(phone: Open) -> None:
    async with server(server__drain_s=3, server__drain_goodbye_s=2.9) as app:
        one = await (await phone(app)).talk()
        draining = asyncio.create_task(app.drain())
        await asyncio.sleep(0)
        ended = await refused(await phone(app))
        assert (ended.status, ended.retry_after_s) == (503, 10)
        assert await asked(await phone(app)) == (503, "10")
        await one.wait(Ended)
        await draining
        assert not app.calls


async def test_end_of_the_server_ends_calls_with_a_bye(phone: Open) -> None:
    async with server() as app:
        one = await (await phone(app)).talk()
    await one.wait(Ended)
    assert not app.calls
    assert app.admission.active == 0


def add_agent(app: App, name: str) -> None:
    """One more, which the engine knows as the shipped one."""
    agent = app.agents["front_desk"].model_copy(update={"name": name})
    app.agents.change([Edition(agent, "front_desk")], [])


async def test_agent_is_chosen_by_the_user_that_is_called(phone: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with server() as app:
        add_agent(app, "night")
        for user in ("night", "1000"):
            one = await (await phone(app)).talk(user)
            one.hang_up()
            await over(app)
    assert [r.agent for r in caplog.records if r.message == "started"] == ["night", "front_desk"]


async def test_a_number_that_is_called_as_such_is_the_user(phone: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Trunks may address numbers by tel URIs (RFC 3966), also in To and From."""
    caplog.set_level(logging.INFO)
    async with server() as app:
        add_agent(app, "15551230000")
        one = await phone(app)
        one.talking = False
        called = invite(
            body=one.negotiation.offer(),
            To="<tel:15551230000;phone-context=+1>",
            From="<tel:+15550001111>;tag=1",
            Contact=f"<sip:trunk@{one.address[0]}:{one.address[1]}>",
        )
        called.uri = "tel:15551230000;phone-context=+1"
        one.send(encode(called))
        await one.until(lambda: answers(one)[-1:] == [200])
        (line,) = app.calls
        assert isinstance(line, SipCall)
        assert line.transferring._peer_host() == one.address[0]  # where a number is transferred to
    assert [r.agent for r in caplog.records if r.message == "started"] == ["15551230000"]


async def test_cancel_after_the_answer_changes_nothing(phone: Open) -> None:
    """Answers come at once: a CANCEL on its way is too late, and the phone then hangs up by BYE."""
    async with server() as app:
        one = await phone(app)
        one.dial()
        await asyncio.sleep(0)
        one.hang_up()
        await one.wait(Ended)
        await one.until(lambda: not one.ua.calls)
        await over(app)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_who_has_a_password_may_call(phone: Open, transport: str) -> None:
    async with server(sip__users={"ann": "s3cret"}) as app:
        one = await (await phone(app, transport, Credentials("ann", "s3cret"))).talk()
        assert answers(one)[0] == 401
        one.hang_up()
        await over(app)


@pytest.mark.parametrize("credentials", [None, Credentials("ann", "guess"), Credentials("bob", "s3cret")])
async def test_who_has_none_may_not(phone: Open, credentials: Credentials | None) -> None:
    async with server(sip__users={"ann": "s3cret"}) as app:
        assert (await refused(await phone(app, "UDP", credentials))).status == 401
        assert app.sip
        assert not app.sip.calls


async def test_who_guesses_is_banned(phone: Open, caplog: pytest.LogCaptureFixture) -> None:
    async with server(sip__users={"ann": "s3cret"}, sip__ban_failures=2) as app:
        assert app.sip
        for _ in range(2):
            await refused(await phone(app, "UDP", Credentials("ann", "guess")))
        assert "SIP ban begins: host=127.0.0.1" in caplog.text
        one = await phone(app)
        one.send(options(one))
        guard = app.sip.authentication.guard
        await until(lambda: guard.counters.banned > 0)
        await one_round(one)
        assert one.messages == []


async def test_what_others_send_in_its_name_does_not_silence_a_phone(phone: Open) -> None:
    """From an address that is not theirs, anybody can send what is no SIP, and calls without a password."""
    async with server(sip__users={"ann": "s3cret"}, sip__ban_failures=2) as app:
        other = await phone(app)
        one = await phone(app, "UDP", Credentials("ann", "s3cret"))
        for number in range(10):
            other.send(b"x")
            other.send(encode(invite(f"z9hG4bK-{number}")))
        await one.talk()
        for number in range(200):  # more than the address has room for
            other.send(b"forged %d" % number)
            await asyncio.sleep(0)
        one.hang_up()
        await over(app)
        await one.talk()
        one.hang_up()
        await over(app)
        assert app.sip
        assert app.sip.authentication.guard.counters.bans == 0


async def one_round(one: Phone) -> None:
    """Long enough for an answer on loopback."""
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_strangers_hear_nothing(phone: Open, transport: str) -> None:
    async with server(sip__trusted=["192.0.2.0/24"]) as app:
        assert app.sip
        one = await phone(app, transport)
        one.send(options(one))
        guard = app.sip.authentication.guard
        await until(lambda: guard.counters.not_allowed >= 1)
        await until(lambda: one.lost or transport == "UDP")
        await one_round(one)
        assert one.messages == []
        assert one.lost == (transport == "TCP")


async def test_garbage_is_survived(phone: Open) -> None:
    async with server() as app:
        one = await phone(app)
        invite = options(one).replace(b"OPTIONS", b"INVITE")
        for garbage in (b"", b"\0" * 100, b"\r\n\r\n", b"x" * 60_000, invite[:50], invite * 3, bytes(range(256))):
            one.send(garbage)
        one.send(options(one))
        await one.until(lambda: 200 in answers(one))
        two = await (await phone(app)).talk()
        assert two.media
        for junk in (b"", b"\x80", b"\xff" * 1500, bytes(range(200))):
            two._sockets.audio.sendto(junk, two.media.remote)
            two._sockets.control.sendto(junk, two.media.remote_control)
        heard = len(two.heard)
        await two.until(lambda: len(two.heard) > heard + 10)
        two.hang_up()
        await over(app)


async def test_foreign_rtp_is_not_heard(phone: Open) -> None:
    async with server() as app:
        one, thief = await (await phone(app)).talk(), await phone(app)
        assert one.media
        await one.until(lambda: one.media is not None and one.media.counters.sent > 5)
        (line,) = app.calls
        thief._sockets.audio.sendto(b"\x80\x00" + bytes(10) + PCMU.silence, one.media.remote)
        await one_round(one)
        assert line.media.counters.foreign <= 1  # type: ignore[attr-defined]  # Linux has dropped it
        assert not thief.heard
        one.hang_up()
        await over(app)


async def test_rtp_from_elsewhere_that_comes_first_does_not_mute_the_caller(phone: Open, heard: list[bytes]) -> None:
    async with server() as app:
        one, thief = await phone(app), await phone(app)
        one.talking = False
        await one.talk()
        assert one.media
        (line,) = app.calls
        media = line.media  # type: ignore[attr-defined]
        for number in range(3):
            thief._sockets.audio.sendto(
                packet.encode(Packet(0, number, 160 * number, 66, PCMU.silence)), one.media.remote
            )
        await one.until(lambda: media.counters.received == 3)
        one.talking = True
        one.say(b"\x00\x20\x00\xe0" * 8000)
        await one.until(lambda: sum(any(frame) for frame in heard) > 20)
        one.hang_up()
        await over(app)


async def test_a_flood_is_dropped_before_it_is_parsed(phone: Open) -> None:
    async with server(sip__users={"ann": "s3cret"}) as app:
        assert app.sip
        one = await phone(app)
        for number in range(300):
            one.send(options(one, number))
            await asyncio.sleep(0)  # let the server read: the kernel keeps less than all
        counters = app.sip.authentication.guard.counters
        await until(lambda: counters.admitted + counters.limited == 300)
        await one_round(one)
        assert counters.limited > 150
        assert len(answers(one)) == counters.admitted


async def test_nothing_in_common(phone: Open, caplog: pytest.LogCaptureFixture) -> None:
    async with server() as app:
        one = await phone(app)
        one.dial(body=one.negotiation.offer().replace(b"RTP/AVP 0 8", b"RTP/AVP 4 18"))
        assert (await one.wait(Ended)).status == 488
        assert "refused: no common codec" in caplog.text
        (answer,) = [m for m in one.messages if isinstance(m, Response) and m.status == 488]
        assert answer.headers.get("Warning") == '305 voxline "no common codec; PCMU, PCMA, G722 are spoken"'
        assert not app.calls
        assert app.admission.active == 0


async def test_no_port_is_free(phone: Open) -> None:
    async with server(sip__rtp_first_port=30_100, sip__rtp_last_port=30_103) as app:
        calls = [await (await phone(app)).talk() for _ in range(2)]
        assert (await refused(await phone(app))).status == 503
        for one in calls:
            one.hang_up()
        await over(app)
        last = await (await phone(app)).talk()  # the ports were given back
        last.hang_up()
        await over(app)


async def test_port_that_is_taken_is_named(phone: Open) -> None:
    async with server() as app:
        assert app.sip
        with pytest.raises(SettingsError, match=r"sip\.port"):
            async with server(sip__port=app.sip.ports["UDP"]):
                pass


async def test_calls_are_counted(phone: Open) -> None:
    async with server() as app:
        one = await (await phone(app)).talk()
        (line,) = app.calls
        await one.until(lambda: line.counts()["frames"] > 0)
        assert "voxline_calls_active 1.0" in app.metrics.exposition().decode()
        one.hang_up()
        await over(app)
        text = app.metrics.exposition().decode()
        assert "voxline_calls_active 0.0" in text
        assert 'voxline_calls_total{outcome="hangup"} 1.0' in text
        (frames,) = [line for line in text.splitlines() if line.startswith("voxline_frames_total")]
        assert float(frames.split()[1]) > 0


async def test_encryption_that_is_required_and_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srtp, "pylibsrtp", None)
    with pytest.raises(SettingsError, match=r"sip\.srtp: encrypted audio \(SRTP\) needs pylibsrtp"):
        async with server(sip__srtp="required"):
            pass
