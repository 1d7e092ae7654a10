"""Records: a line is whole and on the disk before anybody is told so; what hangs, fails or is killed costs no other."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import records as records_module
from agent.records import MAX_WAITING, Records
from tests.waiting import until

LONG_S = 20.0  # far more than any disk of a test takes


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")


def reader_of(pipe: Path) -> int:
    """The pipe's other end, which whoever hangs at this one was waiting for."""
    return os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)


async def test_each_record_is_a_line_and_the_file_is_its_users_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    records = Records(folder)
    old = os.umask(0)
    try:
        for number in range(3):
            await records.append("a.jsonl", {"number": number, "text": "ü\n☎"}, LONG_S)
    finally:
        os.umask(old)
    found = lines(folder / "a.jsonl")
    assert found.pop() == ""
    assert [json.loads(line) for line in found] == [{"number": number, "text": "ü\n☎"} for number in range(3)]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder / "a.jsonl", folder, folder.parent)]
    assert modes == [0o600, 0o700, 0o700]


async def test_a_line_is_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was synced when `append` came back: the file, whole, and the new file's folder."""
    synced: list[tuple[str, bytes]] = []
    fsync = os.fsync

    def watched(file: int) -> None:
        fsync(file)
        path = Path(f"/proc/self/fd/{file}").resolve()
        synced.append((path.name, path.read_bytes() if path.is_file() else b""))

    monkeypatch.setattr(records_module.os, "fsync", watched)
    await Records(tmp_path).append("a.jsonl", {}, LONG_S)
    assert synced == [("a.jsonl", b"{}\n"), (tmp_path.name, b"")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 90), texts=st.lists(st.text(max_size=10), min_size=1, max_size=4))
async def test_half_a_line_is_ended_and_spoils_no_other(tmp_path: Path, cut: int, texts: list[str]) -> None:
    """Wherever a crash has cut the file off: what was whole stays, what comes is whole."""
    before = b"".join(json.dumps({"before": number, "text": "x" * 20}).encode() + b"\n" for number in range(2))[:cut]
    path = tmp_path / "cut.jsonl"
    path.write_bytes(before)
    records = Records(tmp_path)
    for text in texts:
        await records.append(path.name, {"text": text}, LONG_S)
    tail = before.rpartition(b"\n")[2]
    found = path.read_bytes()
    assert found.startswith(before)
    rest = found[len(before) :]
    assert rest.startswith(b"\n" if tail else b"{")
    assert [json.loads(line) for line in rest.splitlines() if line] == [{"text": text} for text in texts]
    assert b"\n\n" not in found
    assert found.endswith(b"\n")


async def test_several_calls_at_once_and_several_servers_never_mix_lines(tmp_path: Path) -> None:
    servers = [Records(tmp_path) for _ in range(3)]
    text = "x" * 20_000  # more than a pipe or a page takes at once
    await asyncio.gather(
        *(
            server.append("a.jsonl", {"server": at, "number": number, "text": text}, LONG_S)
            for number in range(20)
            for at, server in enumerate(servers)
        )
    )
    found = [json.loads(line) for line in lines(tmp_path / "a.jsonl")[:-1]]
    for at in range(3):
        assert [each["number"] for each in found if each["server"] == at] == list(range(20))


WRITER = """
import asyncio, sys
from pathlib import Path
from agent.records import Records

async def main():
    records = Records(Path(sys.argv[1]))
    for number in range(10**9):
        await records.append("a.jsonl", {"number": number, "text": "x" * 100_000}, 20)
        print(number, flush=True)

asyncio.run(main())
"""


def test_whatever_was_told_as_done_outlives_a_kill(tmp_path: Path) -> None:
    """A real process is killed while it writes, again and again, with a file that each of them goes on with."""
    told = 0
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout
        numbers = [int(writer.stdout.readline()) for _ in range(5)]
        writer.send_signal(signal.SIGKILL)
        numbers += map(int, writer.stdout.read().split())
        writer.wait()
        writer.stdout.close()
        assert numbers == list(range(len(numbers)))
        told += len(numbers)
    found = lines(tmp_path / "a.jsonl")
    whole = [line for line in found if line.endswith("}")]
    assert len(whole) >= told
    assert [json.loads(line)["number"] for line in whole].count(0) == 4
    assert len(found) - len(whole) <= 5  # the halves that the kills have left, and what is after the last line


