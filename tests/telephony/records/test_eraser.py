"""What is deleted with a call, and what is not."""

from pathlib import Path
from typing import Any

import pytest

from telephony.records.database import StoreError
from telephony.records.eraser import EraseError, Eraser
from telephony.records.store import Store
from tests.telephony.records.calls import call

NAME, OTHER = "20260501-090000-00000000000000aa", "20260501-090000-00000000000000bb"


async def erase(store: Store, data: Path, **fields: Any) -> None:
    await store.write([call(status="ended", **fields)])
    await Eraser(data, "here").erase(store, await store.get("CA1"))


async def test_every_file_of_the_call_goes_and_no_other(store: Store, tmp_path: Path) -> None:
    tapes, recordings = tmp_path / "tapes", tmp_path / "recordings"
    tapes.mkdir()
    recordings.mkdir()
    for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.gz.part", "a.html", "ab.jsonl.gz"):
        (tapes / name).write_text("words")
    (tapes / "index.html").write_text('<a href="a.html">')
    for name in (f"{NAME}.wav", f"{NAME}.incomplete.ogg.part", f"{OTHER}.wav"):
        (recordings / name).write_text("words")
    await erase(store, tmp_path, tape="a.jsonl.gz", recording=NAME)
    assert [path.name for path in tapes.iterdir()] == ["ab.jsonl.gz"]
    assert [path.name for path in recordings.iterdir()] == [f"{OTHER}.wav"]
    assert await store.get("CA1") == []


async def test_files_that_are_gone_are_no_obstacle(store: Store, tmp_path: Path) -> None:
    await erase(store, tmp_path, tape="a.jsonl.gz", recording=NAME)
    assert await store.get("CA1") == []


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", f"{NAME}/../../secret"])
async def test_no_path_leads_out_of_the_data_folder(store: Store, tmp_path: Path, name: str) -> None:
    data = tmp_path / "data" / "records"
    data.mkdir(parents=True)
    (tmp_path / "secret").write_text("kept")
    with pytest.raises(StoreError, match="is no name of a recording"):
        await erase(store, data, recording=name)
    with pytest.raises(StoreError, match="is no name of a tape"):
        await erase(store, data, call="CA1", recording="", seq=2, tape=f"{name}.jsonl.gz")
    assert (tmp_path / "secret").read_text() == "kept"
    assert len(await store.get("CA1")) == 1  # it can be deleted again


async def test_a_file_that_cannot_be_deleted_keeps_the_row(store: Store, tmp_path: Path) -> None:
    (tmp_path / "recordings" / f"{NAME}.wav").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be deleted: Is a directory"):
        await erase(store, tmp_path, recording=NAME)
    assert len(await store.get("CA1")) == 1


async def test_a_call_that_is_on_or_has_files_elsewhere_is_not_deleted(store: Store, tmp_path: Path) -> None:
    eraser = Eraser(tmp_path, "here")
    await store.write(
        [call(1), call(2, status="ended", host="there", tape="a.jsonl.gz"), call(3, status="ended", host="there")]
    )
    for name, why in (("CA1", "is on"), ("CA2", "has files on another server, there")):
        with pytest.raises(EraseError, match=why):
            eraser.check(await store.get(name))
    eraser.check(await store.get("CA3"))
