"""The command line's way to the calls, beside a server and without one."""

import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import Settings, load_settings
from telephony.records.database import Database, StoreError
from telephony.records.eraser import EraseError
from telephony.records.journal import Journal
from telephony.records.offline import delete, is_served, opened
from telephony.records.store import Store
from tests.telephony.records.calls import call, said


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(None, {"server.data": str(tmp_path)})


async def written(folder: Path, **fields: str) -> None:
    database = Database("", folder / "records")
    await database.migrate()
    await Store(database).write([call(1, status="ended", transcript=said("secret"), **fields)])
    await database.close()


async def test_without_a_database_nothing_is_made(settings: Settings, tmp_path: Path) -> None:
    for work in (opened(settings).__aenter__(), delete(settings, "CA1")):
        with pytest.raises(StoreError, match="no calls are on record: there is no"):
            await work
    assert not is_served(settings)
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240


async def test_what_a_killed_server_has_left_is_stored_before_it_is_deleted(settings: Settings, tmp_path: Path) -> None:
    """Else the next start would bring it back."""
    await written(tmp_path)
    left = Journal(tmp_path / "records", "old")
    left.append([call(1, seq=2, status="ended", transcript=said("secret", "more")), call(2, run="old")])
    text = left.path.read_bytes()
    left.close()
    left.path.write_bytes(text)
    assert await delete(settings, call(1).id) == 1
    assert await delete(settings, "CA1") == 0
    async with opened(settings) as store:
        assert [row["status"] for row in await store.get("CA2")] == ["broken_off"]
    for path in (tmp_path / "records").iterdir():
        assert path.suffix.startswith(".sqlite")
        assert b"secret" not in path.read_bytes()


async def test_a_call_with_files_elsewhere_is_refused(settings: Settings, tmp_path: Path) -> None:
    await written(tmp_path, tape="a.jsonl.gz")  # of the host "here"
    with pytest.raises(EraseError, match="has files on another server, here"):
        await delete(settings, "CA1")


async def test_a_running_server_is_seen(settings: Settings, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from telephony.records.journal import Journal;"
        "one = Journal(Path(sys.argv[1]), 'other'); print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "records")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:  # noqa: ASYNC220
        assert other.stdout
        assert other.stdout.readline() == b"ready\n"
        assert is_served(settings)
        other.kill()
    assert not is_served(settings)
