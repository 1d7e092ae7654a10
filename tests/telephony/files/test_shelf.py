"""The limit of tapes: the oldest go first, and no call's end looks through the folder."""

import logging
import os
import time
from pathlib import Path

import pytest

from telephony.files import names
from telephony.files import shelf as shelf_module
from telephony.files.shelf import Shelf


def tape(folder: Path, number: int, size: int = 10) -> tuple[str, int]:
    path = folder / f"20250101-{number:06}-CA.jsonl.gz"
    path.write_bytes(bytes(size))
    return path.name, size


def there(folder: Path) -> list[int]:
    return sorted(int(path.name[9:15]) for path in folder.iterdir())


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were walked through."""
    walked: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(shelf_module.os, "scandir", lambda path: (walked.append(str(path)), scandir(path))[1])
    return walked


def test_the_oldest_go_first(tmp_path: Path) -> None:
    for number in range(5):
        tape(tmp_path, number)
    shelf = Shelf(tmp_path, (".jsonl.gz",), 50)
    shelf.walk()
    for number in (7, 6, 8):  # they end in another order than they began
        shelf.add(*tape(tmp_path, number))
    assert there(tmp_path) == [3, 4, 6, 7, 8]


def test_the_newest_stays_however_large_it_is(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, (".jsonl.gz",), 5)
    for number in range(3):
        shelf.add(*tape(tmp_path, number))
        assert there(tmp_path) == [number]


def test_many_tapes_are_walked_through_once_and_few_are_known(
    tmp_path: Path, walks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_module, "MOST_KNOWN", 100)
    for number in range(1000):
        tape(tmp_path, number)
    shelf = Shelf(tmp_path, (".jsonl.gz",), 10_000)
    shelf.walk()
    for number in range(1000, 1100):
        shelf.add(*tape(tmp_path, number))
        assert len(shelf._oldest) <= 100
    assert there(tmp_path) == list(range(100, 1100))
    assert len(walks) == 1

    shelf.add(*tape(tmp_path, 1100))  # all that were known are gone, a moment after the walk
    assert len(walks) == 1
    monkeypatch.setattr(shelf_module, "WALK_S", 0.0)
    shelf.add(*tape(tmp_path, 1101))
    assert len(walks) == 2
    assert there(tmp_path) == list(range(102, 1102))


def test_tapes_that_somebody_has_deleted_do_no_harm(tmp_path: Path) -> None:
    for number in range(5):
        tape(tmp_path, number)
    shelf = Shelf(tmp_path, (".jsonl.gz",), 50)
    shelf.walk()
    for number in (0, 1):
        (tmp_path / f"20250101-{number:06}-CA.jsonl.gz").unlink()
    for number in (5, 6, 7):
        shelf.add(*tape(tmp_path, number))
    assert there(tmp_path) == [3, 4, 5, 6, 7]


def test_what_cannot_be_deleted_is_told_once_and_others_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "20250101-000000-CA.jsonl.gz").mkdir()
    shelf = Shelf(tmp_path, (".jsonl.gz",), 20)
    shelf.walk()
    with caplog.at_level(logging.WARNING):
        for number in range(1, 6):
            shelf.add(*tape(tmp_path, number))
    assert there(tmp_path) == [0, 4, 5]
    assert len(caplog.messages) == 1


def test_what_is_too_old_goes_the_newest_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        tape(tmp_path, number)
    now = tmp_path / f"{names.stamp()}-CA.jsonl.gz"
    now.write_bytes(bytes(10))
    shelf = Shelf(tmp_path, (".jsonl.gz",), 10**6, keep_days=2)
    shelf.walk()
    shelf.look()
    assert list(tmp_path.iterdir()) == [now]
    monkeypatch.setattr(shelf_module.time, "time", lambda: time.mktime((2040, 1, 1, 0, 0, 0, 0, 0, 0)))
    shelf.look()  # too soon after the last look
    assert now.exists()
    monkeypatch.setattr(shelf_module, "LOOK_S", 0)
    shelf.look()
    assert not now.exists()


def test_what_somebody_else_has_deleted_makes_room(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, (".jsonl.gz",), 30)
    for number in range(3):
        shelf.add(*tape(tmp_path, number))
    (tmp_path / tape(tmp_path, 2)[0]).unlink()
    shelf.deleted()
    shelf.add(*tape(tmp_path, 3))
    assert there(tmp_path) == [0, 1, 3]
