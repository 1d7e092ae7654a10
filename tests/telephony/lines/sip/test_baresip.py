"""Calls by baresip, a third-party telephone; skipped if it is not installed (Debian: baresip-core)."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from agent.engine.embedded.synthesizer import say
from audio import wav
from audio.resample import to_line
from config.agent import load_agents
from telephony.lines.rtp import srtp
from telephony.lines.sip.call import SipCall
from telephony.server.bridge import Bridge
from tests.debian import needs
from tests.telephony.lines.rtp.speech import hiss, samples, share
from tests.telephony.lines.sip.clients import baresip
from tests.telephony.lines.sip.clients.baresip import microphone, needs_baresip, needs_g722, needs_opus
from tests.telephony.lines.sip.clients.local import HOST, certificate
from tests.telephony.lines.sip.clients.notes import singing
from tests.telephony.lines.sip.phone import likenesses, over, server
from tests.telephony.lines.sip.test_wide import hissing
from tests.waiting import until

ACCOUNT = "audio_codecs=PCMU;mediaenc=srtp-mand;auth_user=bob;auth_pass=s3cret"

pytestmark = [
    pytest.mark.alone,  # real audio in real time
    pytest.mark.slow,
    needs_baresip,
    pytest.mark.skipif(not srtp.available(), reason=srtp.MISSING),
]


def spoken(text: str) -> bytes:
    """A synthetic voice on the telephone."""
    return to_line(*say(text, "en-us+adam", 0.9))


async def test_an_encrypted_call_with_keys_and_hold(
    sent: list[bytes], heard: list[bytes], pressed: list[str], tmp_path: Path
) -> None:
    """TLS, SRTP both ways, a password; keys both ways; hold and resume."""
    cert = certificate(tmp_path)
    tls = {"sip__tls_cert": str(cert), "sip__tls_key": str(cert), "sip__transports": ["tls"], "sip__tls_port": 0}
    words = spoken("Good morning to you.")
    mouth = microphone(10_000, (2200, words))  # after the greeting
    async with server(singing(), **tls, sip__srtp="required", sip__users={"bob": "s3cret"}) as app:
        assert app.sip
        async with baresip.running(tmp_path / "bob", mouth, ACCOUNT, cert) as bob:
            bob.do("dial", f"sip:1000@{HOST}:{app.sip.ports['TLS']};transport=tls")
            await bob.event("CALL_REMOTE_SDP", param="answer")
            await bob.event("CALL_MENC", param="0,audio,AES_CM_128_HMAC_SHA1_80")
            await bob.event("CALL_ESTABLISHED")
            (line,) = app.calls
            assert isinstance(line, SipCall)
            assert line.media
            assert line.media.srtp
            await until(lambda: sum(map(len, heard)) > 16 * 4000)  # both have spoken
            for key in "15#":
                bob.do("sndcode", key)
            await until(lambda: pressed == ["1", "5", "#"])
            line.media.press("7*")
            await bob.event("CALL_DTMF_START", param="7")
            await bob.event("CALL_DTMF_START", param="*")

            counters = line.media.counters
            bob.do("hold")  # it may go on talking, but wants to hear nothing
            await bob.event("CALL_REMOTE_SDP", param="answer")
            on_hold = counters.sent
            await asyncio.sleep(0.3)
            assert counters.sent - on_hold <= 1
            bob.do("resume")
            await until(lambda: counters.sent > on_hold + 5)
            bob.do("hangup")
            await over(app)
            assert median(likenesses(b"".join(sent)[: 2 * 8000], bob.heard())) > 0.9  # the greeting
            assert line.ending.end
            assert line.ending.end.reason == "the caller hung up"
    assert median(likenesses(words, b"".join(heard))) > 0.9


@needs_opus
@needs("libopus0")
async def test_an_encrypted_wide_band_call_in_opus_with_keys_and_hold(
    heard: list[bytes], pressed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides speak between 5 and 7 kHz, where 8 kHz could carry nothing."""
    cert = certificate(tmp_path)
    wide: list[bytes] = []
    tell = Bridge.audio
    monkeypatch.setattr(Bridge, "audio", lambda self, pcm, more=b"": (wide.append(more), tell(self, pcm, more)))
    tls = {"sip__tls_cert": str(cert), "sip__tls_key": str(cert), "sip__transports": ["tls"], "sip__tls_port": 0}
    mouth = microphone(10_000, (2200, hiss(2)), rate=16_000)
    account = ACCOUNT.replace("PCMU", "opus/48000/2,PCMU/8000/1")
    more = {"sip__srtp": "required", "sip__users": {"bob": "s3cret"}, "sip__codecs": ["PCMU", "opus"]}
    async with server(hissing(8), **tls, **more) as app:
        assert app.sip
        async with baresip.running(tmp_path / "bob", mouth, account, cert, rate=16_000) as bob:
            bob.do("dial", f"sip:1000@{HOST}:{app.sip.ports['TLS']};transport=tls")
            await bob.event("CALL_ESTABLISHED")
            (line,) = app.calls
            assert isinstance(line, SipCall)
            assert line.rate == 16_000  # the caller's order counts
            assert line.media
            counters = line.media.counters
            await until(lambda: sum(map(len, heard)) > 16 * 5000)  # both have spoken
            for key in "15#":
                bob.do("sndcode", key)
            await until(lambda: pressed == ["1", "5", "#"])
            line.media.press("7*")
            await bob.event("CALL_DTMF_START", param="7")
            await bob.event("CALL_DTMF_START", param="*")
            bob.do("hold")
            await bob.event("CALL_REMOTE_SDP", param="answer")
            bob.do("resume")
            on_hold = counters.sent
            await until(lambda: counters.sent > on_hold + 5)
            bob.do("hangup")
            await over(app)
            assert (counters.malformed, counters.unexpected, line.media.jitter.counters.damaged) == (0, 0, 0)
            assert line.ending.end
            assert line.ending.end.reason == "the caller hung up"
            told = bob.heard()[: 48_000 * 2 * 2 * 2]  # 2 s
    left = np.frombuffer(told, "<i2")[::2].tobytes()
    assert np.abs(samples(left)).max() > 3000
    assert share(left, 4800, 7200, 48_000) > 0.85
    loud = b"".join(frame for frame in wide if np.abs(samples(frame)).max() > 2000)
    assert len(loud) > 640 * 80  # of 100
    assert share(loud, 4800, 7200) > 0.85
    assert np.abs(samples(b"".join(heard))).mean() < 0.2 * np.abs(samples(b"".join(wide))).mean()


