"""Registering at third-party registrars, sipp and Kamailio; skipped if they are not installed."""

from pathlib import Path
from typing import Any

from telephony.server.app import App
from tests.telephony.lines.sip.clients import kamailio, scenarios, sipp
from tests.telephony.lines.sip.clients.kamailio import PASSWORD, USER, needs_kamailio
from tests.telephony.lines.sip.clients.local import HOST
from tests.telephony.lines.sip.clients.sipp import needs_sipp
from tests.telephony.lines.sip.phone import over, server
from tests.waiting import until


def trunk(port: int, **more: Any) -> dict[str, Any]:
    return {"pbx": {"server": f"sip:{HOST}:{port}", "user": USER, "password": PASSWORD, "register": True, **more}}


def is_registered(app: App) -> bool:
    return 'voxline_sip_registered{trunk="pbx"} 1.0' in app.metrics.exposition().decode()


@needs_sipp
async def test_sipp_as_a_registrar_that_is_hard_to_please(tmp_path: Path) -> None:
    """A nonce that is stale, a time that is too short, one granted that is shorter; renewed, and taken back."""
    async with sipp.called(scenarios.REGISTRAR, tmp_path) as registrar:
        async with server(sip__trunks=trunk(registrar.port, expires_s=10)) as app:
            await until(lambda: len(registrar.notes()) == 7)  # it has renewed
            await until(lambda: is_registered(app))
        await registrar.end()
        notes = registrar.notes()
    proven = [note.rsplit(maxsplit=1)[1] == "true" for note in notes]
    expires = [int(note.split()[2]) for note in notes]
    assert expires == [10, 10, 10, 20, 20, 20, 20, 0, 0]
    assert proven == [False, True, True, False, True, False, True, False, True]


@needs_kamailio
@needs_sipp
async def test_kamailio_as_the_registrar_that_calls_come_by(tmp_path: Path) -> None:
    """Known by name and password, again when its nonces are spent and its short time is over; calls to that name
    arrive; forgotten when the server ends."""
    async with kamailio.running(tmp_path / "kamailio", nonce_s=1, expires_s=3) as proxy:
        async with server(sip__trunks=trunk(proxy.port)) as app:
            await until(lambda: is_registered(app))
            await until(lambda: len(proxy.log(f"registers: {USER}")) >= 3)
            await sipp.call(scenarios.call(200), tmp_path / "sipp", proxy.port, "-s", USER)
            await over(app)
            assert 'voxline_calls_total{outcome="hangup"} 1.0' in app.metrics.exposition().decode()
        assert proxy.log(f"registers: {USER}")[-1].endswith("for 0")
