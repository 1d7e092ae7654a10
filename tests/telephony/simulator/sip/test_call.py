"""Whole calls over SIP over real sockets, with a small agent, and with the real server."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from config.exceptions import SettingsError
from config.settings import HERE
from telephony.lines.rtp import opus
from telephony.lines.sip.dialogs.events import Ended, Reanswered, TransferProgress
from telephony.server.process import ServerProcess
from telephony.simulator.call import run_call
from telephony.simulator.load import run_load
from telephony.simulator.report import Outcome
from telephony.simulator.sip import call as sip_call
from telephony.simulator.sip import trunk
from tests.debian import needs, require
from tests.telephony.lines.sip.callee import Callee, reject
from tests.telephony.simulator.recordings import check_recording
from tests.telephony.simulator.sip.desk import Desk

SIP = {"sip.enabled": True, "sip.port": 0, "engine.profile": "simulated", "engine.simulated.words": 8}


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(work, *arguments)


def address(server: ServerProcess, kind: str = "UDP") -> str:
    ports = server.wait_for("listening", logger="voxline.sip")["ports"]
    return f"sip:front_desk@127.0.0.1:{ports[kind]};transport={kind.lower()}"


@pytest.mark.parametrize("kind", ["UDP", "TCP"])
async def test_a_call_from_greeting_to_hang_up(kind: str, script: Any, speak: Any, tmp_path: Path) -> None:
    steps = ["wait", {"say": "hello you"}, "wait", {"dtmf": "70#"}, {"say": "hello you"}]
    steps.append({"interrupt": {"after_ms": 300, "say": "no stop it"}})
    lines: list[str] = []
    async with Desk() as desk:
        report = await run_call(
            desk.url(kind), script(*steps, quiet_ms=400), speak=speak, out=tmp_path, on_line=lines.append
        )
        assert report.ok, report
        assert report.outcome is Outcome.HUNG_UP_BY_CALLER
        ended = await desk.wait(Ended)
        assert desk.call
        assert ended.call == desk.call.id
        assert desk.call.dialog.call_id == report.call_sid
        assert desk.keys == ["7", "0", "#"]
    assert [turn.step for turn in report.turns] == [2, 5, 6]
    for turn in report.turns[:2]:
        assert turn.voice_to_voice_ms is not None
        assert turn.voice_to_voice_ms >= 200, report.turns
    [item] = report.interruptions
    assert item.clear_ms is not None
    assert item.clear_ms >= 80
    assert (item.clear_ms, item.stray_ms) == (item.heard_ms, 0)
    assert any("talks over the agent: no stop it" in line for line in lines)
    assert any("stopped" in line for line in lines)
    assert report.traffic.arrival_gap_ms.count == report.traffic.media_received - 1 > 100
    assert report.start_to_first_audio_ms is not None
    assert 40 <= report.start_to_first_audio_ms <= report.turns[0].onset_ms

    assert json.loads((tmp_path / "report.json").read_text())["call_sid"] == report.call_sid
    check_recording(report, hiss=400)


async def test_what_is_said_arrives_as_it_was_said(script: Any, speak: Any) -> None:
    async with Desk(greeting_ms=0) as desk:
        await run_call(desk.url(), script({"silence": 200}, {"say": "hello you"}, {"silence": 300}), speak=speak)
        await desk.wait(Ended)
        heard = np.frombuffer(b"".join(desk.heard), "<i2").astype(float)
    tone, _ = speak("hello you", "", 1.0)
    assert abs(np.count_nonzero(np.abs(heard) > 400) / 8000 - len(tone) / 16_000) < 0.1


async def test_an_agent_that_hangs_up(script: Any, speak: Any) -> None:
    async with Desk() as desk:
        asyncio.get_running_loop().call_later(1.0, desk.hang_up)
        report = await run_call(desk.url(), script("wait", "wait", expect="hung_up_by_agent"), speak=speak)
        assert report.ok, report
        again = asyncio.create_task(run_call(desk.url(), script("wait", {"silence": 60_000}), speak=speak))
        await asyncio.sleep(1.2)
        desk.hang_up()
        early = await again
    assert (early.ok, early.steps_done, early.error) == (False, 1, "")
    assert early.outcome is Outcome.HUNG_UP_BY_AGENT


async def test_a_transfer_is_followed_to_its_target(script: Any, speak: Any) -> None:
    async with Desk() as desk:
        asyncio.get_running_loop().call_later(0.8, desk.refer, "sip:+15550100@127.0.0.1")
        report = await run_call(desk.url(), script("wait", {"silence": 60_000}), speak=speak)
        progress = await desk.wait(TransferProgress)
    assert (report.outcome, report.transferred_to) == (Outcome.TRANSFERRED, "sip:+15550100@127.0.0.1")
    assert (progress.status, progress.final) == (100, False)
    assert [e.status for e in desk.events if isinstance(e, TransferProgress)] == [100, 200]


async def test_hold_is_agreed_to_and_nonsense_is_not(script: Any, speak: Any) -> None:
    async with Desk(greeting_ms=100) as desk:
        asyncio.get_running_loop().call_later(0.3, desk.hold)
        asyncio.get_running_loop().call_later(0.8, desk.hold, b"v=0\r\n")
        report = await run_call(desk.url(), script({"silence": 1500}), speak=speak)
        assert report.ok, report
    assert [e.status for e in desk.events if isinstance(e, Reanswered)] == [200, 488]
    assert len(report.notes) == 1


@pytest.mark.parametrize("status", [486, 603])
async def test_a_refused_call(script: Any, speak: Any, status: int) -> None:
    async with Desk(status=status) as desk:
        report = await run_call(desk.url(), script("wait"), speak=speak)
    assert (report.outcome, report.ok, report.error) == (Outcome.REFUSED, False, "")
    assert report.notes[0].startswith(f"rejected: {status} ")


async def test_a_fault_is_no_refusal(script: Any, speak: Any) -> None:
    async with Desk(status=404) as desk:
        report = await run_call(desk.url(), script("wait"), speak=speak)
    assert (report.outcome, report.ok) == (Outcome.FAILED, False)
    assert report.error == f"INVITE {desk.url()}: 404 Not Found"


async def test_a_phone_that_nobody_answers(script: Any, speak: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunk, "RING_MS", 300.0)
    monkeypatch.setattr(trunk, "LAST_S", 0.1)
    async with Desk(status=180) as desk:
        report = await run_call(desk.url(), script("wait"), speak=speak)
        assert (report.outcome, report.error) == (Outcome.FAILED, f"INVITE {desk.url()}: not answered in time")
    gone = await run_call(desk.url("TCP"), script("wait"), speak=speak)
    assert gone.outcome is Outcome.FAILED
    assert "cannot be reached" in gone.error


async def test_a_server_that_falls_silent(script: Any, speak: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip_call, "SILENT_MS", 1000.0)
    async with Desk(mute=True) as desk:
        report = await run_call(desk.url(), script({"silence": 60_000}), speak=speak)
    assert report.outcome is Outcome.FAILED
    assert "no audio has come for 1 s" in report.error


async def test_an_agent_that_speaks_on(script: Any, speak: Any) -> None:
    async with Desk(deaf=True, greeting_ms=2500) as desk:
        steps = [{"interrupt": {"after_ms": 300, "say": "no stop it"}}, "wait"]
        report = await run_call(desk.url(), script(*steps), speak=speak)
    [item] = report.interruptions
    assert item.clear_ms is None
    assert report.summary.unheard_barge_ins == 1


# The real server


async def test_a_password(serve: Any, script: Any, capfd: pytest.CaptureFixture[str]) -> None:
    server = await in_thread(serve, SIP | {"sip.users": {"ann": "s3cret"}})
    url = address(server)
    good = await run_call(url, script("wait"), user="ann", password="s3cret")
    assert good.ok, good
    wrong = await run_call(url, script("wait"), user="ann", password="gue55ed")
    assert (wrong.outcome, wrong.error) == (Outcome.FAILED, f"INVITE {url}: 401 Unauthorized")
    assert "gue55ed" not in capfd.readouterr().out + str(wrong)


@pytest.mark.slow
async def test_a_person_is_asked_for_by_a_key(serve: Any, script: Any) -> None:
    server = await in_thread(serve, SIP | {"engine.profile": "embedded"})
    steps = script("wait", {"dtmf": "0"}, expect="transferred", quiet_ms=700, timeout_ms=15_000)
    report = await run_call(address(server, "TCP"), steps)
    assert report.ok, report
    assert report.transferred_to == "sip:+15550100199@127.0.0.1"
    ended = await in_thread(server.wait_for, "ended")
    assert ended["outcome"] == "transfer"


def attended(folder: Path, person: Callee) -> dict[str, Any]:
    """Settings: the shipped agent, which rings this person when callers ask for one."""
    shipped = (HERE / "agents" / "front_desk.yaml").read_text(encoding="utf-8")
    (folder / "front_desk.yaml").write_text(shipped.replace('"+15550100199"', f'"{person.uri}"'), encoding="utf-8")
    return SIP | {"engine.profile": "embedded", "sip.transfer": "attended", "agents": str(folder), "log.words": True}


@pytest.mark.slow
async def test_a_person_is_rung_and_then_the_caller_is_connected(serve: Any, script: Any, tmp_path: Path) -> None:
    async with Callee() as person:
        server = await in_thread(serve, attended(tmp_path, person))
        steps = script("wait", {"dtmf": "0"}, expect="transferred", quiet_ms=700, timeout_ms=15_000)
        report = await run_call(address(server), steps)
        assert report.ok, report
        assert person.call
        call_id, ours, theirs = person.call.dialog.id
        replaces = f"Replaces={call_id};to-tag={ours};from-tag={theirs}"
        assert unquote(report.transferred_to) == f"sip:voxline@127.0.0.1:{person.port}?{replaces}"
        await person.until(lambda: bool(person.ended))
    ended = await in_thread(server.wait_for, "ended")
    assert (ended["reason"], ended["outcome"]) == ("transferred", "transfer")


@pytest.mark.slow
async def test_where_the_person_is_busy_the_caller_goes_on_with_the_agent(
    serve: Any, script: Any, tmp_path: Path
) -> None:
    async with Callee(reject(486)) as person:
        server = await in_thread(serve, attended(tmp_path, person))
        steps = ["wait", {"dtmf": "0"}, "wait", {"say": "What are your opening hours?"}, "wait"]
        # The agent is silent while it asks the person, which takes a busy machine a while.
        talk = script(*steps, {"say": "No, thank you. Goodbye."}, "wait", quiet_ms=2500, timeout_ms=20_000)
        report = await run_call(address(server), talk)
        assert report.outcome is Outcome.HUNG_UP_BY_AGENT, report
    said = [line["text"] for line in server.log if line["message"] == "said" and line["role"] == "agent"]
    assert [text for text in said if text.startswith("I'm sorry, nobody is answering just now.")], said
    assert any(text.startswith("We're open Monday") for text in said)
    consulted = await in_thread(server.wait_for, "consulted")
    ended = await in_thread(server.wait_for, "ended")
    assert (consulted["result"], consulted["caller"], ended["outcome"]) == ("busy", ended["call"], "hangup")


@pytest.mark.slow
@needs("libopus0")
async def test_a_whole_conversation_in_opus(serve: Any, script: Any) -> None:
    """Understood, answered, a key, put through: on a line of 16 kHz, by a caller who offers nothing else."""
    more = {"engine.profile": "embedded", "sip.codecs": ["opus", "PCMU"], "log.words": True}
    server = await in_thread(serve, SIP | more)
    steps = ["wait", {"say": "What are your opening hours?"}, "wait", {"dtmf": "0"}]
    talk = script(*steps, expect="transferred", quiet_ms=700, timeout_ms=15_000)
    report = await run_call(address(server), talk, codec="opus")
    assert report.ok, report
    said = [line for line in server.log if line["message"] == "said"]
    heard = [line["text"] for line in said if line["role"] == "caller"]
    assert [text.replace("what're", "what are") for text in heard] == ["what are your opening hours", "0"]
    assert any(line["text"].startswith("We're open Monday") for line in said if line["role"] == "agent")
    ended = await in_thread(server.wait_for, "ended")
    assert (ended["outcome"], ended["underruns"]) == ("transfer", 0)


async def test_opus_that_is_not_spoken_or_not_there(serve: Any, script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await in_thread(serve, SIP)
    if opus.available():
        refused = await run_call(address(server), script("wait"), codec="opus")
        assert (refused.outcome, "488" in refused.error) == (Outcome.FAILED, True)
    monkeypatch.setattr(opus, "_library", lambda: None)
    with pytest.raises(SettingsError, match="libopus0"):
        await run_call(address(server), script("wait"), codec="opus")


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """One that signs itself, as settings."""
    require("openssl")
    files = {"sip.tls_cert": str(tmp_path / "cert.pem"), "sip.tls_key": str(tmp_path / "key.pem")}
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=voxline -addext subjectAltName=IP:127.0.0.1"
    out = ["-out", files["sip.tls_cert"], "-keyout", files["sip.tls_key"]]
    subprocess.run([*make.split(), *out], check=True, capture_output=True)
    return files


async def test_a_call_by_tls(
    serve: Any, script: Any, certificate: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pylibsrtp")
    more = {"sip.transports": ["tls"], "sip.tls_port": 0, "sip.srtp": "required"}
    server = await in_thread(serve, SIP | certificate | more)
    distrusted = await run_call(address(server, "TLS"), script("wait"))
    assert (distrusted.outcome, "cannot be reached" in distrusted.error) == (Outcome.FAILED, True)
    monkeypatch.setenv("SSL_CERT_FILE", certificate["sip.tls_cert"])
    report = await run_call(address(server, "TLS"), script("wait"))
    assert report.ok, report


@pytest.mark.slow
async def test_many_calls_at_once(serve: Any, script: Any) -> None:
    server = await in_thread(serve, SIP | {"call.capacity": 4})
    steps = ["wait", {"say": "hello there"}, {"interrupt": {"after_ms": 600, "say": "no wait please"}}, "wait"]
    talk = script(*steps, quiet_ms=700, timeout_ms=15_000)
    report = await run_load(address(server), talk, calls=4, ramp_s=0.5)
    assert (report.calls, report.succeeded, report.failed, report.most_at_once) == (4, 4, 0, 4), report
    assert report.arrival_gap_ms.count > 4 * 100
    assert report.arrival_gap_ms.p50 is not None
    assert report.arrival_gap_ms.p50 > 0
    assert report.barge_in_to_clear_ms.count + report.unheard_barge_ins == 4
    full = await run_load(address(server), script({"silence": 1500}), calls=6)
    assert full.failures == {"refused: rejected: 486 Busy Here": 2}


@pytest.mark.slow
async def test_a_killed_server_is_reported(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip_call, "SILENT_MS", 1000.0)
    monkeypatch.setattr(trunk, "LAST_S", 0.1)
    server = await in_thread(ServerProcess, SIP | {"server.data": os.devnull})

    def on_line(line: str) -> None:
        if "is connected" in line:
            asyncio.get_running_loop().call_later(0.5, server.process.kill)

    try:
        report = await run_call(address(server), script({"silence": 60_000}), on_line=on_line)
    finally:
        await in_thread(server.stop)
    assert (report.outcome, report.ok) == (Outcome.FAILED, False)
    assert "has the server died" in report.error
    assert report.traffic.media_received > 0
