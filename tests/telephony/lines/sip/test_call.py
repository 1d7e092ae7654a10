"""One call's line over real sockets: what is heard, interruptions, keys, hold, transfers, and how it ends."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.conversation import Conversation
from agent.engine.base import Cue, Done, Engine, ModelEvent, Next, ReplyRequest, Text
from agent.engine.embedded.synthesizer import say
from agent.engine.simulated import SimulatedSynthesizer
from agent.events import Dtmf, Event
from agent.tape.file import read_lines
from audio import g711
from audio.resample import to_line
from audio.tones import tones
from config.settings import load_settings
from telephony.lines.rtp.codec import PCMA, PCMU
from telephony.lines.rtp.dtmf import KeyReceiver
from telephony.lines.rtp.media import Media
from telephony.lines.sip.call import SipCall
from telephony.lines.sip.dialogs.events import Answered, Ended, Reanswered
from telephony.lines.sip.syntax.message import Request, Response, encode
from telephony.server.app import App
from telephony.server.bridge import Bridge
from tests.audio.goertzel import heard_keys
from tests.telephony.lines.sip.peer import message
from tests.telephony.lines.sip.phone import QUICK, Phone, likeness, over, server, without_events

pytestmark = pytest.mark.looptime
KEYS_KIND = 101  # the payload type of keys in offers
Open = Callable[..., Awaitable[Phone]]
LONG: dict[str, Any] = {"engine__simulated__words": 40}  # 8 s


def line_of(app: App) -> SipCall:
    (line,) = app.calls
    assert isinstance(line, SipCall)
    return line


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_greeting_is_heard_and_bye_ends(phone: Open, sent: list[bytes], transport: str) -> None:
    async with server() as app:
        one = await (await phone(app, transport)).talk()
        await one.until(lambda: len(one.speech()) > 50)
        assert likeness(b"".join(sent), one.pcm()) > 0.99
        assert not any(item.payload_type for _, item in one.heard)
        packets = [item for _, item in one.heard]
        assert all((b.sequence - a.sequence) & 0xFFFF == 1 for a, b in pairwise(packets))
        assert all((b.timestamp - a.timestamp) & 0xFFFF_FFFF == 160 for a, b in pairwise(packets))
        assert [n for n, item in enumerate(packets) if item.marker] == sorted({0, one.speech()[0]})
        one.hang_up()
        await one.wait(Ended)
        await over(app)


async def test_an_a_law_caller_is_heard_as_the_tape_will_have_it(phone: Open, heard: list[bytes]) -> None:
    words = to_line(*say("Good morning to you."))
    async with server() as app:
        one = await phone(app)
        one.negotiation = one.able((PCMA,))
        await one.talk()
        one.say(words)
        await one.until(lambda: likeness(words, b"".join(heard)) > 0.9)
        pcm = b"".join(heard)
        assert g711.decode(g711.encode(pcm)) == pcm
        one.hang_up()
        await over(app)


async def test_how_much_of_the_callers_audio_was_missing_is_on_the_tape(phone: Open, tmp_path: Path) -> None:
    async with server(tape__mode="full", server__data=str(tmp_path)) as app:
        one = await (await phone(app)).talk()
        for talking, frames in ((True, 25), (False, 25), (True, 60)):
            one.talking, begin = talking, len(one.heard)
            await one.until(lambda begin=begin, frames=frames: len(one.heard) > begin + frames)
        one.hang_up()
        await over(app)
    (tape,) = (tmp_path / "tapes").glob("*.jsonl.gz")
    notes = [json.loads(line) for line in read_lines(tape)]
    missing_ms = sum(note["ms"] for note in notes if note.get("in") == "gap")
    assert missing_ms == notes[-1]["end"]["concealed_ms"] > 0


@pytest.mark.slow
@pytest.mark.looptime(False)
async def test_the_embedded_engine_answers(phone: Open, sent: list[bytes]) -> None:
    async with server(engine__profile="embedded", engine__process=False) as app:
        one = await (await phone(app)).talk()
        await one.until(lambda: len(one.speech()) > 60)
        assert likeness(b"".join(sent), one.pcm()) > 0.9
        one.hang_up()
        await over(app)


async def test_encrypted_audio(phone: Open, sent: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pylibsrtp")
    monkeypatch.setattr(Phone, "secure", "required")
    async with server(sip__srtp="required") as app:
        one = await (await phone(app)).talk()
        await one.until(lambda: len(one.speech()) > 40)
        assert likeness(b"".join(sent), one.pcm()) > 0.99
        line = line_of(app)
        assert line.media is not None
        assert line.media.srtp is not None
        await one.until(lambda: line.counts()["frames"] > 10)
        one.hang_up()
        await over(app)


async def test_frames_leave_every_20_ms(phone: Open) -> None:
    """In time that no other work takes up; what a machine makes of it is measured apart."""
    async with server() as app:
        one = await (await phone(app)).talk()
        await one.until(lambda: len(one.heard) > 150)
        gaps = np.diff([at for at, _ in one.heard])
        assert abs(np.mean(gaps) - 0.020) < 0.0002
        assert np.abs(gaps - 0.020).max() < 0.005
        one.hang_up()
        await over(app)


async def test_speech_silences_the_agent_within_a_frame(
    phone: Open, sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the pause goes one frame that fades, then silence; what is remembered is what left."""
    paused: list[tuple[int, float]] = []
    pause = SipCall.pause

    def noticed(self: SipCall, reply: int) -> float:
        assert self.media
        heard_ms = pause(self, reply)
        paused.append((self.media.counters.sent, heard_ms))
        return heard_ms

    monkeypatch.setattr(SipCall, "pause", noticed)
    async with server(**LONG, turn__resume=False) as app:
        one = await (await phone(app)).talk()
        first = one.speech()[0]
        await one.until(lambda: len(one.speech()) > 30)
        one.press("7")
        await one.until(lambda: bool(paused) and len(one.heard) > paused[0][0] + 5)
        count, heard_ms = paused[0]
        fade, *after = [item.payload for _, item in one.heard[count : count + 5]]
        assert heard_ms == (count - first) * 20
        assert heard_ms < len(b"".join(sent)) / 16 - 100  # there was more to say
        assert np.abs(np.frombuffer(PCMU.decode(fade), "<i2").astype(int))[-10:].max() < 1500
        assert after[:3] == [PCMU.silence] * 3
        one.hang_up()
        await over(app)


