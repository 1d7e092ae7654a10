"""Requests to the whole API made up by schemathesis, right and wrong ones, against a server in a process of its own.

API_FUZZ_S is how long; `make fuzz-api` takes 300 s. No answer may be a 5xx that the document does not have, none may
have another form than it says, and nothing may be had without a token.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from telephony.lines.outbound_call import TOKEN_FILE
from telephony.records.call_records import FOLDER
from telephony.records.database import Database
from telephony.records.store import Store
from telephony.server.process import ServerProcess
from tests.telephony.lines.sip.phone import QUICK
from tests.telephony.records.calls import call, said

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


async def fill(data: Path) -> None:
    """Calls on record, with deliveries, for lists, exports and deletion."""
    database = Database("", data / FOLDER)
    await database.migrate()
    store = Store(database, hooked=True)
    await store.write([call(number, status="ended", transcript=said(f"word{number} both")) for number in range(1, 60)])
    await database.close()


@pytest.mark.slow
@pytest.mark.timeout(FUZZ_S + 300)
def test_made_up_requests_get_the_answers_of_the_document(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path))
    with ServerProcess(QUICK | {"server.data": str(tmp_path), "records.mode": "on"}) as server:
        server.wait_for("ready", 60)
        token = (tmp_path / TOKEN_FILE).read_text(encoding="ascii").strip()
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/api/openapi.json"]
        command += ["--header", f"Authorization: Bearer {token}", "--checks", CHECKS, "--max-time", str(FUZZ_S)]
        command += ["--suppress-health-check", "all", "--request-timeout", "20", "--no-color"]
        command += [part for path in LEFT_OUT for part in ("--exclude-path", path)]
        found = subprocess.run(command, check=False, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert found.returncode == 0, found.stdout.decode(errors="replace")
        assert server.process.poll() is None
        assert [line for line in server.log if line.get("level") == "ERROR"] == []
