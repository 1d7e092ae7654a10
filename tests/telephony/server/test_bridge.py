"""A line and its conversation, joined: what a wide-band line hears and brings, and what a narrow-band one does."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.engine.base import (
    HIDDEN,
    Cue,
    Done,
    Engine,
    ModelEvent,
    ReplyRequest,
    SpeechBlock,
    Text,
    ToolResult,
    Transcript,
)
from agent.engine.embedded.synthesizer import EspeakSynthesizer, say
from agent.listening.vad import Vad
from agent.records import Records
from agent.tape.file import read_lines
from agent.tape.reader import read
from agent.tape.replay import replay
from audio.g711 import decode, encode
from audio.rate import RATE, WIDE_RATE
from audio.resample import resample, to_both
from audio.tones import tones
from config.agent import AgentSettings
from config.logging import Log
from config.parties import Parties
from config.settings import Settings, TapeSettings
from telephony.lines.ending import HangUp, Outcome
from telephony.lines.metrics import Metrics
from telephony.records.call_log import CallLog
from telephony.records.call_record import CallRecord
from telephony.server.bridge import Bridge, Shared
from telephony.tapes.tapes import Tapes
from telephony.timing.figures import Figures

FRAME_MS = 20


class Model:
    """Greets, and says that it has heard."""

    def __init__(self) -> None:
        self.requests: list[ReplyRequest] = []

    async def load(self) -> None: ...

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        self.requests.append(request)
        yield Text("Good morning." if request.cue is Cue.GREET else "I have heard that.")
        yield Done()

    def cancel(self, request: str) -> None: ...

    async def close(self) -> None: ...


class Ears:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.blocks: list[SpeechBlock] = []

    async def load(self) -> None: ...

    async def hear(self, block: SpeechBlock) -> Transcript:
        self.blocks.append(block)
        return Transcript("")

    async def finish(self, utterance: str) -> Transcript:
        return Transcript("when are you open", final=True)

    def cancel(self, utterance: str) -> None: ...

    async def close(self) -> None: ...


class Line:
    """Plays everything at once."""

    def __init__(self, rate: int) -> None:
        self.parties = Parties("+15550100123", "+15550100199")
        self.call_id = "CA1"
        self.log = Log(logging.getLogger("test"), {})
        self.rate = rate
        self.carries_keys = False
        self.show = None
        self.accepted = True
        self.outcome: Outcome = HangUp()
        self.played: list[bytes] = []
        self.failed: Exception | None = None
        self.listener: Bridge | None = None
        self.news = asyncio.Event()

    def summary(self) -> dict[str, str | int]:
        return {"outcome": "hangup"}

    def counts(self) -> dict[str, int]:
        return {}

    def play(self, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        self.played.append(pcm)
        for mark in marks:
            asyncio.get_running_loop().call_soon(self._heard, reply, mark)

    def _heard(self, reply: int, ms: float) -> None:
        assert self.listener
        self.listener.played(reply, ms)
        self.news.set()

    def pause(self, reply: int) -> float:
        return 0.0

    def fail(self, error: Exception) -> None:
        self.failed = error

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not for this test")


class Joined:
    """A call whose time the test controls."""

    def __init__(self, rate: int, folder: Path) -> None:
        self.folder = folder
        self.model, self.ears, self.line = Model(), Ears(), Line(rate)
        settings = Settings(tape=TapeSettings(mode="full"))
        self.tapes = Tapes(folder, settings.tape)
        self.vad = Vad()
        metrics = Metrics()
        figures = Figures(lambda: settings.targets, metrics, time.monotonic)
        self.shared = Shared(settings, self.engine(), self.vad, metrics, Records(folder), figures, tapes=self.tapes)
        self.bridge = self.line.listener = Bridge(self.shared, self.line, AgentSettings(name="desk"), lambda _: None)

    def engine(self) -> Engine:
        return Engine(self.model, EspeakSynthesizer(), self.ears)

    async def until(self, what: Callable[[], object]) -> None:
        async with asyncio.timeout(15):
            while not what():
                self.line.news.clear()
                await self.line.news.wait()

    async def hears(self, pcm: bytes, wide: bytes) -> None:
        """The caller's audio, frame by frame, with the voice detector's result, as the ticker would ask for it."""
        size = FRAME_MS * RATE // 1000 * 2
        for at in range(0, len(pcm), size):
            heard = decode(encode(pcm[at : at + size]))  # as lines give it
            self.bridge.audio(heard, *([wide[2 * at : 2 * at + 2 * size]] if wide else []))
            for stream, value, at_ms in self.vad.run():
                stream.tell(value, at_ms)
            await asyncio.sleep(0)

    async def turn(self) -> tuple[bytes, bytes]:
        """The greeting, the caller's question and the answer; gives what the caller said, at both rates."""
        self.bridge.start()
        await self.until(lambda: self.line.played)
        await self.until(lambda: self.bridge._conversation.session.state == "listening")
        greeted = len(self.line.played)
        pcm, wide = to_both(*say("when are you open"))
        silence = bytes(16 * 1500)
        said = silence + pcm + silence, 2 * silence + wide + 2 * silence
        await self.hears(said[0], said[1] if self.line.rate == WIDE_RATE else b"")
        await self.until(lambda: len(self.line.played) > greeted)
        await self.bridge.closed()
        self.tapes.stop()
        assert self.line.failed is None
        return said


