"""The plumber of the examples by telephone: a real server, a real call, real recognition and speech."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.tape.replay import replay
from telephony.simulator.call import run_call
from telephony.simulator.report import Outcome
from telephony.simulator.script import Script
from telephony.tapes.replay import find_tapes, open_tape

AGENT = Path(__file__).parent.parent / "examples" / "agents" / "plumber.yaml"
CALLER = {"voice": "en-us+adam", "speed": 0.9}


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_an_emergency_with_an_address_and_a_number_in_parts(serve: Callable[..., Any], tmp_path: Path) -> None:
    shutil.copy(AGENT, tmp_path)
    server = serve({"agents": str(tmp_path), "call.agent": "plumber", "tape.mode": "full"})
    script = Script(
        name="emergency",
        **CALLER,
        expect="transferred",
        steps=[
            "wait",
            {"say": "It's an emergency."},
            "wait",
            {"say": "Yes."},
            "wait",
            {"say": "Number twelve, the old house on the hill."},
            "wait",
            {"dtmf": "555012#"},
            "wait",
            {"dtmf": "3456#"},
            "wait",
            {"say": "Yes, please."},
            "wait",
        ],
    )
    report = await run_call(server.url, script)
    said = [(line["role"], line["text"]) for line in server.log if line["message"] == "said"]
    assert report.ok, (report.outcome, report.error, said)
    assert report.outcome is Outcome.TRANSFERRED
    assert report.transferred_to == "+15550100162"
    [noted] = [json.loads(line) for line in (server.data / "emergencies.jsonl").read_text().splitlines()]
    assert noted["arguments"]["running"] == "yes"
    assert noted["arguments"]["phone"] == "5550123456"
    assert noted["arguments"]["address"]
    agent = [text for role, text in said if role == "agent"]
    assert "5 5 5 0 1 2. Go on." in agent
    assert "to come out." in agent[-1]
    [path] = find_tapes([server.data / "tapes"])
    head, steps = open_tape(path)
    ends = [each["speech_end_ms"] for step in steps for each in step.commands if each["type"] == "TurnDecided"]
    assert any(abs(noted["heard_ms"]["address"] - end) < 500 for end in ends)
    assert replay(head, steps).difference is None
