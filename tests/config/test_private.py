"""Files about calls are for the server's user alone, whatever the umask: each that a server and its tools leave."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config import private
from telephony.cli.main import main
from tests.simulated import quick
from tests.waiting import until_here

SIMULATED = quick(words=2) | {"tape.mode": "full"}


@pytest.fixture(autouse=True, scope="module")
def open_to_the_world() -> Iterator[None]:
    """What a process may leave to all when nobody takes care."""
    old = os.umask(0)
    yield
    os.umask(old)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_are_made_private_and_those_there_are_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    private.make_folder(tmp_path / "shared" / "a" / "b")
    private.make_folder(tmp_path / "shared" / "a" / "b")
    assert [mode(tmp_path / name) for name in ("shared", "shared/a", "shared/a/b")] == [0o755, 0o700, 0o700]


def test_a_file_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"long ago")
    (tmp_path / "old").chmod(0o640)
    private.write_bytes(tmp_path / "old", b"new")
    private.write_bytes(tmp_path / "folder" / "new", b"new")
    assert [mode(tmp_path / name) for name in ("old", "folder/new")] == [0o640, 0o600]
    assert (tmp_path / "old").read_bytes() == b"new"


def test_all_that_a_call_leaves_is_private(serve: Callable[..., Any], tmp_path: Path) -> None:
    """A real server with tapes, a call to it with recording and report, a load report, the page of a tape."""
    folder = tmp_path / "all"
    server = serve({**SIMULATED, "server.data": str(folder / "data")})
    script = tmp_path / "script.yaml"
    script.write_text("steps:\n  - wait\n")
    assert main(["call", server.url, "--script", str(script), "--out", str(folder / "call")]) == 0
    assert main(["load", server.url, "--script", str(script), "--calls", "1", "--out", str(folder / "load.json")]) == 0
    tapes = folder / "data" / "tapes"
    until_here(lambda: len(list(tapes.glob("*.jsonl.gz"))) == 2)
    assert main(["report", str(next(tapes.glob("*.jsonl.gz"))), "-o", str(folder / "pages" / "call.html")]) == 0
    found = sorted(folder.rglob("*"))
    names = {path.name for path in found}
    assert {"call.wav", "report.json", "load.json", "call.html", "control-token"} <= names
    assert {path: oct(mode(path)) for path in found if mode(path) != (0o700 if path.is_dir() else 0o600)} == {}
    assert mode(folder) == 0o700