async def test_words_of_the_caller_interrupt(phone: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Speech by RTP reaches the voice detector: the greeting stops, and stays cut."""
    caplog.set_level(logging.INFO)
    async with server(**LONG) as app:
        one = await (await phone(app)).talk()
        words, rate = say("wait a moment please")
        one.say(to_line(words, rate))
        await one.until(lambda: any(r.message == "interrupted" for r in caplog.records))
        one.hang_up()
        await over(app)


@pytest.fixture
def pressed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that reach the agent."""
    keys: list[str] = []
    handle = Conversation.handle

    def noticed(self: Conversation, event: Event) -> None:
        if isinstance(event, Dtmf):
            keys.append(event.digit)
        handle(self, event)

    monkeypatch.setattr(Conversation, "handle", noticed)
    return keys


def inform(one: Phone, kind: str, body: bytes) -> None:
    """Send a key by INFO."""
    assert one.call
    info = one.call.dialog.request("INFO")
    info.headers.add("Content-Type", kind)
    info.body = body
    one.call.exchange(lambda: info, lambda *_: None, one._now_ms())
    one.flush()


async def test_keys_by_rtp_and_by_info_reach_the_agent(phone: Open, pressed: list[str]) -> None:
    async with server() as app:
        one = await (await phone(app)).talk()
        one.press("1#9")
        await one.until(lambda: len(pressed) == 3)
        inform(one, "application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n")
        await one.until(lambda: len(pressed) == 4)
        inform(one, "audio/telephone-event", bytes([10, 0x8A, 0x05, 0x00]))
        await one.until(lambda: len(pressed) == 5)
        assert pressed == ["1", "#", "9", "5", "*"]
        one.hang_up()
        await over(app)


class Slow(Phone):
    """Its ACK is late."""

    held: bytes | None = b""  # None: not held back any more

    def send(self, data: bytes) -> None:
        if data.startswith(b"ACK") and self.held is not None:
            self.held = data
        else:
            super().send(data)

    def acknowledge(self) -> None:
        assert self.held
        ack, self.held = self.held, None
        self.send(ack)


async def test_keys_before_the_ack_reach_the_agent(pressed: list[str]) -> None:
    """On the way the ACK may be lost, or overtaken by audio, which comes by another socket."""
    async with server() as app:
        one = await Slow().open(app)
        one.dial()
        await one.wait(Answered)
        one.press("17")
        heard = line_of(app)._wire
        await one.until(lambda: heard.media is not None and heard.media.counters.received > 50)
        assert pressed == []
        one.acknowledge()
        await one.until(lambda: len(pressed) == 2)
        assert pressed == ["1", "7"]
        one.hang_up()
        await over(app)
        await one.close()


async def test_a_key_by_rtp_and_by_info_at_once_counts_once(phone: Open, pressed: list[str]) -> None:
    """As linphone (use_info) and twinkle send them."""
    async with server() as app:
        one = await (await phone(app)).talk()
        bridge = line_of(app).listener
        assert isinstance(bridge, Bridge)
        one.press("4")
        inform(one, "application/dtmf-relay", b"Signal=4\r\nDuration=160\r\n")
        await one.until(lambda: bridge._keypad.repeated == 1)
        one.press("5")
        await one.until(lambda: len(pressed) == 2)
        inform(one, "application/dtmf", b"5")
        await one.until(lambda: bridge._keypad.repeated == 2)
        assert pressed == ["4", "5"]
        one.hang_up()
        await over(app)


async def test_hold_stops_the_audio_and_resume_goes_on_where_it_was(phone: Open, sent: list[bytes]) -> None:
    async with server(**LONG) as app:
        one = await (await phone(app)).talk()
        await one.until(lambda: len(one.speech()) > 30)
        one.direct("inactive")
        assert (await one.wait(Reanswered)).status == 200
        await asyncio.sleep(0.05)  # what was on its way
        held = len(one.heard)
        await asyncio.sleep(0.3)
        assert len(one.heard) == held
        one.direct("sendrecv")
        await one.wait(Reanswered)
        await one.until(lambda: len(one.speech()) > 80)
        assert len(app.calls) == 1
        assert likeness(b"".join(sent), one.pcm()) > 0.99  # as if there had been no hold
        one.hang_up()
        await over(app)


async def test_late_offer_is_answered_in_the_ack(phone: Open) -> None:
    """Cisco and Asterisk may call without SDP: ours is the offer, theirs comes with the ACK."""

    def signal(method: str, to: str, body: bytes = b"") -> None:
        host, port = one.address
        one.send(
            encode(
                message(
                    f"""
{method} sip:1000@127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK-{method};rport
From: <sip:ann@127.0.0.1>;tag=1
To: {to}
Call-ID: late
CSeq: {2 if method == "BYE" else 1} {method}
Contact: <sip:ann@{host}:{port}>
Content-Type: application/sdp
""",
                    body,
                )
            )
        )

    async with server() as app:
        one = await phone(app)
        signal("INVITE", "<sip:1000@127.0.0.1>")
        await one.until(lambda: any(getattr(m, "status", 0) == 200 for m in one.messages))
        ok = next(m for m in one.messages if isinstance(m, Response) and m.status == 200)
        answer, agreed = one.negotiation.answer(ok.body)
        one.media = Media(agreed, one._next, one._now_ms())
        signal("ACK", ok.headers.get("To"), answer)
        await one.until(lambda: len(one.speech()) > 20)
        signal("BYE", ok.headers.get("To"))
        await over(app)


class Operator:
    """A model that hangs up, or puts every caller through; it may press keys before."""

    def __init__(self, after: Next, keys: str) -> None:
        self.after = after
        self.keys = keys

    async def load(self) -> None:
        """Nothing to load."""

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        assert request.cue is Cue.GREET
        yield Text("One moment.")
        transfer = "reception" if self.after is Next.TRANSFER else ""
        yield Done(next=self.after, transfer_to=transfer, keys=self.keys)

    def cancel(self, request: str) -> None:
        """Nothing goes on."""

    async def close(self) -> None:
        """Nothing to give back."""


def engine(after: Next, keys: str = "") -> Engine:
    return Engine(Operator(after, keys), SimulatedSynthesizer(load_settings(None, QUICK).engine.simulated))  # type: ignore[arg-type]


async def test_keys_go_out_as_events_once_the_last_word_was_heard(phone: Open) -> None:
    async with server(engine(Next.HANG_UP, "10w4#")) as app:
        one = await phone(app)
        one.dial()
        await one.wait(Ended)
        await over(app)
        events = [(n, item) for n, (_, item) in enumerate(one.heard) if item.payload_type == KEYS_KIND]
        receiver = KeyReceiver()
        assert "".join(receiver.receive(item, 20.0 * n) or "" for n, item in events) == "104#"
        first, words = events[0][0], [n for n in one.speech() if one.heard[n][1].payload_type != KEYS_KIND]
        assert 0 <= first - max(words) < 10  # the pause after a word
        begun = [item.timestamp for _, item in events if item.marker]
        assert [(b - a) // 8 for a, b in pairwise(begun)] == [240, 740, 240]


async def test_keys_go_out_as_tones_where_the_phone_takes_no_events(phone: Open) -> None:
    async with server(engine(Next.HANG_UP, "10w4#")) as app:
        one = await phone(app)
        one.dial(body=without_events(one.negotiation.offer()))
        await one.wait(Ended)
        await over(app)
        assert not any(item.payload_type == KEYS_KIND for _, item in one.heard)
        assert heard_keys(one.pcm()) == "104#"


@pytest.mark.parametrize(("mode", "keys"), [("auto", "104#9"), ("never", "9")])
async def test_keys_as_tones_reach_the_agent_where_no_events_were_agreed_on(
    phone: Open, pressed: list[str], mode: str, keys: str
) -> None:
    async with server(call__key_tones=mode) as app:
        one = await phone(app)
        one.dial(body=without_events(one.negotiation.offer()))
        await one.wait(Answered)
        assert not line_of(app).carries_keys
        one.say(tones("104#") + bytes(16 * 100))
        await one.until(lambda: not one._words)
        await one.until(lambda: len(pressed) == len(keys) - 1)
        inform(one, "application/dtmf", b"9")
        await one.until(lambda: "9" in pressed)
        assert "".join(pressed) == keys
        one.hang_up()
        await over(app)


async def test_where_events_were_agreed_on_tones_are_no_keys(phone: Open, pressed: list[str]) -> None:
    async with server() as app:
        one = await (await phone(app)).talk()
        assert line_of(app).carries_keys
        one.say(tones("1") + bytes(16 * 200))
        await one.until(lambda: not one._words)
        one.press("9")
        await one.until(lambda: pressed)
        assert pressed == ["9"]
        one.hang_up()
        await over(app)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_agent_hangs_up_after_its_last_word(phone: Open, sent: list[bytes], transport: str) -> None:
    async with server(engine(Next.HANG_UP)) as app:
        one = await phone(app, transport)
        one.dial()
        await one.wait(Answered)
        await one.wait(Ended)
        await over(app)
        assert (len(one.heard) - one.speech()[0]) * 20 >= len(b"".join(sent)) / 16
        assert likeness(b"".join(sent), one.pcm()) > 0.99
        assert 'voxline_calls_total{outcome="hangup"} 1.0' in app.metrics.exposition().decode()


@pytest.mark.parametrize("obliging", [True, False])
async def test_transfer_by_refer(
    phone: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, obliging: bool
) -> None:
    monkeypatch.setattr(Phone, "obliging", obliging, raising=False)
    async with server(engine(Next.TRANSFER)) as app:
        one = await phone(app)
        one.dial()
        await one.wait(Answered)
        line_of(app)._call.peer_allows.add("REFER")  # although the other phone does not say so
        await one.wait(Ended)
        refer = next(m for m in one.messages if isinstance(m, Request) and m.method == "REFER")
        assert refer.headers.get("Refer-To") == "<sip:+15550100199@127.0.0.1>"
        await over(app)
        assert ("the transfer failed" in caplog.text) != obliging
        outcome = "transfer" if obliging else "failed"
        assert f'voxline_calls_total{{outcome="{outcome}"}} 1.0' in app.metrics.exposition().decode()


async def test_transfer_that_the_peer_cannot_do_ends_the_call(
    phone: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Phone, "obliging", False, raising=False)
    async with server(engine(Next.TRANSFER)) as app:
        one = await phone(app)
        one.dial()
        await one.wait(Ended)
        await over(app)
        assert "the peer does not allow REFER" in caplog.text


async def test_bug_in_one_call_ends_it_alone(
    phone: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with server(**LONG) as app:
        one, other = await (await phone(app)).talk(), await (await phone(app)).talk()
        first = min(app.calls, key=lambda line: line.log.extra["call"] != one.call)  # any of both
        assert isinstance(first, SipCall)
        assert first.listener

        def broken(pcm: bytes, wide: bytes = b"") -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(first.listener, "audio", broken)
        await asyncio.wait([asyncio.create_task(p.wait(Ended)) for p in (one, other)], return_when="FIRST_COMPLETED")
        assert "call failed: a bug" in caplog.text
        assert len(app.sip.calls) == 1 if app.sip else False
        for p in (one, other):
            p.hang_up()
        await over(app)


async def test_log_names_the_call(phone: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with server() as app:
        one = await (await phone(app)).talk()
        line = line_of(app)
        call_id = line.call_id
        await one.until(lambda: line.counts()["frames"] > 0)
        one.hang_up()
        await over(app)
    lines = [r for r in caplog.records if getattr(r, "call", "") == call_id]
    assert [r.message for r in lines][:2] == ["call", "started"]
    assert lines[-1].message == "ended"
    assert (lines[-1].outcome, lines[-1].reason) == ("hangup", "the caller hung up")
    assert lines[-1].frames > 0
