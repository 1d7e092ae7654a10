"""Calls with linphone, a third-party telephone; skipped if it is not installed (Debian: linphone-cli)."""

from functools import partial
from pathlib import Path

import pytest

from tests.telephony.lines.sip.clients.linphone import needs_linphone, running
from tests.telephony.lines.sip.peers import cases
from tests.telephony.lines.sip.peers.cases import Audio
from tests.telephony.lines.sip.peers.matrix import ATTENDED, CALLED, COLD, EVENTS, HOLD, INFO, SECURE, SPEECH

pytestmark = [pytest.mark.slow, pytest.mark.timeout(cases.TIMEOUT_S), needs_linphone]


@pytest.mark.peer("linphone", SPEECH)
async def test_speech_both_ways(audio: Audio, tmp_path: Path) -> None:
    await cases.speech_both_ways(running, audio, tmp_path)


@pytest.mark.peer("linphone", EVENTS)
async def test_keys_by_events(audio: Audio, tmp_path: Path) -> None:
    await cases.keys(running, audio, tmp_path)


@pytest.mark.peer("linphone", INFO)
async def test_keys_by_info_and_by_events(audio: Audio, tmp_path: Path) -> None:
    """It sends each key both ways."""
    await cases.keys(partial(running, keys="info"), audio, tmp_path)


@pytest.mark.peer("linphone", HOLD)
async def test_hold(audio: Audio, tmp_path: Path) -> None:
    await cases.hold(running, audio, tmp_path)


@pytest.mark.peer("linphone", SECURE)
async def test_tls_and_srtp(audio: Audio, tmp_path: Path) -> None:
    await cases.encrypted(running, audio, tmp_path)


@pytest.mark.peer("linphone", COLD)
async def test_cold_transfer(audio: Audio, tmp_path: Path) -> None:
    await cases.cold_transfer(running, audio, tmp_path)


@pytest.mark.peer("linphone", ATTENDED)
async def test_attended_transfer(audio: Audio, tmp_path: Path) -> None:
    """To another linphone; G.711, so that the audio can be compared."""
    await cases.attended_transfer(partial(running, narrow=True), audio, tmp_path)


@pytest.mark.peer("linphone", CALLED)
async def test_called_by_us(audio: Audio, tmp_path: Path) -> None:
    await cases.called(running, audio, tmp_path)
