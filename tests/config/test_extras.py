"""What is missing is named with a command that installs it."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from config.extras import ROOT, install_command, packages

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
# Lines without models need no torch, and of Moonshine's package only three files.
TAKEN_ALONE = {"--no-deps silero-vad", "--no-deps moonshine-voice"}


@pytest.mark.parametrize("extra", ["embedded", "gpu", "plot", "sip"])
def test_in_a_checkout_it_is_installed_from_there_at_the_tested_versions(extra: str) -> None:
    executable = str(ROOT / ".venv" / "bin" / "python")
    pip, *arguments = shlex.split(install_command(extra, executable=executable))
    assert pip == ".venv/bin/pip"
    assert arguments == ["install", "-c", "constraints.txt", "-e", f".[{extra}]"]
    assert extra in EXTRAS
    assert (ROOT / "constraints.txt").is_file()


def test_elsewhere_its_packages_are_named(tmp_path: Path) -> None:
    assert install_command("plot", root=tmp_path) == "python -m pip install 'matplotlib>=3.9'"
    assert packages("sip") == EXTRAS["sip"]


def test_no_message_names_a_package_that_no_index_has() -> None:
    """Of the whole source: commands come from here, so that all of them work."""
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("agent", "config", "telephony")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(r"pip install", line) and path.name != "extras.py" and not any(one in line for one in TAKEN_ALONE)
    ]
    assert found == []
