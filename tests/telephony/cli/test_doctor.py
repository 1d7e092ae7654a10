"""`voxline doctor` as a user runs it."""

import json
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from telephony.cli.main import main
from telephony.doctor import is_running
from tests.telephony.doctor.findings import settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("VOXLINE_", "TWILIO_")):
            monkeypatch.delenv(name)


def doctor(capsys: pytest.CaptureFixture[str], *changes: str) -> tuple[int, Any]:
    arguments = [part for change in ("server.port=0", "sip.port=0", *changes) for part in ("--set", change)]
    status = main(["doctor", "--json", *arguments])
    return status, json.loads(capsys.readouterr().out)


def test_status_tells_whether_there_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    status, found = doctor(capsys, "sip.enabled=true")
    assert (status, found["ok"]) == (0, True)
    assert list(dict.fromkeys(each["area"] for each in found["findings"])) == [
        "http and twilio", "sip", "sip audio", "engine", "files", "records", "hooks", "console",
    ]  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, found = doctor(capsys, "sip.enabled=true", f"server.port={taken.getsockname()[1]}")
    assert (status, found["ok"]) == (1, False)
    assert main(["doctor", "--set", "server.port=0"]) == 0
    assert capsys.readouterr().out.endswith("problems: 0, warnings: 1\n")


def test_settings_that_are_refused_are_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--set", "turn.endpoint_ms=soon"]) == 2
    assert capsys.readouterr().err.startswith("voxline: ")


def test_a_server_that_runs_has_its_ports_itself(serve: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    server = serve({"engine.profile": "simulated", "sip.enabled": True, "sip.port": 0})
    http = int(server.url.rpartition(":")[2])
    sip = server.wait_for("listening", logger="voxline.sip")["ports"]["UDP"]
    assert is_running(settings(server__port=http))
    status, found = doctor(capsys, "sip.enabled=true", f"server.port={http}", f"sip.port={sip}")
    assert status == 0
    assert sum("taken by the voxline" in each["text"] for each in found["findings"]) == 3
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert not is_running(settings(server__port=other.getsockname()[1]))