@needs_g722
async def test_a_wide_band_call_in_g722_with_keys_and_hold(
    pressed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only codec of a phone, and both sides speak between 5 and 7 kHz."""
    wide: list[bytes] = []
    tell = Bridge.audio
    monkeypatch.setattr(Bridge, "audio", lambda self, pcm, more=b"": (wide.append(more), tell(self, pcm, more)))
    mouth = microphone(10_000, (2200, hiss(2)), rate=16_000)
    account = "audio_codecs=G722/16000/1"
    async with server(hissing(8)) as app:
        assert app.sip
        async with baresip.running(tmp_path / "bob", mouth, account, certificate(tmp_path), rate=16_000) as bob:
            bob.do("dial", f"sip:1000@{HOST}:{app.sip.ports['UDP']}")
            await bob.event("CALL_ESTABLISHED")
            (line,) = app.calls
            assert isinstance(line, SipCall)
            assert line.rate == 16_000
            assert line.media
            counters = line.media.counters
            await until(lambda: line.counts()["frames"] > 250)  # both have spoken
            for key in "15#":
                bob.do("sndcode", key)
            await until(lambda: pressed == ["1", "5", "#"])
            bob.do("hold")
            await bob.event("CALL_REMOTE_SDP", param="answer")
            bob.do("resume")
            on_hold = counters.sent
            await until(lambda: counters.sent > on_hold + 5)
            bob.do("hangup")
            await over(app)
            assert (counters.malformed, counters.unexpected, line.media.jitter.counters.damaged) == (0, 0, 0)
            told = bob.heard()[: 16_000 * 2 * 2]  # 2 s
    assert np.abs(samples(told)).max() > 3000
    assert share(told, 4800, 7200) > 0.85
    loud = b"".join(frame for frame in wide if np.abs(samples(frame)).max() > 2000)
    assert len(loud) > 640 * 80  # of 100
    assert share(loud, 4800, 7200) > 0.85


def agents_with_reception(folder: Path, target: str) -> Path:
    """The agents that ship; whoever asks for a person is put through to `target`."""
    shipped = Path(__file__).parents[4] / "config" / "agents" / "front_desk.yaml"
    folder.mkdir()
    (folder / "front_desk.yaml").write_text(shipped.read_text().replace('"+15550100199"', f'"{target}"'))
    assert load_agents(folder)["front_desk"].transfers == {"reception": target}
    return folder


async def test_the_front_desk_talked_over_by_a_person_and_putting_through(
    serve: Callable[..., Any], speech: Path, tmp_path: Path
) -> None:
    """Encrypted, to the embedded engine: a question, its answer talked over by a recorded person, what that person
    said not understood, 0 for a colleague; REFER, which baresip follows, and the colleague answers."""
    cert = certificate(tmp_path)
    audio, rate = wav.read(speech / "librivox-0880.wav")
    person = to_line(2 * audio, rate)  # as loud as the first caller
    mouth = microphone(40_000, (4_200, spoken("What are your opening hours?")), (8_500, person))
    async with server(sip__users={"bob": "s3cret"}) as colleague:
        assert colleague.sip
        target = f"sip:colleague@{HOST}:{colleague.sip.ports['UDP']}"
        agents = agents_with_reception(tmp_path / "agents", target)
        tls = {"sip.tls_cert": str(cert), "sip.tls_key": str(cert), "sip.transports": ["tls"], "sip.tls_port": 0}
        settings = {"sip.enabled": True, "sip.srtp": "required", "agents": str(agents)}
        desk = serve({**tls, **settings})
        (port,) = desk.wait_for("listening", logger="voxline.sip")["ports"].values()
        async with baresip.running(tmp_path / "bob", mouth, ACCOUNT, cert) as bob:
            bob.do("dial", f"sip:front_desk@{HOST}:{port};transport=tls")
            await asyncio.to_thread(desk.wait_for, "interrupted", 30)
            await until(lambda: len(turns(desk, "caller")) == 2)
            bob.do("sndcode", "0")
            await until(lambda: colleague.calls)
            (line,) = colleague.calls
            assert isinstance(line, SipCall)
            await until(lambda: line.media and line.media.srtp and line.media.counters.received > 5)
            ended = await asyncio.to_thread(desk.wait_for, "ended", 20)
            bob.do("hangup")
            await over(colleague)
    assert (ended["reason"], ended["outcome"], ended["underruns"]) == ("transferred", "transfer", 0)
    asked, disturbed, key = turns(desk, "caller")
    assert asked["text"] == "what are your opening hours"
    assert {"disposed", "young", "man"} & set(disturbed["text"].split())
    assert key["text"] == "0"
    agent = turns(desk, "agent")
    assert agent[1]["interrupted"]
    assert agent[1]["text"].startswith("We're open Monday")
    assert "anything else" not in agent[1]["text"]
    assert agent[-1]["text"] == "Of course. One moment please, I'll put you through."
    assert not agent[-1]["interrupted"]


def turns(desk: Any, role: str) -> list[dict[str, Any]]:
    """What was said, from the server's log."""
    return [line for line in list(desk.log) if line["message"] == "said" and line["role"] == role]