@pytest.mark.parametrize("make", ["folder", "full disk"])
async def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path, make: str) -> None:
    if make == "folder":
        (tmp_path / "a.jsonl").mkdir()
        expected: type[OSError] = IsADirectoryError
    else:
        (tmp_path / "a.jsonl").symlink_to("/dev/full")
        expected = OSError
    with pytest.raises(expected):
        await Records(tmp_path).append("a.jsonl", {}, LONG_S)


def test_a_disk_that_is_full_in_mid_line_keeps_no_half(tmp_path: Path) -> None:
    """A process that may write 1,000 bytes a file stands for a disk with as many left."""
    program = """
import asyncio, resource, sys
from pathlib import Path
from agent.records import Records

async def main():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    records = Records(Path(sys.argv[1]))
    for size in (500, 600, 100):
        try:
            await records.append("a.jsonl", {"text": "x" * size}, 20)
        except OSError as error:
            print(error.strerror)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=LONG_S
    )
    assert done.stdout == "File too large\n"
    assert [len(json.loads(line)["text"]) for line in lines(tmp_path / "a.jsonl")[:-1]] == [500, 100]


# A disk that hangs: a pipe that nobody reads


async def test_a_disk_that_hangs_costs_the_time_out_and_no_other_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hung.jsonl")
    records = Records(tmp_path)
    with pytest.raises(TimeoutError, match=r"the disk has not answered for 0.05 s"):
        await records.append("hung.jsonl", {}, 0.05)
    await records.append("other.jsonl", {}, LONG_S)
    assert lines(tmp_path / "other.jsonl") == ["{}", ""]
    os.close(reader_of(tmp_path / "hung.jsonl"))  # so that its thread ends its wait


async def test_what_is_told_as_failed_does_not_come_later_unless_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    fsync = os.fsync

    def slow(file: int) -> None:
        go_on.wait(LONG_S)
        fsync(file)

    monkeypatch.setattr(records_module.os, "fsync", slow)
    records = Records(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"is": "there"}\n')
    for record, late in (({"being": "written"}, False), ({"still": "waiting"}, False), ({"may be": "late"}, True)):
        with pytest.raises(TimeoutError):
            await records.append("a.jsonl", record, 0.02, late=late)
    go_on.set()
    await records.append("a.jsonl", {"the": "next"}, LONG_S)
    assert lines(tmp_path / "a.jsonl") == ['{"is": "there"}', '{"may be": "late"}', '{"the": "next"}', ""]


async def test_only_so_many_wait_for_a_disk(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hung.jsonl")
    records = Records(tmp_path)
    waiting = [asyncio.create_task(records.append("hung.jsonl", {}, LONG_S))]
    await until(lambda: records._files and records._files["hung.jsonl"]._entries.empty())  # its thread has it
    waiting += [asyncio.create_task(records.append("hung.jsonl", {}, LONG_S)) for _ in range(MAX_WAITING)]
    await until(records._files["hung.jsonl"]._entries.full)
    with pytest.raises(OSError, match="records wait for the disk already"):
        await records.append("hung.jsonl", {}, LONG_S)
    pipe = reader_of(tmp_path / "hung.jsonl")
    await asyncio.gather(*waiting)
    os.close(pipe)


def test_a_process_ends_although_its_disk_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hung.jsonl")
    program = """
import asyncio, sys
from pathlib import Path
from agent.records import Records

async def main():
    try:
        await Records(Path(sys.argv[1])).append("hung.jsonl", {}, 0.05)
    except TimeoutError:
        print("told")

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=LONG_S
    )
    assert done.stdout == "told\n"


async def test_a_pipe_that_is_read_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    pipe = reader_of(tmp_path / "pipe.jsonl")
    await Records(tmp_path).append("pipe.jsonl", {"a": 1}, LONG_S)
    assert os.read(pipe, 100) == b'{"a": 1}\n'
    os.close(pipe)
