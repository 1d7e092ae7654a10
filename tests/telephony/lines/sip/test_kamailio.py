"""Calls through Kamailio, a proxy that stays in the way (Record-Route); skipped if it is not installed."""

import asyncio
from pathlib import Path
from statistics import median

import pytest

from tests.telephony.lines.sip.clients import kamailio, scenarios
from tests.telephony.lines.sip.clients.kamailio import needs_kamailio
from tests.telephony.lines.sip.clients.notes import singing
from tests.telephony.lines.sip.clients.sipp import call, needs_sipp
from tests.telephony.lines.sip.peers.matrix import COLD, SPEECH
from tests.telephony.lines.sip.phone import likenesses, over, server
from tests.waiting import until

pytestmark = [needs_kamailio, needs_sipp]


@pytest.mark.peer("Kamailio", SPEECH)
@pytest.mark.alone
@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_a_call_through_a_proxy(sent: list[bytes], heard: list[bytes], tmp_path: Path, transport: str) -> None:
    """INVITE, ACK and BYE go by the proxy, audio goes straight."""
    async with server(singing()) as app:
        assert app.sip
        behind = app.sip.ports["UDP" if transport == "u1" else "TCP"]
        async with kamailio.running(tmp_path / "kamailio", behind) as proxy:
            messages = await call(scenarios.call(2500), tmp_path / "sipp", proxy.port, "-rtp_echo", "-t", transport)
            await over(app)
            assert [line.split()[-1] for line in proxy.log("by route")] == ["ACK", "BYE"]
    assert f"Record-Route: <sip:127.0.0.1:{proxy.port}" in messages
    assert median(likenesses(b"".join(sent), b"".join(heard))) > 0.9


@pytest.mark.peer("Kamailio", COLD)
async def test_a_transfer_through_a_proxy(sent: list[bytes], tmp_path: Path) -> None:
    """REFER and the BYE behind it follow the route, as the caller's NOTIFY does."""
    async with server() as app:
        assert app.sip
        async with kamailio.running(tmp_path / "kamailio", app.sip.ports["UDP"]) as proxy:
            calling = asyncio.create_task(call(scenarios.REFERRED, tmp_path / "sipp", proxy.port))
            await until(lambda: sent)  # the greeting
            (line,) = app.calls
            line.transfer("sip:colleague@192.0.2.1")
            messages = await calling
            await over(app)
            assert [line.split()[-1] for line in proxy.log("by route")] == ["ACK", "REFER", "NOTIFY", "BYE"]
    assert "Refer-To: <sip:colleague@192.0.2.1>" in messages
    assert 'voxline_calls_total{outcome="transfer"} 1.0' in app.metrics.exposition().decode()
