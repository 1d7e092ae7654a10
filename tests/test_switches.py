"""Whatever is switched off, a call still books its appointment: every combination of the switches of streaming, each in
a call of its own, all at once on one server in this process.
"""

import asyncio
import json
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.settings import load_settings
from telephony.lines.outbound_call import TOKEN_FILE
from telephony.server.app import App
from telephony.server.draining import build_server
from telephony.simulator.call import run_call
from telephony.simulator.report import CallReport
from telephony.simulator.script import load_script
from telephony.simulator.ticker import Ticker
from tests import thread_time
from tests.waiting import running, until

SCRIPT = Path(__file__).parents[1] / "telephony" / "simulator" / "scripts" / "demo.yaml"
SWITCHES: dict[str, tuple[Any, Any]] = {
    "recognition.streaming": (True, False),
    "recognition.partials": (True, False),
    "reply.streaming": (True, False),
    "reply.speech_streaming": (True, False),
    "reply.concurrent_tts_streams": (3, 1),
}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_call_books_its_appointment_however_the_switches_are(tmp_path: Path) -> None:
    reports = thread_time.run(_call_with_each(tmp_path))
    booked = [json.loads(line)["call"] for line in (tmp_path / "bookings.jsonl").read_text().splitlines()]
    for combination, report in reports:
        assert report.ok, (combination, report.outcome, report.error)
        assert booked.count(report.call_sid) == 1, combination
        assert len(report.interruptions) == 1, combination


async def _call_with_each(data: Path) -> list[tuple[dict[str, Any], CallReport]]:
    """A call for each combination, which begins when its switches are set; those that are on keep theirs."""
    settings = load_settings(None, {"server.port": 0, "server.data": str(data), "engine.embedded.decoders": 10})
    app, calls = App(settings), []
    async with running(build_server(app, settings)) as port, httpx.AsyncClient(timeout=60) as client:
        url, ticker = f"http://127.0.0.1:{port}", Ticker(asyncio.get_running_loop().time)
        headers = {"Authorization": f"Bearer {(data / TOKEN_FILE).read_text().strip()}"}
        for values in product(*SWITCHES.values()):
            combination = dict(zip(SWITCHES, values, strict=True))
            body = {"settings": combination}
            answer = await client.post(f"{url}/api/streaming/configure", json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            calls.append((combination, asyncio.create_task(run_call(url, load_script(SCRIPT), ticker=ticker))))
            await until(lambda: len(app.shared.figures.calls) == len(calls))
        return [(combination, await call) for combination, call in calls]
