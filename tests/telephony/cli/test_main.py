"""The parser and the way from it to a command."""

import re
import subprocess
import sys

import pytest

from telephony.cli import doctor
from telephony.cli.main import COMMANDS, build_parser, main

HEAVY = ("numpy", "httpx", "pydantic", "starlette", "uvloop", "onnxruntime")


def test_the_version_is_told() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "telephony.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith("voxline 0.")


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    names = [command.__name__.rpartition(".")[2].replace("_", "-") for command in COMMANDS]
    assert [name for name in names if not re.search(rf"\n    {name}\s", text)] == []


def test_the_help_waits_for_nothing_that_is_slow_to_import() -> None:
    program = f"import sys, telephony.cli.main as m; m.build_parser(); print([x for x in {HEAVY} if x in sys.modules])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_options_lead_to_their_command() -> None:
    options = build_parser().parse_args(["doctor", "--set", "turn.endpoint_ms=500", "--set", "log.level=debug"])
    assert options.run is doctor.run
    assert options.set == ["turn.endpoint_ms=500", "log.level=debug"]


def test_an_error_is_one_line_whatever_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--set", "\x1b[2J"]) == 2
    assert capsys.readouterr().err == "voxline: --set \\x1b[2J: expected KEY=VALUE\n"