@pytest.fixture(params=[RATE, WIDE_RATE], ids=["narrow-band", "wide-band"])
async def joined(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Joined]:
    call = Joined(request.param, tmp_path)
    yield call
    call.tapes.stop()


async def test_the_line_plays_and_the_engine_hears_at_the_lines_rate(joined: Joined) -> None:
    pcm, wide = await joined.turn()
    rate = joined.line.rate
    greeting = len(joined.line.played[0]) / 2 / rate
    sound, made_at = say("Good morning.")
    assert greeting == pytest.approx(len(sound) / made_at, abs=0.4)
    asked = joined.model.requests[-1]
    assert asked.transcript == "when are you open"
    blocks = joined.ears.blocks
    assert len(blocks) > 3
    for narrow, broad in [(asked.audio, asked.wide), *((block.audio, block.wide) for block in blocks)]:
        assert narrow
        if rate == WIDE_RATE:
            at = wide.index(broad)
            assert narrow == decode(encode(pcm[at // 2 : at // 2 + len(narrow)]))
            assert len(broad) == 2 * len(narrow)
        else:
            assert narrow in decode(encode(pcm))
            assert broad == b""


@pytest.mark.parametrize("shift_ms", [0, 7, 13])
async def test_keys_as_tones_are_keys_and_no_speech(joined: Joined, shift_ms: int) -> None:
    """Neither the voice detector nor the engine hears them."""
    joined.bridge.start()
    await joined.until(lambda: joined.bridge._conversation.session.state == "listening")
    pressed = np.frombuffer(tones("14", WIDE_RATE), "<i2").astype(np.float32) / 32_768
    pcm, wide = to_both(np.concatenate([np.zeros(16 * (1000 + shift_ms), np.float32), pressed]), WIDE_RATE)
    frames = len(pcm) // 320
    await joined.hears(pcm[: 320 * frames], wide[: 640 * frames] if joined.line.rate == WIDE_RATE else b"")
    await joined.hears(bytes(16 * 2500), bytes(32 * 2500) if joined.line.rate == WIDE_RATE else b"")
    await joined.until(lambda: len(joined.model.requests) == 2)
    await joined.bridge.closed()
    joined.tapes.stop()
    assert (joined.model.requests[1].digits, joined.ears.blocks) == ("14", [])
    assert joined.line.failed is None
    (path,) = joined.folder.glob("*.gz")
    found = replay(*read(read_lines(path)), Vad())
    assert found.difference is None, str(found.difference)


async def test_its_tape_replays_identically_also_with_the_detectors_word_anew(joined: Joined) -> None:
    await joined.turn()
    (path,) = joined.folder.glob("*.gz")
    for vad in (None, Vad()):
        found = replay(*read(read_lines(path)), vad)
        assert found.difference is None, str(found.difference)
        assert found.commands > 8


async def test_a_synthesizers_band_is_not_cut_off_on_a_wide_band_line(joined: Joined) -> None:
    rate = joined.line.rate
    await joined.turn()
    spectrum = np.abs(np.fft.rfft(np.frombuffer(b"".join(joined.line.played), "<i2"))) ** 2
    hertz = np.fft.rfftfreq(2 * len(spectrum) - 1, 1 / rate)[: len(spectrum)]
    above = spectrum[hertz > 4200].sum() / spectrum.sum()
    sound, made_at = say("Good morning. I have heard that.")
    reference = np.abs(np.fft.rfft(resample(sound, made_at, WIDE_RATE))) ** 2
    expected = reference[np.fft.rfftfreq(2 * len(reference) - 1, 1 / WIDE_RATE)[: len(reference)] > 4200].sum()
    assert above == (pytest.approx(expected / reference.sum(), rel=0.5) if rate == WIDE_RATE else 0)


async def test_of_a_tool_that_runs_in_private_its_record_has_no_words(joined: Joined) -> None:
    states: list[CallRecord] = []
    joined.bridge._call = CallLog(CallRecord(1, 1, "here", "run"), states.append, words=True, numbers="full")
    result = ToolResult("pay", {"card": "4111"}, {"paid": "4111"}, "no card is 4111")
    joined.bridge._ran(result)
    joined.bridge.private = True
    joined.bridge._ran(result)
    open_, private = states[-1].tools
    assert (open_.arguments, open_.result, open_.error) == ({"card": "4111"}, {"paid": "4111"}, "no card is 4111")
    assert (private.name, private.ok, private.arguments, private.result, private.error) == (
        "pay",
        False,
        {},
        {},
        HIDDEN,
    )
