"""Requests to the whole API made up by schemathesis, right and wrong ones, against a server in a process of its own.

API_FUZZ_S is how long; `make fuzz-api` takes 300 s. No answer may be a 5xx that the document does not have, none may
have another form than it says, and nothing may be had without a token.
"""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from telephony.lines.outbound_call import TOKEN_FILE
from telephony.live.acts import BODIES
from telephony.records.call_records import FOLDER
from telephony.records.database import Database
from telephony.records.store import Store
from telephony.server.process import ServerProcess
from tests.telephony.lines.sip.phone import QUICK
from tests.telephony.records.calls import call, said
from tests.waiting import until_here

logger = logging.getLogger("fuzz")

FUZZ_S = int(os.environ.get("API_FUZZ_S", "60"))
CHECKS = ",".join(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "unsupported_method",
        "ignored_auth",
        "use_after_free",
    ]
)
# Streams never end, and a test call takes seconds; the socket is no request. Each has tests of its own.
LEFT_OUT = ["/api/live", "/test_streaming", "/api/calls/{id}/audio"]


# On a live call. Those that end it would leave nothing to act on.
ACTS = [f"post_api_calls_id_{act}" for act in BODIES if act not in ("hangup", "transfer")]


async def fill(data: Path) -> None:
    """Calls on record, with deliveries, for lists, exports and deletion."""
    database = Database("", data / FOLDER)
    await database.migrate()
    store = Store(database, hooked=True)
    await store.write([call(number, status="ended", transcript=said(f"word{number} both")) for number in range(1, 60)])
    await database.close()


@contextmanager
def serving(data: Path, **more: Any) -> Iterator[tuple[ServerProcess, dict[str, str]]]:
    """A server, and the header of its token. It must outlive all requests without an error in its log."""
    with ServerProcess(QUICK | {"server.data": str(data), "records.mode": "on"} | more) as server:
        server.wait_for("ready", 60)
        token = (data / TOKEN_FILE).read_text(encoding="ascii").strip()
        yield server, {"Authorization": f"Bearer {token}"}
        assert server.process.poll() is None
        assert [line for line in server.log if line.get("level") == "ERROR"] == []


def fuzz(server: ServerProcess, headers: dict[str, str], folder: Path, seconds: int, *options: str) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/api/openapi.json"]
    command += ["--header", f"Authorization: {headers['Authorization']}", "--checks", CHECKS]
    command += ["--max-time", str(seconds), "--suppress-health-check", "all", "--request-timeout", "20", *options]
    command += [] if "API_FUZZ_S" in os.environ else ["--seed", "1"]  # in `make test-slow` always the same requests
    found = subprocess.run(command, check=False, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    logger.info("%s", found.stdout.decode(errors="replace"))
    assert found.returncode == 0, "see the log"


@pytest.mark.slow
@pytest.mark.timeout(FUZZ_S + 300)
def test_made_up_requests_get_the_answers_of_the_document(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    asyncio.run(fill(tmp_path))
    with serving(tmp_path) as (server, headers):
        left_out = [part for path in LEFT_OUT for part in ("--exclude-path", path)]
        fuzz(server, headers, tmp_path, FUZZ_S, *left_out)


@pytest.mark.slow
@pytest.mark.timeout(FUZZ_S + 300)
def test_made_up_acts_on_a_live_call_do_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The caller says nothing, and the agent does not ask."""
    caplog.set_level(logging.INFO)
    script = tmp_path / "silent.yaml"
    script.write_text(f"longest_call_s: {FUZZ_S + 200}\nsteps:\n  - silence: {1000 * min(FUZZ_S + 100, 600)}\n")
    seconds = max(10, FUZZ_S // 4)
    with serving(tmp_path / "data", **{"turn.reprompt_ms": 3_600_000}) as (server, headers):
        command = [sys.executable, "-m", "telephony.cli", "call", server.url, "--script", str(script)]
        caller = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:

            def calls() -> Any:
                answer = httpx.get(f"{server.url}/api/calls", params={"status": "active"}, headers=headers)
                return [found for found in answer.json()["calls"] if found["answered"]]

            [on] = until_here(calls)
            (tmp_path / "schemathesis.toml").write_text(f'[parameters]\n"path.id" = "{on["id"]}"\n')
            acts = [part for name in ACTS for part in ("--include-operation-id", name)]
            fuzz(server, headers, tmp_path, seconds, *acts)
            assert [found["id"] for found in calls()] == [on["id"]]

            def acted() -> set[str]:
                told = httpx.get(f"{server.url}/api/calls/{on['id']}", headers=headers).json()
                return {act["who"] for act in told["acts"]}

            assert until_here(acted) == {"control token"}
        finally:
            caller.kill()
            caller.wait()
