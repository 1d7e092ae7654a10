"""What the doctor says of folders, disk and open files."""

import resource
from pathlib import Path

import pytest

from telephony.doctor import files
from tests.telephony.doctor.findings import of, settings, text


def test_a_folder_that_is_there_or_will_be_and_nothing_is_made(tmp_path: Path) -> None:
    assert f"ok: server.data: {tmp_path} " in text(files.check(settings(server__data=str(tmp_path))))
    later = tmp_path / "a" / "b"
    assert "created when something is written" in text(files.check(settings(server__data=str(later))))
    assert list(tmp_path.iterdir()) == []


def test_files_about_calls_that_anybody_may_read(tmp_path: Path) -> None:
    (tmp_path / "tapes").mkdir()
    tmp_path.chmod(0o755)
    for name, mode in (("bookings.jsonl", 0o600), ("tapes/a.jsonl.gz", 0o644), ("tapes/b.jsonl.gz", 0o640)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    found = of("warning", files.check(settings(server__data=str(tmp_path))))
    assert found == [f"any user of this machine can read 1 files about calls in {tmp_path}"]
    (tmp_path / "tapes/a.jsonl.gz").chmod(0o600)
    assert of("warning", files.check(settings(server__data=str(tmp_path)))) == []


def test_what_is_no_folder() -> None:
    assert of("problem", files.check(settings(server__data="/dev/null/out"))) == [
        "server.data: /dev/null is not a writable folder"
    ]


def test_a_full_disk(tmp_path: Path) -> None:
    plenty = {"server__data": str(tmp_path), "tape__max_mb": 1e12}
    assert of("warning", files.check(settings(**plenty))) == []  # no tapes are kept
    assert "are needed" in of("warning", files.check(settings(**plenty, tape__mode="full")))[0]


def test_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (512, 600))  # a process could not raise the second one again
    assert of("problem", files.check(settings(call__capacity=40))) == []
    found = of("problem", files.check(settings(call__capacity=41, tape__mode="full")))
    assert found == ["600 files and sockets may be open at once; 605 may be needed"]
    found = of("problem", files.check(settings(call__capacity=60)))
    assert found == ["600 files and sockets may be open at once; 640 may be needed"]
