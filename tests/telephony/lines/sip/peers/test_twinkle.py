"""Calls with Twinkle, a third-party telephone; skipped if it is not installed.

Debian: twinkle-console, and pulseaudio as its sound device.
"""

from functools import partial
from pathlib import Path

import pytest

from tests.telephony.lines.sip.clients import linphone
from tests.telephony.lines.sip.clients.linphone import needs_linphone
from tests.telephony.lines.sip.clients.twinkle import needs_twinkle, running
from tests.telephony.lines.sip.peers import cases
from tests.telephony.lines.sip.peers.cases import Audio
from tests.telephony.lines.sip.peers.matrix import ATTENDED, CALLED, COLD, EVENTS, HOLD, INFO, SPEECH

pytestmark = [pytest.mark.slow, pytest.mark.timeout(cases.TIMEOUT_S), *needs_twinkle]


@pytest.mark.peer("twinkle", SPEECH)
async def test_speech_both_ways(audio: Audio, tmp_path: Path) -> None:
    await cases.speech_both_ways(running, audio, tmp_path)


@pytest.mark.peer("twinkle", EVENTS)
async def test_keys_by_events(audio: Audio, tmp_path: Path) -> None:
    """It makes the packets of a key as its sound device delivers audio; if that comes in a burst, it sends none."""
    await cases.keys(running, audio, tmp_path, tries=5)


@pytest.mark.peer("twinkle", INFO)
async def test_keys_by_info(audio: Audio, tmp_path: Path) -> None:
    """It offers no events then, so that it hears none of ours."""
    await cases.keys(partial(running, keys="info"), audio, tmp_path, ours=False)


@pytest.mark.alone  # beside other calls its sound device was starved
@pytest.mark.peer("twinkle", HOLD)
async def test_hold(audio: Audio, tmp_path: Path) -> None:
    await cases.hold(running, audio, tmp_path)


@pytest.mark.peer("twinkle", COLD)
async def test_cold_transfer(audio: Audio, tmp_path: Path) -> None:
    await cases.cold_transfer(running, audio, tmp_path)


@needs_linphone
@pytest.mark.peer("twinkle", ATTENDED)
async def test_attended_transfer(audio: Audio, tmp_path: Path) -> None:
    """To a linphone: Twinkle itself leaves an INVITE with Replaces without a final answer."""
    await cases.attended_transfer(running, audio, tmp_path, partial(linphone.running, narrow=True))


@pytest.mark.peer("twinkle", CALLED)
async def test_called_by_us(audio: Audio, tmp_path: Path) -> None:
    await cases.called(running, audio, tmp_path)
