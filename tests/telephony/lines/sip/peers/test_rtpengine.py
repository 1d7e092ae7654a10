"""Calls by way of Kamailio and rtpengine, a third-party relay, from pjsua2 and to it; skipped if one of them is
not installed (Debian: kamailio, rtpengine-daemon; pjsua2 by `.ci/clients`)."""

from functools import partial
from pathlib import Path

import pytest

from tests.telephony.lines.sip.clients import pjsua
from tests.telephony.lines.sip.clients.kamailio import needs_kamailio
from tests.telephony.lines.sip.clients.pjsua import needs_pjsua
from tests.telephony.lines.sip.clients.rtpengine import behind, needs_rtpengine
from tests.telephony.lines.sip.peers import cases
from tests.telephony.lines.sip.peers.cases import Audio
from tests.telephony.lines.sip.peers.matrix import ATTENDED, CALLED, COLD, EVENTS, HOLD, INFO, SPEECH

pytestmark = [pytest.mark.slow, pytest.mark.timeout(cases.TIMEOUT_S), needs_rtpengine, needs_kamailio, needs_pjsua]
running = behind(pjsua.running)


@pytest.mark.peer("rtpengine", SPEECH)
async def test_speech_both_ways(audio: Audio, tmp_path: Path) -> None:
    await cases.speech_both_ways(running, audio, tmp_path)


@pytest.mark.peer("rtpengine", EVENTS)
async def test_keys_by_events(audio: Audio, tmp_path: Path) -> None:
    await cases.keys(running, audio, tmp_path)


@pytest.mark.peer("rtpengine", INFO)
async def test_keys_by_info(audio: Audio, tmp_path: Path) -> None:
    await cases.keys(partial(running, keys="info"), audio, tmp_path)


@pytest.mark.peer("rtpengine", HOLD)
async def test_hold(audio: Audio, tmp_path: Path) -> None:
    await cases.hold(running, audio, tmp_path)


@pytest.mark.peer("rtpengine", COLD)
async def test_cold_transfer(audio: Audio, tmp_path: Path) -> None:
    await cases.cold_transfer(running, audio, tmp_path)


@pytest.mark.peer("rtpengine", ATTENDED)
async def test_attended_transfer(audio: Audio, tmp_path: Path) -> None:
    await cases.attended_transfer(running, audio, tmp_path)


@pytest.mark.peer("rtpengine", CALLED)
async def test_called_by_us(audio: Audio, tmp_path: Path) -> None:
    await cases.called(running, audio, tmp_path)
