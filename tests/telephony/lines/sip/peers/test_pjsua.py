"""Calls with pjsua2, a third-party telephone; skipped if it is not installed (`.ci/clients` does)."""

from functools import partial
from pathlib import Path

import pytest

from tests.telephony.lines.sip.clients.pjsua import needs_pjsua, running
from tests.telephony.lines.sip.peers import cases
from tests.telephony.lines.sip.peers.cases import Audio
from tests.telephony.lines.sip.peers.matrix import ATTENDED, CALLED, COLD, EVENTS, HOLD, INFO, SECURE, SPEECH

pytestmark = [pytest.mark.slow, pytest.mark.timeout(cases.TIMEOUT_S), needs_pjsua]


@pytest.mark.peer("pjsua2", SPEECH)
async def test_speech_both_ways(audio: Audio, tmp_path: Path) -> None:
    await cases.speech_both_ways(running, audio, tmp_path)


@pytest.mark.peer("pjsua2", EVENTS)
async def test_keys_by_events(audio: Audio, tmp_path: Path) -> None:
    await cases.keys(running, audio, tmp_path)


@pytest.mark.peer("pjsua2", INFO)
async def test_keys_by_info(audio: Audio, tmp_path: Path) -> None:
    await cases.keys(partial(running, keys="info"), audio, tmp_path)


@pytest.mark.peer("pjsua2", HOLD)
async def test_hold(audio: Audio, tmp_path: Path) -> None:
    await cases.hold(running, audio, tmp_path)


@pytest.mark.peer("pjsua2", SECURE)
async def test_tls_and_srtp(audio: Audio, tmp_path: Path) -> None:
    await cases.encrypted(running, audio, tmp_path)


@pytest.mark.peer("pjsua2", COLD)
async def test_cold_transfer(audio: Audio, tmp_path: Path) -> None:
    await cases.cold_transfer(running, audio, tmp_path)


@pytest.mark.peer("pjsua2", ATTENDED)
async def test_attended_transfer(audio: Audio, tmp_path: Path) -> None:
    await cases.attended_transfer(running, audio, tmp_path)


@pytest.mark.peer("pjsua2", CALLED)
async def test_called_by_us(audio: Audio, tmp_path: Path) -> None:
    await cases.called(running, audio, tmp_path)
