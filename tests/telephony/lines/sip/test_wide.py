"""Opus over real sockets: wide-band both ways, a line that stays as it was agreed, and what happens without it."""

import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.engine.base import Engine, SpeakRequest, Speech
from agent.engine.embedded.phrase_decoder import PhraseDecoder
from agent.engine.embedded.synthesizer import EspeakSynthesizer, say
from agent.engine.simulated import SimulatedModel, SimulatedSynthesizer, Word
from agent.tape.file import read_lines
from audio.rate import WIDE
from audio.resample import to_both, to_line
from config.engine import SimulatedSettings
from config.exceptions import SettingsError
from config.settings import load_settings
from telephony.cli.main import main
from telephony.lines.rtp import opus
from telephony.lines.rtp.codec import G722, OPUS, PCMA, PCMU, Codec
from telephony.lines.rtp.g722 import G722Coder
from telephony.lines.rtp.opus import Opus
from telephony.lines.sip.call import SipCall
from telephony.lines.sip.dialogs.events import Answered, Ended, Reanswered
from telephony.lines.sip.syntax import sdp
from telephony.server.app import App
from telephony.server.bridge import Bridge
from telephony.tapes.replay import replay_all
from tests.debian import needs
from tests.telephony.lines.rtp.speech import hiss, samples, share
from tests.telephony.lines.sip.callee import Callee
from tests.telephony.lines.sip.phone import QUICK, Phone, likeness, likenesses, over, server, without_events

Open = Callable[..., Awaitable[Phone]]
BOTH: dict[str, Any] = {"sip__codecs": ["opus", "PCMU", "PCMA"]}
EMBEDDED: dict[str, Any] = {
    "engine__profile": "embedded",
    "engine__embedded__recognizer": "pocketsphinx",
    "engine__embedded__decoders": 1,
}
SILENT = 8  # bytes of silence in Opus
MS = 32  # bytes

pytestmark = needs("libopus0")


class Hissing(SimulatedSynthesizer):
    """Every word is 200 ms of what 8 kHz cannot carry, no two alike."""

    async def speak(self, request: SpeakRequest) -> AsyncGenerator[Speech, None]:
        """See Synthesizer."""
        for number, word in enumerate(request.text.split()):
            sound = samples(hiss(4)[6400 * (number % 20) :][:6400]) / 40_000
            yield Speech(sound.astype(np.float32), 16_000, (Word(word, 0, 180),))


def hissing(words: int = 16) -> Engine:
    settings = SimulatedSettings(first_word_ms=0, word_ms=0, first_audio_ms=0, words=words)
    return Engine(SimulatedModel(settings), Hissing(settings))


class WidePhone(Phone):
    """A phone that prefers Opus. What it hears is decoded as its packets came."""

    codecs = (OPUS, PCMU, PCMA)

    def say(self, pcm: bytes) -> None:
        """Speak, at 16 kHz."""
        self._words += [pcm[at : at + 640].ljust(640, b"\0") for at in range(0, len(pcm), 640)]

    def pcm(self) -> bytes:
        """All that was heard in Opus."""
        coder = Opus(WIDE)
        return b"".join(coder.decode(item.payload) for _, item in self.heard if item.payload_type == 111)

    def speech(self) -> list[int]:
        """The numbers of the packets that are no silence."""
        loud = [len(item.payload) > SILENT and item.payload != PCMU.silence for _, item in self.heard]
        return [n for n, is_loud in enumerate(loud) if is_loud]

    def reinvite(self, *codecs: Codec) -> None:
        """Offer only these, as a PBX does that takes a call over."""
        assert self.call
        self.negotiation = self.able(codecs)
        self.call.reinvite(self.negotiation.offer(), self._now_ms())
        self.flush()


