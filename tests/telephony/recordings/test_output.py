"""What a disk does not take now it takes later."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from telephony.recordings.output import Output


@pytest.fixture
def limit() -> Iterator[None]:
    """No file grows beyond 100 bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_finished_file_has_its_name_and_another_does_not(tmp_path: Path) -> None:
    output = Output(tmp_path / "a.ogg")
    assert output.write(b"12")
    assert output.write(b"34")
    assert [path.name for path in tmp_path.iterdir()] == ["a.ogg.part"]
    output.overwrite(b"0")
    output.finish(tmp_path / "b.ogg")
    assert [path.name for path in tmp_path.iterdir()] == ["b.ogg"]
    assert (tmp_path / "b.ogg").read_bytes() == b"0234"
    assert (tmp_path / "b.ogg").stat().st_mode & 0o777 == 0o600


def test_nothing_makes_no_file(tmp_path: Path) -> None:
    output = Output(tmp_path / "a.ogg")
    assert output.write(b"")
    output.finish(tmp_path / "a.ogg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("limit")
def test_what_a_full_disk_does_not_take_follows_when_there_is_room(tmp_path: Path) -> None:
    output = Output(tmp_path / "a.ogg")
    data = os.urandom(150)
    assert not output.write(data)
    assert (output.stuck, output.size, output.error) == (True, 100, "File too large")
    assert not output.write()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    assert output.write(b"end")
    output.finish(output.path)
    assert output.path.read_bytes() == data + b"end"


def test_a_folder_that_is_not_there_is_no_end_either(tmp_path: Path) -> None:
    output = Output(tmp_path / "later" / "a.ogg")
    assert not output.write(b"1")
    (tmp_path / "later").mkdir()
    assert output.write(b"2")
    output.finish(output.path)
    assert output.path.read_bytes() == b"12"


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.ogg.part").write_bytes(b"old")
    output = Output(tmp_path / "a.ogg")
    assert not output.write(b"new")
    assert (tmp_path / "a.ogg.part").read_bytes() == b"old"
