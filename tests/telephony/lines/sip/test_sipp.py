"""Calls by sipp, a third-party SIP stack; skipped if it is not installed (Debian: sip-tester)."""

import os
from pathlib import Path
from statistics import median

import pytest

from tests.telephony.lines.sip.clients import scenarios
from tests.telephony.lines.sip.clients.local import free_port
from tests.telephony.lines.sip.clients.notes import singing
from tests.telephony.lines.sip.clients.relay import relay
from tests.telephony.lines.sip.clients.sipp import call, needs_sipp
from tests.telephony.lines.sip.peers.matrix import EVENTS, SPEECH
from tests.telephony.lines.sip.phone import likenesses, over, server

DTMF = Path("/usr/share/sip-tester")  # sipp's own recordings of keys
pytestmark = needs_sipp


@pytest.mark.peer("sipp", SPEECH)
@pytest.mark.alone  # sipp says back what it hears, when it hears it
@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_sipp_hears_the_greeting_and_says_it_back(
    sent: list[bytes], heard: list[bytes], tmp_path: Path, transport: str
) -> None:
    async with server(singing()) as app:
        assert app.sip
        port = app.sip.ports["UDP" if transport == "u1" else "TCP"]
        await call(scenarios.call(3000), tmp_path, port, "-rtp_echo", "-t", transport)
        await over(app)
    same = likenesses(b"".join(sent), b"".join(heard))
    assert median(same) > 0.9


@pytest.mark.alone
async def test_many_calls_at_once(tmp_path: Path) -> None:
    async with server(call__capacity=20) as app:
        assert app.sip
        await call(scenarios.call(2000), tmp_path, app.sip.ports["UDP"], *"-m 20 -l 20 -r 20".split())
        await over(app)
        assert 'voxline_calls_total{outcome="hangup"} 20.0' in app.metrics.exposition().decode()


@pytest.mark.parametrize("transport", ["u1", "t1"])
@pytest.mark.parametrize("password", ["s3cret", "guess"])
async def test_password(tmp_path: Path, transport: str, password: str) -> None:
    good = password == "s3cret"
    async with server(sip__users={"ann": "s3cret"}) as app:
        assert app.sip
        port = app.sip.ports["UDP" if transport == "u1" else "TCP"]
        scenario = scenarios.DIGEST if good else scenarios.DIGEST_REFUSED
        await call(scenario, tmp_path, port, "-au", "ann", "-ap", password, "-t", transport)
        await over(app)
        text = app.metrics.exposition().decode()
    assert f'voxline_refused_total{{reason="sip 401"}} {1 if good else 2}.0' in text
    assert ('voxline_calls_total{outcome="hangup"} 1.0' in text) == good


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_cancel_that_crosses_the_answer(tmp_path: Path, transport: str) -> None:
    """Calls are answered at once: the CANCEL is too late, is answered, and changes nothing (RFC 3261, 9.2)."""
    async with server() as app:
        assert app.sip
        port = app.sip.ports["UDP" if transport == "u1" else "TCP"]
        await call(scenarios.CANCEL, tmp_path, port, "-t", transport)
        await over(app)
        assert 'voxline_calls_total{outcome="hangup"} 1.0' in app.metrics.exposition().decode()


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_a_caller_who_requires_reliable_answers(tmp_path: Path, transport: str) -> None:
    async with server() as app:
        assert app.sip
        port = app.sip.ports["UDP" if transport == "u1" else "TCP"]
        await call(scenarios.RELIABLE, tmp_path, port, "-t", transport)
        await over(app)
        assert 'voxline_calls_total{outcome="hangup"} 1.0' in app.metrics.exposition().decode()


async def test_isup_beside_the_offer_is_ignored(tmp_path: Path) -> None:
    async with server() as app:
        assert app.sip
        await call(scenarios.WITH_ISUP, tmp_path, app.sip.ports["UDP"])
        await over(app)
        assert 'voxline_calls_total{outcome="hangup"} 1.0' in app.metrics.exposition().decode()


async def test_a_hold_whose_ack_is_late_does_not_last_for_ever(tmp_path: Path) -> None:
    async with server() as app:
        assert app.sip
        await call(scenarios.HELD_WITH_A_LATE_ACK, tmp_path, app.sip.ports["UDP"])
        await over(app)
        assert 'voxline_calls_total{outcome="hangup"} 1.0' in app.metrics.exposition().decode()


@pytest.mark.peer("sipp", EVENTS)
@pytest.mark.skipif(os.geteuid() != 0, reason="sipp plays recorded packets by a raw socket, which only root may open")
async def test_keys_reach_the_agent(tmp_path: Path, pressed: list[str]) -> None:
    files = [str(DTMF / f"dtmf_2833_{key}.pcap") for key in ("1", "5", "star", "pound", "0")]
    playing = scenarios.scenario(
        scenarios.invite(), scenarios.answered(), scenarios.ack(), scenarios.play(*files), scenarios.hang_up()
    )
    async with server() as app:
        assert app.sip
        await call(playing, tmp_path, app.sip.ports["UDP"])
        await over(app)
    assert pressed == ["1", "5", "*", "#", "0"]


async def test_calls_through_a_network_that_loses_and_reorders(tmp_path: Path) -> None:
    """Signalling: a fifth is lost each way and a fifth comes late. Each call is one call, and none is left over."""
    async with server(call__capacity=10) as app:
        assert app.sip
        async with relay(app.sip.ports["UDP"], seed=4, loss=0.2, late=0.2, late_ms=120) as network:
            await call(scenarios.call(500), tmp_path, network.port, *"-m 10 -l 10 -r 20".split())
            await over(app)
            assert all(lost > 3 and late > 3 for lost, late in network.counts()), network.counts()
        text = app.metrics.exposition().decode()
    assert 'voxline_calls_total{outcome="hangup"} 10.0' in text


@pytest.mark.alone
async def test_audio_through_such_a_network(sent: list[bytes], heard: list[bytes], tmp_path: Path) -> None:
    """Audio: 2 % is lost each way and 30 % comes up to 50 ms late; what was said is still what was heard."""
    media = free_port()
    async with server(singing()) as app, relay(media, seed=4, loss=0.02, late=0.3, late_ms=50) as network:
        assert app.sip
        port = app.sip.ports["UDP"]
        await call(scenarios.call(3000), tmp_path, port, "-rtp_echo", media=media, advertised=network.port)
        await over(app)
        assert all(lost and late for lost, late in network.counts()), network.counts()
    same = likenesses(b"".join(sent), b"".join(heard))
    assert median(same) > 0.85
