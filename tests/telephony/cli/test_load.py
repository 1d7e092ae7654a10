"""`voxline load`, over SIP, as a person types it."""

import json
from pathlib import Path

import pytest

from telephony.cli.main import main


def test_many_calls_leave_one_report_and_no_password(
    desk: str, script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIP_PASSWORD", "s3cret")
    out = tmp_path / "load.json"
    assert main(["load", desk, "--script", str(script), "--user", "ann", "--calls", "2", "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == json.loads(out.read_text())
    assert json.loads(out.read_text())["succeeded"] == 2
    assert "s3cret" not in told.out + told.err + out.read_text()