@pytest.fixture
async def wide_phone() -> Any:
    """Opens phones with Opus; closes them afterwards."""
    opened: list[WidePhone] = []

    async def open_one(app: App, *args: Any) -> WidePhone:
        opened.append(WidePhone(*args))
        await opened[-1].open(app)
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """The caller's audio, as lines have told it: at 8 kHz and at 16."""
    told: list[tuple[bytes, bytes]] = []
    tell = Bridge.audio

    def overhear(self: Bridge, pcm: bytes, wide: bytes = b"") -> None:
        told.append((pcm, wide))
        tell(self, pcm, wide)

    monkeypatch.setattr(Bridge, "audio", overhear)
    return told


def line_of(app: App) -> SipCall:
    (line,) = app.calls
    assert isinstance(line, SipCall)
    return line


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "encrypted"])
async def test_what_lies_above_4_khz_is_heard_both_ways(
    wide_phone: Any, heard: list[tuple[bytes, bytes]], secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    more: dict[str, Any] = {}
    if secure:
        pytest.importorskip("pylibsrtp")
        monkeypatch.setattr(Phone, "secure", "required")
        more = {"sip__srtp": "required"}
    async with server(hissing(), **BOTH, **more) as app:
        one = await wide_phone(app)
        one.say(hiss(1.5))
        await one.talk()
        line = line_of(app)
        assert line.rate == 16_000
        await one.until(lambda: len(one.speech()) > 60 and len(heard) > 100)
        one.hang_up()
        await one.wait(Ended)
        await over(app)
    assert {item.payload_type for _, item in one.heard} == {111}
    steps = np.diff([item.timestamp for _, item in one.heard]) & 0xFFFF_FFFF
    assert set(steps.tolist()) == {960}
    loud = one.speech()
    assert share(one.pcm()[640 * loud[5] : 640 * loud[-5]], 4800, 7200) > 0.9
    wide, narrow = b"".join(item[1] for item in heard), b"".join(item[0] for item in heard)
    assert len(wide) == 2 * len(narrow) == 640 * len(heard)
    assert share(wide[MS * 300 : MS * 1300], 4800, 7200) > 0.9
    assert np.abs(samples(narrow)).mean() < 0.1 * np.abs(samples(wide)).mean()


async def test_a_voice_arrives_as_it_is(wide_phone: Any, sent: list[bytes]) -> None:
    settings = SimulatedSettings(first_word_ms=0, word_ms=0)
    async with server(Engine(SimulatedModel(settings), EspeakSynthesizer()), **BOTH) as app:
        one = await (await wide_phone(app)).talk()
        await one.until(lambda: len(one.speech()) > 100)
        one.hang_up()
        await over(app)
    assert likeness(b"".join(sent)[: MS * 1500], one.pcm()) > 0.8


async def test_without_the_setting_calls_are_g711(wide_phone: Any, heard: list[tuple[bytes, bytes]]) -> None:
    async with server() as app:
        one = await (await wide_phone(app)).talk()
        assert line_of(app).rate == 8000
        assert {item.payload_type for _, item in one.heard} == {0}
        await one.until(lambda: heard)
        assert {(len(pcm), wide) for pcm, wide in heard} == {(320, b"")}
        one.hang_up()
        await over(app)


async def test_a_caller_without_opus_is_served_as_ever(phone: Open, sent: list[bytes]) -> None:
    async with server(**BOTH) as app:
        one = await (await phone(app)).talk()
        assert line_of(app).rate == 8000
        await one.until(lambda: len(one.speech()) > 50)
        assert likeness(b"".join(sent), one.pcm()) > 0.99
        one.hang_up()
        await over(app)


async def test_to_g711_and_back_the_line_stays_wide(wide_phone: Any, heard: list[tuple[bytes, bytes]]) -> None:
    async with server(hissing(120), **BOTH) as app:
        one = await (await wide_phone(app)).talk()
        line = line_of(app)
        kinds = []
        for codecs in ((PCMU,), (OPUS, PCMU), (PCMA,), (OPUS,)):
            one.reinvite(*codecs)
            assert (await one.wait(Reanswered)).status == 200
            kind = codecs[0].payload_type
            begin = len(one.heard)
            await one.until(lambda b=begin, k=kind: sum(i.payload_type == k for _, i in one.heard[b:]) > 25)
            kinds.append(one.heard[-1][1].payload_type)
            assert line.rate == 16_000
        one.hang_up()
        await over(app)
    assert kinds == [0, 111, 8, 111]
    assert {(len(pcm), len(wide)) for pcm, wide in heard} == {(320, 640)}
    assert line.ending.end is not None
    assert not line.ending.end.failed


async def test_keys_and_talking_over_the_agent(wide_phone: Any, pressed: list[str]) -> None:
    async with server(hissing(60), turn__resume=False, **BOTH) as app:
        one = await (await wide_phone(app)).talk()
        await one.until(lambda: len(one.speech()) > 20)
        one.press("1#9")
        await one.until(lambda: pressed == ["1", "#", "9"])
        count = len(one.heard)
        await one.until(lambda: len(one.heard) > count + 15)
        assert all(len(item.payload) <= SILENT for _, item in one.heard[count + 10 :])  # it fell silent
        one.hang_up()
        await over(app)


async def test_keys_for_a_peer_that_takes_none_are_tones_in_the_wide_audio(wide_phone: Any) -> None:
    async with server(hissing(1), **BOTH) as app:
        one = await wide_phone(app)
        one.dial(body=without_events(one.negotiation.offer()))
        await one.wait(Answered)
        await one.until(lambda: len(one.speech()) > 5)
        await one.until(lambda: all(n < len(one.heard) - 20 for n in one.speech()))  # the greeting is over
        begin = len(one.heard)
        line_of(app).press(99, "5")
        await one.until(lambda: len(one.heard) > begin + 20)
        one.hang_up()
        await over(app)
    tone = one.pcm()[640 * begin :]
    assert share(tone, 740, 800) > 0.3
    assert share(tone, 1300, 1370) > 0.3


async def test_payloads_that_are_nonsense_are_counted_and_the_call_goes_on(
    wide_phone: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with server(hissing(), **BOTH) as app:
        one = await (await wide_phone(app)).talk()
        line = line_of(app)
        assert line.media
        assert one.media
        encode = one.media._coder.encode
        bad = [b"\x03\0", b"\x4b\xff\xff\xff", b"\xff" * 1200]
        one.media._coder.encode = lambda pcm: bad.pop() if bad else encode(pcm)
        await one.until(lambda: line.counts()["frames_damaged"] == 3)
        frames = line.counts()["frames"]
        await one.until(lambda: line.counts()["frames"] > frames + 10)
        one.hang_up()
        await over(app)
    (ended,) = [record for record in caplog.records if record.message == "ended"]
    assert (ended.damaged, ended.outcome, ended.call) == (3, "hangup", line.call_id)


async def test_the_embedded_engine_hears_all_of_a_wide_band_call(
    wide_phone: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    rates: list[int] = []
    start = PhraseDecoder.start

    def noticed(self: PhraseDecoder, *args: Any, rate: int, **more: Any) -> None:
        rates.append(rate)
        start(self, *args, rate=rate, **more)

    monkeypatch.setattr(PhraseDecoder, "start", noticed)
    async with server(**EMBEDDED, log__words=True, **BOTH) as app:
        one = await (await wide_phone(app)).talk()
        bridge = line_of(app).listener
        assert isinstance(bridge, Bridge)
        await one.until(lambda: bridge._conversation.session.state == "listening")
        one.say(to_both(*say("what are your opening hours", "en-us+adam", 0.9))[1])
        await one.until(lambda: any(getattr(r, "role", "") == "caller" for r in caplog.records))
        one.hang_up()
        await over(app)
    (said,) = [record for record in caplog.records if getattr(record, "role", "") == "caller"]
    assert (said.text, set(rates)) == ("what are your opening hours", {16_000})


class G722Phone(WidePhone):
    """A phone that has nothing else."""

    codecs = (G722,)

    def pcm(self) -> bytes:
        """All that was heard."""
        coder = G722Coder(WIDE)
        return b"".join(coder.decode(item.payload) for _, item in self.heard if item.payload_type == 9)


async def test_a_phone_with_g722_alone_is_served_at_16_khz_as_we_come(
    monkeypatch: pytest.MonkeyPatch, heard: list[tuple[bytes, bytes]]
) -> None:
    async with server(hissing()) as app:
        one = await G722Phone().open(app)
        one.say(hiss(1.5))
        await one.talk()
        assert line_of(app).rate == 16_000
        await one.until(lambda: len(one.heard) > 150 and len(heard) > 120)
        counts = line_of(app).counts()
        one.hang_up()
        await one.wait(Ended)
        await over(app)
        await one.close()
    assert {item.payload_type for _, item in one.heard} == {9}
    assert set(np.diff([item.timestamp for _, item in one.heard]) & 0xFFFF_FFFF) == {160}
    assert share(one.pcm(), 5000, 7000) > 0.8
    assert share(b"".join(wide for _, wide in heard), 5000, 7000) > 0.8
    assert counts["frames_damaged"] == 0


async def test_our_own_offer_has_the_order_of_the_setting(callee: Callable[..., Awaitable[Callee]]) -> None:
    person = await callee()
    async with server(sip__codecs=["PCMA", "opus"]) as app:
        assert app.sip
        app.sip.outbound.originate(person.uri)
        await person.until(lambda: person.acked)
        offer = sdp.parse(person.requests[0].body).media[0]
        assert offer.formats == ["8", "111", "101", "110"]
        assert line_of(app).rate == 8000  # the callee took PCMA
        person.hang_up()
        await over(app)


def test_a_server_whose_opus_is_missing_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opus, "_library", lambda: None)
    with pytest.raises(SettingsError, match=r"^sip\.codecs: opus needs the library libopus \(Debian: apt-get install"):
        App(load_settings(None, QUICK | {"sip.codecs": ["opus", "PCMU"]}))
    App(load_settings(None, QUICK))


@pytest.mark.parametrize("codecs", [[], ["opus", "opus"], ["G729"]])
def test_codecs_that_cannot_be_are_refused(codecs: list[str]) -> None:
    with pytest.raises(SettingsError, match=r"sip\.codecs"):
        load_settings(None, {"sip.codecs": codecs})


@pytest.mark.looptime
async def test_speech_of_the_caller_arrives_as_it_was_said(wide_phone: Any, heard: list[tuple[bytes, bytes]]) -> None:
    words = to_line(*say("wait a moment please"), line_rate=16_000)
    async with server(**BOTH) as app:
        one = await wide_phone(app)
        one.dial()
        await one.wait(Answered)
        one.say(words)
        await one.until(lambda: MS * 20 * len(heard) > len(words) + MS * 500)
        one.hang_up()
        await over(app)
    pieces = likenesses(words, b"".join(wide for _, wide in heard), 400)  # of 200 ms
    assert np.median(pieces) > 0.75


async def test_the_tape_of_a_wide_call_replays_the_same_and_its_report_can_be_made(
    wide_phone: Any, tmp_path: Path
) -> None:
    """Also with the speech probabilities computed anew: all that decides is at 8 kHz."""
    full = {"tape__mode": "full", "server__data": tmp_path, **BOTH}
    async with server(**EMBEDDED, **full) as app:
        one = await (await wide_phone(app)).talk()
        one.say(to_line(*say("what are your opening hours"), line_rate=16_000))  # over the greeting
        one.press("5")
        begin = len(one.heard)
        await one.until(lambda: len(one.heard) > begin + 250)
        one.reinvite(PCMU)
        await one.wait(Reanswered)
        await one.until(lambda: len(one.heard) > begin + 350)
        one.hang_up()
        await over(app)
    (tape,) = (tmp_path / "tapes").glob("*.jsonl.gz")
    assert replay_all([tape]) == 0
    assert replay_all([tape], recompute=True) == 0
    notes = [json.loads(line) for line in read_lines(tape)]
    assert [note["out"] for note in notes if note.get("out") in ("media", "mark")].count("media") > 50
    page = tmp_path / "page.html"
    assert main(["report", str(tape), "-o", str(page)]) == 0
    assert page.stat().st_size > 10_000
