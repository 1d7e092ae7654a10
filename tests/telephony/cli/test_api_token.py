"""`voxline api-token`."""

from pathlib import Path

import pytest

from telephony.cli.main import main
from telephony.server.sign_in.api_tokens import find, read
from telephony.server.sign_in.scope import Scope


@pytest.fixture
def place(tmp_path: Path) -> list[str]:
    return ["--set", f"server.data={tmp_path}"]


def test_a_token_is_printed_once(tmp_path: Path, place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api-token", "create", "crm", "--scopes", "calls:act,calls:read", "--days", "30", *place]) == 0
    given = capsys.readouterr().out.strip()
    found = find(read(tmp_path), given)
    assert found
    assert found.scopes == (Scope.CALLS_READ, Scope.CALLS_ACT)
    assert main(["api-token", "list", *place]) == 0
    line = capsys.readouterr().out
    assert line.startswith("crm  calls:read,calls:act  created ")
    assert "expires" in line
    assert line.endswith("never used\n")
    assert given not in line


def test_they_are_revoked(tmp_path: Path, place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two", "three"):
        main(["api-token", "create", name, "--scopes", "metrics:read", *place])
    capsys.readouterr()
    assert main(["api-token", "revoke", "one", "two", *place]) == 0
    assert main(["api-token", "revoke", "three", "one\x1b[1m", *place]) == 1
    error = capsys.readouterr().err
    assert "there is no token one" in error
    assert "\x1b" not in error
    assert read(tmp_path) == ()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["create", "crm", "--scopes", "calls:everything"],
            "there is no scope 'calls:everything'; there are calls:read",
        ),
        (["create", "a b", "--scopes", "calls:read"], "the name of a token"),
        (["create", "crm", "--scopes", "calls:read", "--days", "0"], "--days"),
    ],
)
def test_mistakes_are_named(
    place: list[str], capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["api-token", *arguments, *place]) == 2
    assert said in capsys.readouterr().err
