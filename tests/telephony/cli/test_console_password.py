"""`voxline console-password`: the hash of a password, by a pipe and at a terminal."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from config.console import ConsoleUser
from config.password_hash import PasswordHash
from telephony.cli.main import main

PASSWORD = "correct horse battery"


def test_it_prints_what_belongs_in_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    assert main(["console-password"]) == 0
    printed = capsys.readouterr().out.strip()
    assert PASSWORD not in printed
    assert PasswordHash.parse(printed).fits(PASSWORD)
    ConsoleUser.model_validate({"password": printed})


@pytest.mark.parametrize(("given", "why"), [("short\n", "at least 10"), ("", "at least 10"), ("x" * 1025, "1 to 1024")])
def test_a_bad_one_is_refused(
    given: str, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    assert main(["console-password"]) == 2
    assert why in capsys.readouterr().err


def test_at_a_terminal_it_asks_twice_and_shows_nothing() -> None:
    ours, theirs = pty.openpty()
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "telephony.cli", "console-password"]
    asking = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=root, start_new_session=True, close_fds=True
    )
    os.close(theirs)
    shown = ""
    for prompt, answer in (("Password: ", PASSWORD), ("Once more: ", "another horse")):
        while prompt not in shown:
            shown += os.read(ours, 4096).decode()
        os.write(ours, f"{answer}\n".encode())
    while "two different passwords" not in shown:
        shown += os.read(ours, 4096).decode()
    assert asking.wait(30) == 2
    os.close(ours)
    assert "horse" not in shown
