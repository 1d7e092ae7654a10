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


@pytest.mark.parametrize("name", ["tapes", "recordings"])
def test_folders_that_cannot_take_what_is_kept(tmp_path: Path, name: str) -> None:
    kept = {"server__data": str(tmp_path), "tape__mode": "full", "recording__mode": "all", "recording__keep_mb": 1}
    little = {**kept, "tape__max_mb": 1}
    (tmp_path / name).mkdir()
    assert of("warning", files.check(settings(**little))) == []
    (tmp_path / name).rmdir()
    (tmp_path / name).symlink_to("/nowhere/at/all")
    assert of("warning", files.check(settings(**little))) == [
        f"no {name} are kept: {tmp_path / name} is not a writable folder"
    ]
    off = {**little, "tape__mode": "off", "recording__mode": "off"}
    assert of("warning", files.check(settings(**off))) == []


def test_each_disk_needs_room_for_what_is_on_it(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one disk only")
    (tmp_path / "tapes").symlink_to(other)
    [found] = of("warning", files.check(settings(server__data=str(tmp_path), tape__mode="full", tape__max_mb=1e12)))
    assert f"on the disk of {tmp_path / 'tapes'}; 1,000,000,000,000 are needed" in found


def test_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (512, 600))  # a process could not raise the second one again
    assert of("problem", files.check(settings(call__capacity=40))) == []
    found = of("problem", files.check(settings(call__capacity=41, tape__mode="full")))
    assert found == ["600 files and sockets may be open at once; 605 may be needed"]
    found = of("problem", files.check(settings(call__capacity=60)))
    assert found == ["600 files and sockets may be open at once; 640 may be needed"]
