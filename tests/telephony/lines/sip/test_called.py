"""Calls out to third-party telephones, sipp and baresip, and by Kamailio; skipped if they are absent."""

from pathlib import Path
from typing import Any

import pytest

from telephony.lines.outbound_call import OutboundCall
from telephony.lines.rtp import srtp
from telephony.server.app import App
from tests.telephony.lines.sip.clients import baresip, kamailio, scenarios, sipp
from tests.telephony.lines.sip.clients.baresip import microphone, needs_baresip
from tests.telephony.lines.sip.clients.kamailio import needs_kamailio
from tests.telephony.lines.sip.clients.local import HOST, certificate
from tests.telephony.lines.sip.clients.sipp import needs_sipp
from tests.telephony.lines.sip.peers.matrix import CALLED
from tests.telephony.lines.sip.phone import over, server
from tests.waiting import until


async def state(call: OutboundCall, wanted: str) -> None:
    """Wait until a call is in this state."""
    await until(lambda: call.state == wanted)


def dial(app: App, to: str, **more: str) -> OutboundCall:
    assert app.sip
    return app.sip.outbound.originate(to, **more)


def hang_up(app: App, call: OutboundCall) -> None:
    assert app.sip
    app.sip.outbound.cancel(call.id)


@needs_sipp
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_given_up_while_it_rings(tmp_path: Path, transport: str) -> None:
    """CANCEL, its 200, 487 and ACK."""
    async with sipp.called(scenarios.UNANSWERED, tmp_path, "-t", f"{transport[0]}1") as bob, server() as app:
        call = dial(app, f"sip:bob@{HOST}:{bob.port};transport={transport}")
        await state(call, "ringing")
        hang_up(app, call)
        await state(call, "cancelled")
        await bob.end()
        await over(app)


@needs_sipp
@pytest.mark.peer("sipp", CALLED)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_answered_after_a_password(sent: list[bytes], tmp_path: Path, transport: str) -> None:
    """A trunk that wants credentials (407), rings, answers and is hung up on."""
    async with sipp.called(scenarios.ASKING_CALLED, tmp_path, "-t", f"{transport[0]}1") as bob:
        trunk = {"server": f"sip:{HOST}:{bob.port};transport={transport}", "user": "agent", "password": "pw123"}
        async with server(sip__trunks={"pbx": trunk}) as app:
            call = dial(app, "1000", trunk="pbx")
            await state(call, "answered")
            await until(lambda: sent)  # the greeting
            hang_up(app, call)
            await state(call, "ended")
            await bob.end()
            await over(app)
        assert 'username="agent"' in bob.messages()


@needs_sipp
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_an_early_answer_is_acknowledged_and_counts(sent: list[bytes], tmp_path: Path, transport: str) -> None:
    """183 with SDP, PRACK, and a 200 without SDP (RFC 3262)."""
    async with sipp.called(scenarios.CALLED_RELIABLY, tmp_path, "-t", f"{transport[0]}1") as bob, server() as app:
        call = dial(app, f"sip:bob@{HOST}:{bob.port};transport={transport}")
        await state(call, "answered")
        await until(lambda: sent)  # the greeting
        hang_up(app, call)
        await state(call, "ended")
        await bob.end()
        await over(app)
        assert bob.notes() == [f"note acknowledged 4711 {bob.notes()[0].split()[-2]} INVITE"]


@needs_sipp
@needs_kamailio
@pytest.mark.peer("Kamailio", CALLED)
async def test_by_a_proxy_that_stays_in_the_way(tmp_path: Path) -> None:
    """Our ACK and BYE follow the route that the answer has brought."""
    async with (
        sipp.called(scenarios.CALLED, tmp_path / "bob") as bob,
        server() as app,
        kamailio.running(tmp_path / "kamailio", bob.port) as proxy,
    ):
        call = dial(app, f"sip:bob@{HOST}:{proxy.port}")
        await state(call, "answered")
        hang_up(app, call)
        await state(call, "ended")
        await bob.end()
        assert [line.split()[-1] for line in proxy.log("by route")] == ["ACK", "BYE"]


@needs_baresip
@pytest.mark.skipif(not srtp.available(), reason=srtp.MISSING)
@pytest.mark.parametrize("encrypted", [True, False])
async def test_baresip_answers(tmp_path: Path, pressed: list[str], encrypted: bool) -> None:
    """With SRTP where that is required; keys arrive, and baresip hangs up."""
    account = "audio_codecs=PCMU;answermode=auto" + (";mediaenc=srtp-mand" if encrypted else "")
    more: dict[str, Any] = {"sip__srtp": "required"} if encrypted else {}
    async with (
        server(**more) as app,
        baresip.running(tmp_path / "bob", microphone(20_000), account, certificate(tmp_path)) as bob,
    ):
        call = dial(app, f"sip:bob@{HOST}:{bob.port}")
        await state(call, "answered")
        await bob.event("CALL_ESTABLISHED")
        bob.do("sndcode", "4")
        await until(lambda: pressed == ["4"])
        await until(lambda: any(bob.heard()))
        bob.do("hangup")
        await state(call, "ended")
        assert (call.outcome, call.reason) == ("hangup", "the called party hung up")
        await over(app)
