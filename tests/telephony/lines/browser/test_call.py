"""Whole calls over the browser line, by the simulator's callers: bookings, barge-ins, broken sockets, replays."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import soundfile

from agent.engine.base import Engine, SpeakRequest, Speech
from agent.engine.simulated import SimulatedModel, SimulatedSynthesizer, Word
from config.engine import SimulatedSettings
from config.settings import load_settings
from telephony.lines.browser.call import BrowserCall
from telephony.server.app import App
from telephony.server.draining import build_server
from telephony.simulator.browser.carrier import BrowserCarrier
from telephony.simulator.browser.stream import BrowserTalk
from telephony.simulator.call import run_call
from telephony.simulator.clip import line_noise
from telephony.simulator.identity import Identity
from telephony.simulator.phone import Caller
from telephony.simulator.report import Outcome
from telephony.simulator.script import Script
from telephony.simulator.ticker import Ticker
from telephony.tapes.replay import replay_all
from tests import thread_time
from tests.simulated import quick
from tests.telephony.lines.browser.client import Page
from tests.waiting import running, until

WORD_MS = 100


class Noisy(SimulatedSynthesizer):
    """Every word is noise, no two alike."""

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        """See Synthesizer."""
        for number, word in enumerate(request.text.split()):
            sound = np.random.default_rng(number).uniform(-0.5, 0.5, 16 * WORD_MS)
            yield Speech(sound.astype(np.float32), 16_000, (Word(word, 0, WORD_MS - 20),))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The agent's audio, as lines have been given it."""
    given: list[bytes] = []
    play = BrowserCall.play

    def overhear(self: BrowserCall, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        given.append(pcm)
        play(self, reply, pcm, marks)

    monkeypatch.setattr(BrowserCall, "play", overhear)
    return given


@asynccontextmanager
async def here(data: Any, words: int = 20, **more: Any) -> AsyncGenerator[tuple[App, str]]:
    """A server in this process, with its address."""
    overrides = quick() | {"server.data": str(data), "server.port": 0, "log.words": True} | more
    simulated = SimulatedSettings(first_word_ms=0, word_ms=0, first_audio_ms=0, words=words)
    settings = load_settings(None, overrides)
    app = App(settings, Engine(SimulatedModel(simulated), Noisy(simulated)))
    async with running(build_server(app, settings)) as port:
        yield app, f"http://127.0.0.1:{port}"


def line_of(app: App) -> BrowserCall:
    (line,) = app.calls
    assert isinstance(line, BrowserCall)
    return line


async def frames(line: BrowserCall, count: int) -> None:
    """Wait until so many frames of the caller's have come."""
    before = line.caller.counters.frames
    await until(lambda: line.caller.counters.frames >= before + count)


def ears(one: Page) -> list[int]:
    return [one.ear.sum[position] for position in range(one.ear.heard)]


async def test_nothing_heard_is_lost_or_repeated_by_pauses_and_a_broken_socket(
    tmp_path: Any, page: Callable[..., Awaitable[Page]], made: list[bytes]
) -> None:
    async with here(tmp_path) as (app, url):
        one = await page(url)
        one.hold()
        line = line_of(app)
        for at in (2000, 9000, 21_000):
            await until(lambda at=at: one.ear.heard > at)
            line.pause(1)
            await until(lambda: not line.speaker.stopping)
            heard = one.ear.heard
            await frames(line, 3)
            assert one.ear.heard == heard  # it is silent
            line.resume(1)
        one.drop()
        await until(lambda: line._connection is None)
        one.ear.play(16_000)
        await one.resume()
        one.hold()
        await until(lambda: one.of("said"))
        assert one.of("said")[0]["text"].endswith("word20.")
        await until(lambda: one.ear.heard == 20 * 16 * WORD_MS)
        await one.say("hang_up")
        await one.closed()
    assert ears(one) == np.frombuffer(b"".join(made), "<i2").tolist()


async def test_of_an_interrupted_reply_the_history_has_what_was_heard(
    tmp_path: Any, page: Callable[..., Awaitable[Page]]
) -> None:
    async with here(tmp_path, 40) as (app, url):
        one = await page(url)
        one.hold()
        await until(lambda: one.ear.heard > 16 * 1500)
        certain_ms = one.ear.heard / 16 - 20  # what the last frame may not have told
        await one.say("key", key="5")  # ends the greeting at once
        await until(lambda: one.of("clear"))
        line = line_of(app)
        await until(lambda: not line.speaker.stopping)
        heard_ms = one.ear.heard / 16
        await until(lambda: one.of("said"))
        words = one.of("said")[0]["text"].split()
        await one.say("hang_up")
        await one.closed()
    least, most = (sum(number * WORD_MS - 20 <= ms for number in range(1, 41)) for ms in (certain_ms, heard_ms))
    assert least <= len(words) <= most


async def test_the_recording_has_the_agent_as_it_was_heard(
    tmp_path: Any, page: Callable[..., Awaitable[Page]], made: list[bytes]
) -> None:
    async with here(tmp_path, **{"recording.mode": "all", "recording.format": "wav"}) as (app, url):
        one = await page(url)
        one.hold()
        line = line_of(app)
        await until(lambda: one.ear.heard > 16_000)
        line.pause(1)
        await until(lambda: not line.speaker.stopping)
        at = one.ear.heard
        await frames(line, 5)
        line.resume(1)
        await until(lambda: one.of("said"))
        await one.say("hang_up")
        await one.closed()
        [file] = await until(lambda: list(tmp_path.glob("recordings/*.wav")))
    agent = soundfile.read(file, dtype="int16")[0][:, 1]
    heard = np.trim_zeros(agent)
    whole = np.frombuffer(b"".join(made), "<i2")
    before = round(at / 16) * 16 - 640  # from the pause on it is faded
    assert heard[:before].tolist() == np.trim_zeros(whole)[:before].tolist()
    assert heard[-8000:].tolist() == np.trim_zeros(whole)[-8000:].tolist()
    silent = np.flatnonzero(heard[before:-8000] == 0)
    assert len(silent) > 16 * 60


async def test_a_transfer_reaches_nobody_and_the_call_goes_on(
    tmp_path: Any, page: Callable[..., Awaitable[Page]]
) -> None:
    async with here(tmp_path) as (app, url):
        one = await page(url)
        one.hold()
        await until(lambda: one.of("said"))
        failed: list[str] = []
        listener = line_of(app).listener
        assert listener
        listener.transfer_failed = failed.append  # type: ignore[method-assign]
        line_of(app).transfer("+15550100199")
        await until(lambda: failed == ["failed"])
        await one.say("hang_up")
        await one.closed()


async def test_keys_of_the_agents_are_tones(tmp_path: Any, page: Callable[..., Awaitable[Page]]) -> None:
    async with here(tmp_path, 1) as (app, url):
        one = await page(url)
        one.hold()
        await until(lambda: one.of("said"))
        before = one.ear.heard
        line_of(app).press(99, "5")
        await until(lambda: one.ear.heard >= before + 1600)
        await until(lambda: line_of(app).speaker._heard > before)
        tone = np.array(ears(one)[before : before + 1600])
        spectrum = np.abs(np.fft.rfft(tone))
        loudest = sorted(np.argsort(spectrum)[-2:] * 10)
        assert loudest == [770, 1340]
        await one.say("hang_up")


async def test_a_server_that_ends_tells_the_page(tmp_path: Any, page: Callable[..., Awaitable[Page]]) -> None:
    async with here(tmp_path, **{"server.drain_s": 0}) as (_, url):
        one = await page(url)
        one.hold()
        await until(lambda: one.ear.heard > 1600)
    await until(lambda: one.socket.close_code)


@pytest.mark.slow
async def test_a_booking_with_a_barge_in_and_a_goodbye(serve: Callable[..., Any]) -> None:
    server = serve({"tape.mode": "full", "recording.mode": "all"})
    script = Script(
        name="booking",
        voice="en-us+adam",
        speed=0.9,
        expect="hung_up_by_agent",
        steps=[
            "wait",
            {"say": "What are your opening hours?"},
            {"interrupt": {"after_ms": 1500, "mid_word": True, "say": "I'd like to book an appointment."}},
            "wait",
            {"say": "On Tuesday."},
            "wait",
            {"say": "At ten o'clock."},
            "wait",
            {"say": "Yes, please."},
            "wait",
            {"say": "Goodbye."},
            "wait",
        ],
    )
    report = await run_call(server.url, script, line="browser")
    said = [line for line in server.log if line["message"] == "said"]
    assert report.ok, (report.outcome, report.error, [(line["role"], line["text"]) for line in said])
    assert report.outcome is Outcome.HUNG_UP_BY_AGENT
    assert (report.traffic.rejected, report.close_code) == (0, 1000)
    assert [item.clear_ms is not None for item in report.interruptions] == [True]
    assert any(line["interrupted"] for line in said if line["role"] == "agent")
    [booked] = [json.loads(line) for line in (server.data / "bookings.jsonl").read_text().splitlines()]
    assert booked["call"] == report.call_sid
    ended = await asyncio.to_thread(server.wait_for, "ended", call=report.call_sid)
    assert (ended["reason"], ended["gaps"]) == ("the agent hung up", 0)
    await until(lambda: list((server.data / "tapes").glob("*.gz")))
    assert replay_all([server.data / "tapes"]) == 0


@pytest.mark.slow
def test_a_simulated_page_comes_back(tmp_path: Any, made: list[bytes]) -> None:
    thread_time.run(_a_simulated_page_comes_back(tmp_path, made))


async def _a_simulated_page_comes_back(tmp_path: Any, made: list[bytes]) -> None:
    patient = {"wait": {"quiet_ms": 2000}}  # for longer than the socket is away
    script = Script.model_validate({"name": "dropped", "timeout_ms": 20_000, "steps": [patient, "hang_up"]})
    async with here(tmp_path, **{"tape.mode": "full"}) as (app, url):
        carrier, ticker = BrowserCarrier(url, Identity()), Ticker(asyncio.get_running_loop().time)
        call = carrier.call(Caller(script, [None, None], line_noise(-60), ticker, keep_audio=True))
        running_call = asyncio.create_task(call.run())
        await until(lambda: isinstance(call.talk, BrowserTalk) and call.talk.heard.heard > 8000)
        await call.drop(0.5)
        report = await running_call
        await carrier.close()
        assert report.ok, report
        assert isinstance(call.talk, BrowserTalk)
        assert call.talk.heard.heard == 20 * 16 * WORD_MS
        heard = np.zeros(call.talk.heard.heard + 320, np.int32)
        for position, pcm in call.talk.played:
            heard[position : position + len(pcm) // 2] += np.frombuffer(pcm, "<i2")
        await until(lambda: not list(app.calls))
        await until(lambda: list(tmp_path.glob("tapes/*.gz")))
    assert replay_all([tmp_path / "tapes"]) == 0
    assert heard[: call.talk.heard.heard].tolist() == np.frombuffer(b"".join(made), "<i2").tolist()
