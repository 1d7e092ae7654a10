"""What `voxline serve` says when it is set up wrongly: one clear line, and status 2."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from telephony.cli.main import main
from tests.forked import Forked

ROOT = Path(__file__).parents[3]
SIMULATED = ("--set", "engine.profile=simulated", "--set", "server.port=0")


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end, in a process of its own."""
    process = Forked(["serve", *arguments], output=True)
    out, errors = process.communicate(timeout=50)
    return subprocess.CompletedProcess(arguments, process.wait(), out, errors)


def complaint(result: subprocess.CompletedProcess[str]) -> str:
    """The one line it said."""
    assert result.returncode == 2, result.stderr
    lines = [line for line in result.stderr.splitlines() if "callers are not checked" not in line]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("voxline: ")
    assert result.stdout == ""
    return lines[0]


def complaint_here(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The same in this process, which is quicker; a traceback would come through as the exception."""
    status = main(["serve", *arguments])
    result = capsys.readouterr()
    return complaint(subprocess.CompletedProcess(arguments, status, result.out, result.err))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings in the environment of the tests do not count."""
    for name in os.environ:
        if name.startswith(("VOXLINE_", "TWILIO_")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("nothing.of_that=1", ("nothing", "there is no such setting")),
        ("turn.endpoint=1", ("turn.endpoint", "there is no such setting")),
        ("turn.endpoint_ms=soon", ("turn.endpoint_ms", "soon")),
        ("call.capacity=0", ("call.capacity", "0")),
        ("server.port=70000", ("server.port", "70000")),
        ("server=8080", ("server", "a valid dictionary")),
        ("playout.lead_ms=100", ("lead_ms must be at least twice block_ms",)),
        ("turn.endpoint_ms", ("turn.endpoint_ms", "expected KEY=VALUE")),
    ],
)
def test_bad_setting_is_named(capsys: pytest.CaptureFixture[str], setting: str, said: tuple[str, ...]) -> None:
    line = complaint_here(capsys, *SIMULATED, "--set", setting)
    assert all(part in line for part in said), line


@pytest.mark.parametrize(
    ("setting", "said"),
    [("call.agent=nobody", ("call.agent", "nobody", "front_desk")), ("agents=/nowhere", ("/nowhere", "no agent"))],
)
def test_missing_agent_is_named(setting: str, said: tuple[str, ...]) -> None:
    line = complaint(serve(*SIMULATED, "--set", setting))
    assert all(part in line for part in said), line


def test_environment_is_checked_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXLINE_TURN__ENDPOINT_MS", "soon")
    assert "VOXLINE_TURN__ENDPOINT_MS" in complaint_here(capsys, *SIMULATED)
    monkeypatch.setenv("VOXLINE_SERVR__PORT", "1")
    assert "VOXLINE_SERVR__PORT" in complaint_here(capsys, *SIMULATED)


def test_bad_file_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    assert str(missing) in complaint_here(capsys, "--config", str(missing))
    broken = tmp_path / "broken.yaml"
    broken.write_text("server: [", encoding="utf-8")
    assert main(["serve", "--config", str(broken)]) == 2
    assert str(broken) in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_public_address_needs_an_account(capsys: pytest.CaptureFixture[str], host: str) -> None:
    line = complaint_here(capsys, *SIMULATED, "--set", f"server.host='{host}'")
    assert "server.host" in line
    assert "loopback only" in line


def test_account_needs_a_public_url_and_is_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "auth_token" in complaint_here(capsys, *SIMULATED, "--set", "twilio.auth_token=[1,2]")
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "very-secret")
    line = complaint_here(capsys, *SIMULATED)
    assert "server.public_url" in line
    assert "very-secret" not in line


def test_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        # Here as it is typed, in a process that is started anew.
        command = [sys.executable, "-m", "telephony.cli", "serve", *SIMULATED, "--set", f"server.port={port}"]
        line = complaint(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False))
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in line


def test_sip_that_is_refused_is_said_before_anything_is_loaded() -> None:
    sip = ("--set", "sip.enabled=true", "--set", "sip.port=0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        line = complaint(serve(*SIMULATED, *sip, "--set", f"sip.port={port}"))
    assert line == f"voxline: sip.host, sip.port: cannot listen on 127.0.0.1:{port}: Address already in use"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        line = complaint(serve(*SIMULATED, *sip, "--set", f"sip.port={port}", "--set", "sip.transports=[tcp]"))
    assert line == f"voxline: sip.host, sip.port: cannot listen on 127.0.0.1:{port}: Address already in use"
    foreign = ("--set", "sip.host=192.0.2.1", "--set", "sip.trusted=[192.0.2.0/24]")
    line = complaint(serve(*SIMULATED, *sip, *foreign))
    assert line == "voxline: sip.host, sip.port: cannot listen on 192.0.2.1:0: Cannot assign requested address"
    line = complaint(serve(*SIMULATED, *sip, "--set", "sip.transports=[tls]", "--set", "sip.tls_cert=/nowhere.pem"))
    assert line == "voxline: sip.tls_cert: cannot read '/nowhere.pem': No such file or directory"


def test_what_fails_while_it_starts_is_said_too() -> None:
    line = complaint(serve(*SIMULATED, "--set", "server.data=/dev/null", "--set", "tape.mode=full"))
    assert line == "voxline: server.data: cannot make /dev/null/tapes for tapes: Not a directory"


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("voice: bob", ("desk.yaml", "bob", "en-gb")),
        ("language: xx-klingon", ("desk.yaml", "xx-klingon")),
        ("language: es", ("desk.yaml", "'es'", "the embedded recognizer", "en")),
    ],
)
def test_an_agent_that_nobody_can_hear_or_speak_for_is_refused(
    tmp_path: Path, agent: str, said: tuple[str, ...]
) -> None:
    dialogue = "{texts: {greeting: Hi.}, intents: {hours: {phrases: [hours], answer: Nine.}}}"
    (tmp_path / "desk.yaml").write_text(f"name: desk\n{agent}\ndialogue: {dialogue}\n")
    options = {"agents": tmp_path, "call.agent": "desk", "server.port": 0, "server.data": tmp_path}
    line = complaint(serve(*(part for key, value in options.items() for part in ("--set", f"{key}={value}"))))
    assert all(part in line for part in said), line
