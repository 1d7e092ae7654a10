"""`voxline call` and `voxline load`, by SIP, as a person types them."""

import json
from pathlib import Path
from typing import Any

import pytest

from telephony.cli.main import main

SCRIPT = "steps: [wait, {dtmf: '12'}, {silence: 500}, hang_up]\n"


@pytest.fixture
def desk(serve: Any) -> str:
    """The address of a server that asks for a password."""
    settings = {"sip.enabled": True, "sip.port": 0, "engine.profile": "simulated", "sip.users": {"ann": "s3cret"}}
    server = serve(settings)
    return f"sip:front_desk@127.0.0.1:{server.wait_for('listening', logger='voxline.sip')['ports']['UDP']}"


def test_call_and_load(
    desk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIP_PASSWORD", "s3cret")
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT)
    assert main(["call", desk, "--script", str(script), "--user", "ann", "--out", str(tmp_path / "one")]) == 0
    told = capsys.readouterr()
    assert f"is connected to {desk}" in told.out
    assert told.out.rstrip().endswith("hung_up_by_caller")
    report = (tmp_path / "one" / "report.json").read_text()
    assert json.loads(report)["steps_done"] == 4
    assert (tmp_path / "one" / "call.wav").stat().st_size > 20_000

    out = tmp_path / "load.json"
    assert main(["load", desk, "--script", str(script), "--user", "ann", "--calls", "2", "--out", str(out)]) == 0
    assert json.loads(out.read_text())["succeeded"] == 2
    assert "s3cret" not in told.out + told.err + report + out.read_text() + "".join(capsys.readouterr())


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
