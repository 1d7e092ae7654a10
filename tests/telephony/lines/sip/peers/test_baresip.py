"""Calls with baresip, a third-party telephone; skipped if it is not installed (Debian: baresip-core).

More of it is in ../test_baresip.py and ../test_called.py.
"""

from pathlib import Path

import pytest

from tests.telephony.lines.sip.clients.baresip import needs_baresip, telephone
from tests.telephony.lines.sip.peers import cases
from tests.telephony.lines.sip.peers.cases import Audio
from tests.telephony.lines.sip.peers.matrix import CALLED, COLD, EVENTS, HOLD, SECURE, SPEECH

pytestmark = [pytest.mark.slow, pytest.mark.timeout(cases.TIMEOUT_S), needs_baresip]


@pytest.mark.peer("baresip", SPEECH)
async def test_speech_both_ways(audio: Audio, tmp_path: Path) -> None:
    await cases.speech_both_ways(telephone, audio, tmp_path)


@pytest.mark.peer("baresip", EVENTS)
async def test_keys_by_events(audio: Audio, tmp_path: Path) -> None:
    await cases.keys(telephone, audio, tmp_path)


@pytest.mark.peer("baresip", HOLD)
async def test_hold(audio: Audio, tmp_path: Path) -> None:
    """Its recording ends with the first hold."""
    await cases.hold(telephone, audio, tmp_path, recorded=False)


@pytest.mark.peer("baresip", SECURE)
async def test_tls_and_srtp(audio: Audio, tmp_path: Path) -> None:
    await cases.encrypted(telephone, audio, tmp_path)


@pytest.mark.peer("baresip", COLD)
async def test_cold_transfer(audio: Audio, tmp_path: Path) -> None:
    await cases.cold_transfer(telephone, audio, tmp_path)


@pytest.mark.peer("baresip", CALLED)
async def test_called_by_us(audio: Audio, tmp_path: Path) -> None:
    await cases.called(telephone, audio, tmp_path)
