"""`voxline call`, over SIP, as a person types it."""

import json
from pathlib import Path

import pytest

from telephony.cli.main import main


def test_a_call_leaves_a_report_and_a_recording_and_no_password(
    desk: str, script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIP_PASSWORD", "s3cret")
    assert main(["call", desk, "--script", str(script), "--user", "ann", "--out", str(tmp_path / "one")]) == 0
    told = capsys.readouterr()
    assert f"is connected to {desk}" in told.out
    assert told.out.rstrip().endswith("hung_up_by_caller")
    report = (tmp_path / "one" / "report.json").read_text()
    assert json.loads(report)["steps_done"] == 4
    assert (tmp_path / "one" / "call.wav").stat().st_size > 20_000
    assert "s3cret" not in told.out + told.err + report


def test_without_the_password_the_call_fails(
    desk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SIP_PASSWORD", raising=False)
    assert main(["call", desk, "--out", str(tmp_path)]) == 1
    assert "401 Unauthorized" in capsys.readouterr().out


def test_a_bad_address_is_said_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["call", "sip:ann:s3cret@127.0.0.1", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("voxline: ")
    assert "--password" in said
    assert "s3cret" not in said
