"""Whole calls, and what can be heard of them afterwards: real servers and lines, every format and mode."""

import asyncio
import json
import logging
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.engine.embedded.synthesizer import say
from agent.tape.file import read_lines
from audio import g711
from audio.resample import to_line
from telephony.lines.rtp.codec import G722, PCMU
from telephony.lines.sip.dialogs.events import Ended
from telephony.server.app import App
from tests.simulated import quick
from tests.telephony.lines.sip.phone import Phone as SipPhone
from tests.telephony.lines.sip.phone import over
from tests.telephony.lines.sip.phone import server as sip_server
from tests.telephony.recordings.listening import Samples, level_db, noise, place, samples, sides
from tests.waiting import until, until_here

Dial = Callable[..., Awaitable[Any]]
RECORDED = {"recording.mode": "all", "recording.format": "wav"}
RATE = 8000


def recording_of(folder: Path, ending: str = ".wav") -> Path:
    """The one recording there is."""
    (path,) = until_here(lambda: list(folder.glob(f"*{ending}")))
    return Path(path)


def sounds(track: Samples, quiet_ms: int = 100) -> list[tuple[int, int]]:
    """Where a side is heard: [start, end) in samples, pauses shorter than `quiet_ms` included."""
    loud = np.flatnonzero(np.abs(track) > 0.01)
    breaks = np.flatnonzero(np.diff(loud) > quiet_ms * RATE // 1000)
    starts, ends = [0, *(breaks + 1)], [*breaks, len(loud) - 1]
    return [(int(loud[a]), int(loud[b]) + 1) for a, b in zip(starts, ends, strict=True)] if len(loud) else []


def at_the_ear(phone: Any) -> Samples:
    """What the caller heard of the agent, on the time axis of their own audio: as the phone has received it."""
    track = np.zeros(RATE * 60, np.float32)
    end, number = 0, 0
    for message in phone.received:
        at = round((message["at"] - phone.started_at) * RATE)
        if message["event"] == "clear":
            track[at:] = 0
            end = at
        elif message["event"] == "media":
            sound = samples(g711.decode(phone.audio[number]))
            number += 1
            start = max(at, end)
            end = start + len(sound)
            track[start:end] = sound
    return track


@pytest.fixture(scope="module")
def words() -> bytes:
    """Some words, as PCM16."""
    return to_line(*say("no, wait a moment please"))


@pytest.mark.slow
async def test_a_call_over_twilio_is_recorded_as_it_was_heard(
    serve: Callable[..., Any], dial: Dial, in_thread: Dial, words: bytes
) -> None:
    server = await in_thread(serve, quick(30, 200) | RECORDED)
    phone = await dial(server.url)
    phone.hold()
    await phone.heard(4)
    spoke_at = phone.frames
    phone.say(g711.encode(words))
    await phone.get("clear")
    await in_thread(server.wait_for, "said", call=phone.call, role="agent", interrupted=True)
    await phone.heard(len(phone.returned) + 3)
    frames = phone.frames
    await phone.release()
    await phone.hang_up()

    ended = await in_thread(server.wait_for, "recorded", call=phone.call)
    path = await in_thread(recording_of, server.data / "recordings")
    assert path.name == f"{ended['recording']}.wav"
    assert phone.call not in path.name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    left, right, rate = sides(path)
    assert (rate, len(left)) == (RATE, pytest.approx(160 * frames, abs=640))
    said = samples(g711.decode(g711.encode(words)))
    assert abs(place(said, left) - 160 * spoke_at) <= 160
    assert level_db(left) == pytest.approx(level_db(np.pad(said, (0, len(left) - len(said)))), abs=0.1)

    heard, told = sounds(right), sounds(at_the_ear(phone)[: len(right)])
    assert len(heard) == len(told) == 2  # the greeting until it was cut off, and the answer
    for one, other in zip(heard, told, strict=True):
        assert one == pytest.approx(other, abs=60 * 8)
    assert (heard[0][1] - 160 * spoke_at) / 8 < 500  # it was silent soon after the caller had begun


@pytest.fixture
async def phones() -> AsyncIterator[Callable[..., Awaitable[SipPhone]]]:
    """Opens SIP phones for servers."""
    opened: list[SipPhone] = []

    async def open_one(app: App, *codecs: Any) -> SipPhone:
        one = await SipPhone().open(app)
        one.negotiation = one.able(codecs or (PCMU,))
        opened.append(one)
        return one

    yield open_one
    for one in opened:
        await one.close()


@pytest.mark.looptime
@pytest.mark.slow
async def test_nothing_drifts_in_a_sip_call_of_minutes(phones: Any, tmp_path: Path) -> None:
    """Every half minute the caller says something; it is found where it was said, and so is what the agent says."""
    settings: dict[str, Any] = {"recording__mode": "all", "recording__format": "wav", "turn__reprompt_ms": 10**6}
    async with sip_server(server__data=str(tmp_path), turn__onset_probability=1, **settings) as app:
        one = await phones(app)
        await one.talk()
        loop = asyncio.get_running_loop()
        said: list[tuple[float, bytes]] = []
        for number in range(8):
            await asyncio.sleep(27 + number * 0.14)  # the phone sends every 20 ms
            said.append((loop.time(), noise(500, number)))
            one.say(said[-1][1])
        await asyncio.sleep(2)
        heard = [(at, PCMU.decode(item.payload)) for at, item in one.heard]
        one.hang_up()
        await one.wait(Ended)
        await over(app)
    left, right, _ = sides(recording_of(tmp_path / "recordings"))
    places = [place(samples(pcm), left) / RATE for _, pcm in said]
    offsets = [found - at for found, (at, _) in zip(places, said, strict=True)]
    assert max(offsets) - min(offsets) < 0.02
    assert len(left) > 200 * RATE

    (start, end), *more = sounds(right)
    loud = [at for at, pcm in heard if np.abs(samples(pcm)).max() > 0.01]
    assert not more
    assert (end - start) / RATE == pytest.approx(loud[-1] - loud[0] + 0.02, abs=0.02)
    assert start / RATE - loud[0] == pytest.approx(offsets[0], abs=0.2)  # the caller's jitter buffer, and its own


@pytest.mark.looptime
async def test_what_a_hold_pauses_goes_on_after_a_silence(phones: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"recording__mode": "all", "recording__format": "wav", "engine__simulated__words": 20}
    async with sip_server(server__data=str(tmp_path), turn__onset_probability=1, **settings) as app:
        one = await phones(app)
        await one.talk()
        await asyncio.sleep(1)
        one.direct("sendonly")
        one.say(noise(500, 1))  # a hold's music
        await asyncio.sleep(2)
        one.direct("sendrecv")
        await asyncio.sleep(5)
        one.say(noise(500, 2))
        await asyncio.sleep(1)
        one.hang_up()
        await one.wait(Ended)
        await over(app)
    left, right, _ = sides(recording_of(tmp_path / "recordings"))
    (first, pause), (go_on, last) = sounds(right)
    assert (go_on - pause) / RATE == pytest.approx(2, abs=0.1)
    assert (pause - first + last - go_on) / RATE == pytest.approx(20 * 0.2 - 0.04, abs=0.06)
    (said,) = sounds(left)  # the music is not the caller's
    assert said[0] > last


@pytest.mark.looptime
async def test_while_a_person_pauses_it_nothing_is_kept(
    phones: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    settings: dict[str, Any] = {"recording__mode": "all", "recording__format": "wav", "tape__mode": "full"}
    settings |= {"log__words": True, "turn__onset_probability": 1, "engine__simulated__words": 4}
    async with sip_server(server__data=str(tmp_path), **settings) as app:
        one = await phones(app)
        await one.talk()
        (line,) = app.calls
        await asyncio.sleep(2)
        said: list[bytes] = []
        for number, on in enumerate([True, False, True]):
            assert app.calls.switch_recording(line.call_id, on=on)
            said.append(noise(500, number))
            one.say(said[-1])
            if not on:
                one.press("4711")
            await asyncio.sleep(6)
        assert not app.calls.switch_recording("somebody else's", on=False)
        one.hang_up()
        await one.wait(Ended)
        await over(app)
    left, _, _ = sides(recording_of(tmp_path / "recordings"))
    assert len(sounds(left)) == 2
    first, last = (place(samples(pcm), left) / RATE for pcm in (said[0], said[2]))
    assert last - first == pytest.approx(12, abs=0.05)
    (tape,) = until_here(lambda: list((tmp_path / "tapes").glob("*.gz")))
    lines = [json.loads(line) for line in read_lines(tape)]
    events = [line["event"] for line in lines if "event" in line]
    assert [event for event in events if event["type"] == "Dtmf"] == [{"type": "Dtmf"}] * 4
    assert "4711" not in json.dumps(lines)
    assert "4711" not in str([vars(record) for record in caplog.records])
    told = [vars(record) for record in caplog.records if record.getMessage() == "said"]
    assert ("caller", "***") in [(each["role"], each["text"]) for each in told]


@pytest.mark.looptime
async def test_a_wide_band_call_is_recorded_at_its_own_rate(phones: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"recording__mode": "all", "turn__onset_probability": 1, "turn__reprompt_ms": 10**6}
    async with sip_server(server__data=str(tmp_path), **settings) as app:
        one = await phones(app, G722)
        await one.talk()
        await asyncio.sleep(2)
        one.hang_up()
        await one.wait(Ended)
        await over(app)
    left, right, rate = sides(recording_of(tmp_path / "recordings", ".ogg"))
    assert rate == 16_000
    assert level_db(left) < -80
    assert level_db(right) > -30
    assert 1.5 < len(right) / rate < 4


@pytest.mark.looptime
@pytest.mark.parametrize(("mode", "agent", "count"), [("off", True, 0), ("asked", False, 0), ("asked", True, 1)])
async def test_whose_calls_are_recorded(phones: Any, tmp_path: Path, mode: str, agent: bool, count: int) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "desk.yaml").write_text(json.dumps({"name": "desk", "recording": agent}))
    settings: dict[str, Any] = {"recording__mode": mode, "agents": str(agents), "call__agent": "desk"}
    async with sip_server(server__data=str(tmp_path / "data"), **settings) as app:
        one = await phones(app)
        await one.talk()
        one.hang_up()
        await one.wait(Ended)
        await over(app)
    assert len(list((tmp_path / "data").glob("recordings/*.ogg"))) == count


@pytest.mark.looptime
async def test_where_no_calls_are_recorded_any_more_old_recordings_are_still_deleted(tmp_path: Path) -> None:
    old = tmp_path / "recordings" / f"20250101-120000-{1:016x}.ogg"
    old.parent.mkdir()
    old.write_bytes(b"1")
    async with sip_server(server__data=str(tmp_path)):
        pass
    assert not old.exists()


async def test_the_log_and_the_metrics_tell_of_each(
    serve: Callable[..., Any], dial: Dial, in_thread: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = await in_thread(serve, quick() | {"recording.mode": "all", "tape.mode": "full"})
    phone = await dial(server.url)
    await phone.silence(1000, speed=4)
    await phone.hang_up()
    recorded = await in_thread(server.wait_for, "recorded", call=phone.call)
    assert recorded["s"] == pytest.approx(1, abs=0.1)
    metric = 'voxline_recordings_total{outcome="whole"}'
    await until(lambda: server.metric(metric) == 1)
