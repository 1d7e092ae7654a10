"""The agent that ships, end to end: a real server, a real call, real recognition and speech."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from telephony.simulator.call import run_call
from telephony.simulator.report import Outcome
from telephony.simulator.script import Script

CALLER = {"voice": "en-us+adam", "speed": 0.9}


@pytest.mark.slow
async def test_cancelling_by_keys_asking_nonsense_and_being_put_through(serve: Callable[..., Any]) -> None:
    server = serve({}, TWILIO_AUTH_TOKEN="secret", VOXLINE_SERVER__PUBLIC_URL="https://voice.example.com")
    script = Script(
        name="cancel",
        **CALLER,
        expect="transferred",
        steps=[
            "wait",
            {"say": "The weather in Spain is lovely this time of the year."},
            "wait",
            {"say": "Cancel my appointment."},
            "wait",
            {"dtmf": "1234#"},
            "wait",
            {"say": "Yes, please."},
            "wait",
            {"say": "Can I speak to a person?"},
            "wait",
        ],
    )
    lines: list[str] = []
    report = await run_call(
        server.url,
        script,
        auth_token="secret",
        public_url="https://voice.example.com",
        on_line=lines.append,
    )
    said = [line for line in server.log if line["message"] == "said"]
    assert report.ok, (report.outcome, report.error, [(line["role"], line["text"]) for line in said])
    assert report.outcome is Outcome.TRANSFERRED
    assert report.transferred_to == "+15550100199"
    [cancelled] = [json.loads(line) for line in (server.data / "cancellations.jsonl").read_text().splitlines()]
    assert cancelled["arguments"] == {"number": "1234"}
    assert cancelled["call"] == report.call_sid
    agent = [line["text"] for line in said if line["role"] == "agent"]
    assert agent[1].startswith("Sorry, I didn't get that.")
    assert agent[-1] == "Of course. One moment please, I'll put you through."
    assert report.summary.underruns == 0
    assert report.summary.missing_answers == 0
    assert report.traffic.audio_cut_off_ms == 0  # the last word was heard to its end
