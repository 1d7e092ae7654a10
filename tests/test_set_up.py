"""Which Python `make` sets .venv up with."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
OLD = """#!/bin/sh
case "$2" in *print*) echo 3.10;; *) exit 1;; esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile, and `bin` for the PATH."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", ".ci/python"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    return tmp_path


def old(folder: Path, name: str) -> None:
    """A Python that voxline does not run on."""
    (folder / name).write_text(OLD)
    (folder / name).chmod(0o755)


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Without installing anything: what make would do."""
    path = f"{checkout / 'bin'}:/usr/bin:/bin"
    return subprocess.run(
        ["make", "-n", *arguments], cwd=checkout, capture_output=True, text=True, env={"PATH": path}, check=False
    )


def test_a_python_that_is_too_old_is_said_before_anything_is_installed(checkout: Path) -> None:
    old(checkout / "bin", "mine")
    done = make(checkout, "test", "PYTHON=mine")
    assert done.returncode != 0
    assert "voxline needs Python 3.11, 3.12 or 3.13; mine is 3.10" in done.stderr
    assert "pip" not in done.stdout
    assert "nowhere is not there" in make(checkout, "test", "PYTHON=nowhere").stderr


def test_another_one_on_the_path_will_do(checkout: Path) -> None:
    old(checkout / "bin", "python3")
    (checkout / "bin" / f"python{HERE}").symlink_to(sys.executable)
    done = make(checkout, "test")
    assert done.returncode == 0, done.stderr
    assert f"{checkout / 'bin'}/python{HERE} -m venv .venv" in done.stdout


def test_a_venv_is_kept_unless_another_python_is_asked_for(checkout: Path) -> None:
    (checkout / "bin" / "python3").symlink_to(sys.executable)
    there = checkout / ".venv" / "bin"
    there.mkdir(parents=True)
    (there / "python").symlink_to(sys.executable)
    (there / "pip").touch()
    for arguments in ((), (f"PYTHON={sys.executable}",)):
        assert "-m venv" not in make(checkout, "demo", *arguments).stdout
        assert there.exists()
    (there / "python").unlink()
    old(there, "python")
    assert "python3 -m venv .venv" in make(checkout, "demo").stdout
    assert not there.exists()


def test_help_needs_no_python(checkout: Path) -> None:
    old(checkout / "bin", "python3")
    assert make(checkout).returncode == make(checkout, "help").returncode == make(checkout, "clean").returncode == 0
