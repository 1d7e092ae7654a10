"""Keys that an agent presses, end to end on each line: a real server, and a caller that plays a menu and hears them."""

import asyncio
import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.tape import replay
from telephony.simulator.call import run_call
from telephony.simulator.report import CallReport
from telephony.simulator.script import Script
from telephony.tapes.replay import open_tape
from tests.audio.goertzel import heard_keys
from tests.waiting import until

AGENT = """
name: patient
dialogue:
  texts: { greeting: "Hello?", help: "Yes?", anything_else: "Yes?", goodbye: "Goodbye." }
  intents:
    pharmacy:
      phrases: ["[for] the pharmacy press two"]
      press: "2"
    extension:
      phrases: ["dial the extension of your party [now]"]
      answer: I will dial it now.
      press: "w104#"
"""
STEPS: list[Any] = [
    "wait",
    {"say": "For the pharmacy, press two."},
    {"silence": 2000},
    {"say": "Dial the extension of your party."},
    {"interrupt": {"say": "One moment, please.", "after_ms": 300}},
    {"silence": 3500},
]
SCRIPT = Script(name="menu", voice="en-us+adam", speed=0.9, steps=STEPS)

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server whose agent calls a pharmacy; its log has no words."""
    agents = tmp_path_factory.mktemp("agents")
    (agents / "patient.yaml").write_text(AGENT)
    options = {"agents": str(agents), "call.agent": "patient", "tape.mode": "full", "log.words": False}
    return serve(options | {"sip.enabled": True, "sip.port": 0, "turn.reprompt_ms": 20_000})


async def call(server: Any, url: str, out: Path) -> tuple[CallReport, str]:
    """One call; its report, and the keys that are in the agent's voice."""
    report = await run_call(url, SCRIPT, out=out)
    assert report.ok, (report.outcome, report.error)
    with wave.open(str(out / "call.wav")) as file:
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)  # the caller, the agent
    return report, heard_keys(both[:, 1].tobytes())


async def pressed(server: Any, report: CallReport) -> list[str]:
    """What the call's tape says was pressed; its replay must say the same, and the log only how much."""
    sip = next((line["call"] for line in server.log if line.get("sip_call") == report.call_sid), report.call_sid)
    found = await until(lambda: list((server.data / "tapes").glob(f"*{sip}*.gz")))
    head, steps = open_tape(found[0])
    assert replay.replay(head, steps).difference is None
    keys = [command["keys"] for step in steps for command in step.commands if command["type"] == "Press"]
    mine = [line for line in server.log if line.get("call") == sip]
    assert [line["count"] for line in mine if line["message"] == "pressed"] == [len(each) for each in keys]
    assert "104#" not in json.dumps(mine)
    return keys


@pytest.mark.slow
async def test_twilio_hears_tones_and_sip_events(server: Any, tmp_path: Path) -> None:
    ports = server.wait_for("listening", logger="voxline.sip")["ports"]
    (twilio, tones), (sip, silence) = await asyncio.gather(
        call(server, server.url, tmp_path / "twilio"),
        call(server, f"sip:patient@127.0.0.1:{ports['UDP']}", tmp_path / "sip"),
    )
    assert (tones, twilio.keys_heard) == ("2104#", "")
    assert (silence, sip.keys_heard) == ("", "2104#")
    for report in (twilio, sip):
        assert await pressed(server, report) == ["2", "w104#"]
    assert twilio.traffic.clears_received == 0  # nobody talked the agent out of them
    assert json.loads((tmp_path / "sip" / "report.json").read_text())["keys_heard"] == "2104#"
