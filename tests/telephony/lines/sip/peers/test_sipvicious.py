"""What sipvicious finds out about a server; skipped if it is not installed (Debian: sipvicious)."""

from pathlib import Path

import pytest

from telephony.server.app import App
from tests.telephony.lines.sip.clients.local import HOST
from tests.telephony.lines.sip.clients.sipvicious import needs_sipvicious, scan
from tests.telephony.lines.sip.peers.matrix import FOUND, HIDDEN, NAMES, PASSWORDS
from tests.telephony.lines.sip.phone import server

pytestmark = [pytest.mark.slow, needs_sipvicious]
USERS = {"101": "17"}


def refused(app: App) -> float:
    """The number of refused requests."""
    samples = (sample for metric in app.metrics.refused.collect() for sample in metric.samples)
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))


@pytest.mark.peer("sipvicious", FOUND)
async def test_it_finds_an_open_server(tmp_path: Path) -> None:
    """OPTIONS is answered."""
    async with server() as app:
        assert app.sip
        port = app.sip.ports["UDP"]
        assert f"{HOST}:{port} | voxline" in await scan("svmap", tmp_path, port)


@pytest.mark.peer("sipvicious", HIDDEN)
async def test_it_finds_no_server_with_passwords(tmp_path: Path) -> None:
    """Its short requests get no answer, since that would be longer than the request."""
    async with server(sip__users=USERS) as app:
        assert app.sip
        assert "found nothing" in await scan("svmap", tmp_path, app.sip.ports["UDP"])
        assert refused(app)


@pytest.mark.peer("sipvicious", NAMES)
@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "REGISTER"])
async def test_it_guesses_no_name(tmp_path: Path, method: str) -> None:
    """Existing names are treated like any others."""
    async with server(sip__users=USERS) as app:
        assert app.sip
        said = await scan("svwar", tmp_path, app.sip.ports["UDP"], "--force", "-m", method, "-e", "100-104")
        assert refused(app)
    assert "found nothing" in said


@pytest.mark.peer("sipvicious", PASSWORDS)
@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
async def test_it_guesses_no_password(tmp_path: Path, method: str) -> None:
    async with server(sip__users=USERS, sip__ban_failures=3) as app:
        assert app.sip
        said = await scan("svcrack", tmp_path, app.sip.ports["UDP"], "-m", method, "-u", "101", "-r", "1-30")
        assert refused(app)
    assert "found nothing" in said
