"""Calls through the `gpu` profile on a CPU: real loading, generation and speech, by tiny models that say one thing."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from agent.tape.file import read_lines
from telephony.server.process import ServerProcess
from telephony.simulator.call import run_call
from telephony.simulator.report import CallReport
from telephony.simulator.script import Script
from telephony.tapes.replay import replay_all

pytest.importorskip("kokoro")
# The first test waits for the models' packages and two checkpoints. Alone, since a model thinks with all cores.
pytestmark = [pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(180)]

ANSWER = "Good morning this is the front desk speaking."  # one piece, so that no machine is too slow to go on
QUIET = {"wait": {"quiet_ms": 2500}}  # a busy machine is slow between the pieces of an answer
HEARD = "are they open"
Line = dict[str, Any]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The settings of a server with tiny models."""
    from bench.checkpoints import kokoro, voxtral  # they need the models' packages

    folder = tmp_path_factory.mktemp("models")
    says = {"[/INST]": pieces(ANSWER), "[TRANSCRIBE]": pieces(HEARD)}
    return {
        "engine.profile": "gpu",
        "engine.voxtral.model": str(voxtral.build(folder / "voxtral", says=says)),
        "engine.voxtral.device": "cpu",
        "engine.voxtral.slots": 4,
        "engine.kokoro.model": str(kokoro.build(folder / "kokoro", pace=2.0)),
        "engine.kokoro.device": "cpu",
        "engine.embedded.recognizer": "pocketsphinx",  # which hears callers with espeak-ng's voice
        "reply.first_chunk_ms": 10_000,
        "engine.fallback.filler_ms": 0,  # a busy machine may take its time
        "tape.mode": "full",
    }


class Host:
    """A server with models, and the folder it tapes into."""

    def __init__(self, server: ServerProcess, data: Path) -> None:
        self.server = server
        self.data = data

    def call(self, *steps: Any) -> tuple[CallReport, list[Line]]:
        """One call, and its tape."""
        script = Script(name="models", steps=[QUIET, *steps], voice="en-us+adam", speed=0.9, timeout_ms=30_000)
        report = asyncio.run(run_call(self.server.url, script))
        for _ in range(100):
            for path in (self.data / "tapes").glob(f"*{report.call_sid}.jsonl.gz"):
                return report, [msgspec.json.decode(line) for line in read_lines(path)]
            time.sleep(0.05)
        raise AssertionError("the tape was not closed")

    def worker(self) -> psutil.Process:
        """The process of the models."""
        [child] = psutil.Process(self.server.process.pid).children()
        return child


@pytest.fixture(scope="module")
def host(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    data = tmp_path_factory.mktemp("data")
    with ServerProcess({**models, "server.data": str(data)}, environment={"HF_HUB_OFFLINE": "1"}) as server:
        yield Host(server, data)


def pieces(text: str) -> list[str]:
    """Tokens, with the spaces before them."""
    first, *rest = text.split()
    return [first, *(f" {word}" for word in rest)]


def said(tape: list[Line], role: str) -> list[str]:
    """What the history holds of one side."""
    commands = [command for line in tape for command in line.get("commands", [])]
    return [item["text"] for item in commands if item["type"] == "Said" and item["role"] == role]


def test_a_caller_is_greeted_heard_and_answered(host: Host) -> None:
    report, tape = host.call({"say": "When are they open?"}, QUIET)
    assert report.ok, (report.outcome, report.error)
    assert said(tape, "agent") == [ANSWER, ANSWER]
    assert said(tape, "caller") == [HEARD]
    [turn] = report.turns
    assert turn.voice_to_voice_ms is not None


def test_callers_who_talk_over_the_models_are_heard_and_the_call_replays(host: Host) -> None:
    over = {"interrupt": {"after_ms": 500, "say": "No, wait, I would like to ask for something else."}}
    report, tape = host.call({"say": "When are they open?"}, over, QUIET)
    assert report.ok, (report.outcome, report.error)
    assert report.interruptions[0].clear_ms is not None
    heard = said(tape, "agent")
    assert len(heard) == 3
    assert ANSWER.startswith(heard[1])
    assert heard[1] != ANSWER
    [path] = (host.data / "tapes").glob(f"*{report.call_sid}.jsonl.gz")
    assert replay_all([path]) == 0


def test_when_the_models_die_the_call_goes_on_without_them_and_they_come_back(host: Host) -> None:
    worker = host.worker()
    os.kill(worker.pid, signal.SIGKILL)
    report, tape = host.call({"say": "What are your opening hours?"}, QUIET)
    assert report.ok, (report.outcome, report.error)
    assert said(tape, "agent")[0] == "Hello, this is Riverside Dental. How can I help you?"
    assert said(tape, "caller") == ["what are your opening hours"]
    for _ in range(600):
        if psutil.Process(host.server.process.pid).children() and host.worker().pid != worker.pid:
            break
        time.sleep(0.05)
    assert host.worker().pid != worker.pid
