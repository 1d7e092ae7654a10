"""Tapes are deleted in order with their writing."""

from pathlib import Path

import pytest

from config.settings import TapeSettings
from telephony.tapes.removal import find_tape, stem_of
from telephony.tapes.tapes import Tapes
from tests.waiting import WAIT_S


def test_a_tape_that_is_still_to_be_compressed_is_deleted(tmp_path: Path) -> None:
    tapes = Tapes(tmp_path, TapeSettings(mode="full"))
    doomed, kept = tapes.open("CA1"), tapes.open("CA2")
    for tape in (doomed, kept):
        tape.write(b'{"tape": 1}\nsecret\n')
        tapes.close(tape)
    tapes.delete(doomed.name).result(WAIT_S)
    assert [path.name for path in tmp_path.iterdir() if "CA1" in path.name] == []
    tapes.stop()
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]


def test_deleted_tapes_make_room_for_others(tmp_path: Path) -> None:
    """The limit counts what is there."""
    tapes = Tapes(tmp_path, TapeSettings(mode="full", max_mb=0.0005))
    names = []
    for number in range(8):
        tape = tapes.open(f"CA{number}")
        tape.write(b'{"tape": 1}\n')
        tapes.close(tape)
        names.append(tape.name)
        if number % 2:
            tapes.delete(tape.name).result(WAIT_S)
    tapes.stop()
    assert sorted(path.name for path in tmp_path.iterdir()) == names[::2]


@pytest.mark.parametrize("name", ["", "a", "../a.jsonl.gz", "a/b.jsonl", ".jsonl.gz", "/a.jsonl.gz", "..jsonl/x"])
def test_no_other_file_is_deleted(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a tape"):
        stem_of(name)
    tapes = Tapes(tmp_path, TapeSettings(mode="full"))
    with pytest.raises(ValueError, match="is no name of a tape"):
        tapes.delete(name).result(WAIT_S)
    tapes.stop()


def test_only_finished_tapes_of_the_folder_are_found(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "20260501-090000-CA1.jsonl.gz").write_bytes(b"")
    (tmp_path / "folder" / "20260501-090000-CA2.jsonl").write_bytes(b"")
    (tmp_path / "folder" / "20260501-090000-CA3.jsonl.gz").write_bytes(b"")
    assert find_tape(tmp_path / "folder", "20260501-090000-CA3.jsonl.gz")
    for name in (
        "../20260501-090000-CA1.jsonl.gz",
        "20260501-090000-CA2.jsonl.gz",
        "",
        "x",
        "/etc/passwd",
        "\x00.jsonl",
    ):
        assert find_tape(tmp_path / "folder", name) is None
