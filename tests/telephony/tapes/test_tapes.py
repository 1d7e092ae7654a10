"""Tapes as files: there within a moment, compressed at the end, pruned, and whole when a server or a disk fails."""

import asyncio
import gzip
import json
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import events as e
from agent.engine.embedded.synthesizer import say
from agent.tape.file import read_lines
from agent.tape.reader import read
from agent.tape.replay import replay
from audio import g711, resample
from config.settings import TapeSettings
from telephony.tapes import tapes as tape_module
from telephony.tapes.replay import open_tape, replay_all
from telephony.tapes.tapes import TapeFile, Tapes
from tests.waiting import until_here

WAIT_S = 5
KEPT_MS = 300  # at most so much of a call is lost with its server

Open = Callable[..., Tapes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out" / "tapes"


@pytest.fixture
def tapes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens folders of tapes whose writer looks every 20 ms; stopped at the end."""
    monkeypatch.setattr(tape_module, "FLUSH_S", 0.02)
    opened: list[Tapes] = []

    def start(max_mb: float = 1000, folder: Path = folder) -> Tapes:
        opened.append(Tapes(folder, TapeSettings(mode="full", max_mb=max_mb)))
        return opened[-1]

    yield start
    for one in opened:
        one.stop()


def compressed(tape: TapeFile) -> Path:
    return tape.path.with_suffix(".jsonl.gz")


def take(tapes: Tapes, call: str, *lines: bytes) -> Path:
    """A whole tape, from open to compressed."""
    tape = tapes.open(call)
    for line in lines:
        tape.write(line)
    tapes.close(tape)
    until_here(compressed(tape).exists)
    return compressed(tape)


def test_lines_reach_the_file_within_a_moment(folder: Path) -> None:
    """With the real interval, and without anybody closing it."""
    tapes = Tapes(folder, TapeSettings(mode="full"))
    tape = tapes.open("CA1")
    begin = time.monotonic()
    tape.write(b"1\n")
    tape.write(b"2\n")
    until_here(lambda: tape.path.exists() and tape.path.read_bytes() == b"1\n2\n")
    assert time.monotonic() - begin < KEPT_MS / 1000 + 0.2
    tapes.stop()


def test_a_tape_lies_in_its_folder_under_the_calls_name(tapes: Open, folder: Path) -> None:
    tape = tapes().open("CA12")
    assert tape.path.parent == folder
    assert folder.is_dir()
    assert tape.path.name.endswith("-CA12.jsonl")
    assert tape.path.name[:8] == time.strftime("%Y%m%d", time.gmtime())


@pytest.mark.parametrize("call", ["../../etc/passwd", "a/b\0c", "", "x" * 500, "ü☎\n"])
def test_no_name_leads_out_of_the_folder(tapes: Open, folder: Path, call: str) -> None:
    path = take(tapes(), call, b"1\n")
    assert path.parent == folder
    assert list(folder.iterdir()) == [path]
    assert len(path.name) < 120


def test_closing_writes_the_rest_compresses_and_removes_the_plain_file(tapes: Open) -> None:
    line = b"x" * 1000 + b"\n"
    path = take(tapes(), "CA1", *[line] * 100)
    assert gzip.decompress(path.read_bytes()) == 100 * line
    assert path.stat().st_size < 2000
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert list(read_lines(path)) == [line] * 100


def test_a_call_without_a_line_leaves_no_file(tapes: Open, folder: Path) -> None:
    some = tapes()
    some.close(some.open("CA1"))
    take(some, "CA2", b"1\n")
    assert len(list(folder.iterdir())) == 1


def test_stopping_writes_and_compresses_what_is_open(tapes: Open) -> None:
    some = tapes()
    open_one, closed = some.open("CA1"), some.open("CA2")
    open_one.write(b"1\n")
    closed.write(b"2\n")
    some.close(closed)
    some.stop()
    assert gzip.decompress(compressed(open_one).read_bytes()) == b"1\n"
    assert gzip.decompress(compressed(closed).read_bytes()) == b"2\n"
    assert len(list(closed.path.parent.iterdir())) == 2


def test_many_calls_at_once_keep_their_lines_apart_and_in_order(tapes: Open) -> None:
    some = tapes()
    all_tapes = [some.open(f"CA{number}") for number in range(20)]

    def write(part: list[TapeFile]) -> None:
        for number in range(200):
            for tape in part:
                tape.write(b"%d\n" % number)

    threads = [threading.Thread(target=write, args=(all_tapes[at::4],)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    some.stop()
    for tape in all_tapes:
        assert list(read_lines(compressed(tape))) == [b"%d\n" % number for number in range(200)]


# Two calls with the same id


def test_a_call_after_another_of_the_same_id_has_its_own_tape(tapes: Open) -> None:
    some = tapes()
    first = take(some, "CA1", b"1\n")
    second = some.open("CA1")
    second.write(b"2\n")
    until_here(second.path.exists)
    third = some.open("CA1")
    third.write(b"3\n")
    some.stop()
    paths = [first, compressed(second), compressed(third)]
    assert [gzip.decompress(path.read_bytes()) for path in paths] == [b"1\n", b"2\n", b"3\n"]


def test_two_calls_of_the_same_id_at_once_have_two_tapes(tapes: Open) -> None:
    some = tapes()
    one, other = some.open("CA/1"), some.open("CA_1")
    assert one.path != other.path


# The limit


def old_tape(folder: Path, stamp: str, size: int) -> Path:
    path = folder / f"{stamp}-CAold.jsonl.gz"
    path.write_bytes(os.urandom(size))
    return path


def test_the_newest_tapes_within_the_limit_are_kept(tapes: Open, folder: Path) -> None:
    folder.mkdir(parents=True)
    days = [old_tape(folder, f"2025010{day}-120000", 300_000) for day in range(1, 6)]
    take(tapes(max_mb=1), "CA1", b"1\n")
    until_here(lambda: not days[1].exists())
    assert [day.exists() for day in days] == [False, False, True, True, True]


def test_calls_in_progress_and_other_files_are_never_deleted(tapes: Open, folder: Path) -> None:
    folder.mkdir(parents=True)
    old = old_tape(folder, "20250101-120000", 300_000)
    kept = [folder / "notes.txt", folder / "20240101-120000-CA0.jsonl"]
    for path in kept:
        path.write_bytes(bytes(300_000))
    some = tapes(max_mb=0.001)
    tape = some.open("CA1")
    tape.write(bytes(300_000) + b"\n")
    until_here(tape.path.exists)
    take(some, "CA2", b"1\n")
    until_here(lambda: not old.exists())
    assert tape.path.exists()
    assert all(path.exists() for path in kept)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_file_that_cannot_be_deleted_costs_no_tape(
    tapes: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    folder.mkdir(parents=True)
    (folder / "20250101-120000-CA0.jsonl.gz").symlink_to("nowhere")  # gone meanwhile
    some = tapes()
    take(some, "CA1", b"1\n")
    time.sleep(0.1)  # the writer deletes after it has compressed
    tape = some.open("CA2")
    tape.write(b"2\n")
    until_here(tape.path.exists, wait_s=1)


# Disks


def test_a_full_disk_breaks_one_tape_and_no_other(tapes: Open, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    some = tapes()
    with caplog.at_level(logging.ERROR, "voxline.tape"):
        full, other = some.open("CA1"), some.open("CA2")
        full.path.symlink_to("/dev/full")
        full.write(b"1\n")
        other.write(b"1\n")
        until_here(lambda: full.broken)
        full.path.unlink()
        full.write(b"2\n")
        other.write(b"2\n")
        some.close(full)
        some.close(other)
        until_here(compressed(other).exists)
    assert gzip.decompress(compressed(other).read_bytes()) == b"1\n2\n"
    assert not other.broken
    assert not full.path.exists()  # no second half without its first
    assert [record.getMessage() for record in caplog.records] == [f"tape {full.path.name}: No space left on device"]


def test_a_folder_that_is_gone_breaks_the_tape_and_a_later_one_is_written(tapes: Open, folder: Path) -> None:
    some = tapes()
    lost = some.open("CA1")
    folder.rmdir()
    lost.write(b"1\n")
    until_here(lambda: lost.broken)
    folder.mkdir()
    assert take(some, "CA2", b"1\n").exists()


def test_a_disk_that_is_too_slow_loses_the_tape_and_not_the_memory() -> None:
    tape = TapeFile(Path("/nowhere/at/all.jsonl"))  # nobody flushes it
    line = bytes(1_000_000)
    for _ in range(10):
        tape.write(line)
    assert tape.broken
    assert sum(map(len, tape._lines)) <= tape_module.MAX_BUFFER


def test_a_disk_that_hangs_holds_only_so_much_of_all_calls(
    tapes: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tape_module, "STOP_S", 0.1)
    monkeypatch.setattr(tape_module, "MAX_BUFFERS", 50_000)
    some = tapes()
    hung = some.open("CA0")
    os.mkfifo(hung.path)
    hung.write(b"hangs\n")
    until_here(lambda: not hung._lines)  # the writer has it, and does not come back
    calls = []
    for number in range(1, 101):  # one after the other
        calls.append(some.open(f"CA{number}"))
        calls[-1].write(bytes(1000))
        some.close(calls[-1])
    assert sum(map(len, (line for tape in calls for line in tape._lines))) == 50_000
    assert [tape.broken for tape in calls] == [False] * 50 + [True] * 50
    pipe = os.open(hung.path, os.O_RDONLY | os.O_NONBLOCK)  # and now it does
    until_here(lambda: len(list(folder.glob("*.gz"))) == 50)
    assert some._waiting.bytes == 0
    os.close(pipe)


def test_a_tape_that_is_not_kept_makes_room_for_others(
    tapes: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tape_module, "STOP_S", 0.1)
    monkeypatch.setattr(tape_module, "MAX_CLOSED", 1)
    some = tapes()
    hung = some.open("CA0")
    os.mkfifo(hung.path)
    hung.write(b"hangs\n")
    until_here(lambda: not hung._lines)  # the writer has it, and does not come back
    for number in range(1, 11):
        tape = some.open(f"CA{number}")
        tape.write(bytes(1000))
        some.close(tape)
    assert some._waiting.bytes == 1000
    pipe = os.open(hung.path, os.O_RDONLY | os.O_NONBLOCK)
    until_here(lambda: some._waiting.bytes == 0)
    os.close(pipe)


def test_a_disk_that_is_full_after_half_a_line_breaks_no_other_tape(tapes: Open) -> None:
    some = tapes()
    half = some.open("CA1")
    half.write(b'{"tape":1,"call":"CA')
    until_here(lambda: half.path.exists() and half.path.stat().st_size)
    half.broken = True  # the disk has taken no more
    some.close(half)
    assert take(some, "CA2", b"1\n").exists()


def test_a_compressed_tape_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    lines = [b"%d %s\n" % (number, os.urandom(30).hex().encode()) for number in range(5000)]
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(lines))[:-50_000])
    found = list(read_lines(path))
    assert 100 < len(found) < 5000
    assert found[:-1] == lines[: len(found) - 1]


# What an earlier server has left

HEAD = b'{"tape":1,"call":"CA1","mode":"full"}\n'
END = b'{"at":9,"end":{"outcome":"hangup"}}\n'


def rest(folder: Path, content: bytes, name: str = "20250101-120000-CA1") -> Path:
    """A tape that was not finished; gives the path it is to have."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.jsonl"
    path.write_bytes(content)
    return path.with_suffix(".jsonl.gz")


def test_a_rest_is_finished_and_says_that_it_is_incomplete(tapes: Open, folder: Path) -> None:
    path = rest(folder, HEAD + b'{"at":1}\n{"at":2')
    some = tapes()
    until_here(path.exists)
    some.stop()
    head, *lines = read_lines(path)
    assert json.loads(head) == json.loads(HEAD) | {"incomplete": True}
    assert lines == [b'{"at":1}\n', b'{"at":2']
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        b'{"tape":1,\xff\n{"at":1}\n',
        b'{"tape":' + 100_000 * b"[" + b'\n{"at":1}\n',
        HEAD + b'{"at":1}\n{"at":\0,"end":\n',
        HEAD + b'{"end":' + 100_000 * b"[" + b"\n",
    ],
)
def test_a_damaged_rest_is_kept_and_breaks_no_other_tape(tapes: Open, folder: Path, content: bytes) -> None:
    path = rest(folder, content)
    some = tapes()
    until_here(path.exists)
    assert list(read_lines(path))[1:] == content.splitlines(keepends=True)[1:]
    assert take(some, "CA2", b"1\n").exists()


def test_a_rest_that_lacks_nothing_is_only_compressed(tapes: Open, folder: Path) -> None:
    path = rest(folder, HEAD + b'{"at":1}\n' + END)
    tapes()
    until_here(path.exists)
    assert list(read_lines(path)) == [HEAD, b'{"at":1}\n', END]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_wherever_it_was_cut_off(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = HEAD + b'{"at":1,"text":"the \\"end\\":"}\n' * 3 + END
    cut = data.draw(st.integers(0, len(whole)))
    folder = tmp_path_factory.mktemp("cut")
    path = rest(folder, whole[:cut])
    some = Tapes(folder, TapeSettings(mode="full"))
    until_here(lambda: not path.with_suffix("").exists())
    some.stop()
    if cut < len(HEAD):
        assert list(folder.iterdir()) == []
        return
    assert list(folder.iterdir()) == [path]
    head, *lines = read_lines(path)
    assert b"".join(lines) == whole[len(HEAD) : cut]
    assert json.loads(head).get("incomplete", False) == (cut < len(whole))


def test_halves_of_compressed_files_go(tapes: Open, folder: Path) -> None:
    finished = rest(folder, HEAD + END)
    (folder / f"{finished.name}.part").write_bytes(b"")
    (folder / "20250101-130000-CA2.jsonl.gz.part").write_bytes(b"half")
    already = rest(folder, HEAD + END, "20250101-140000-CA3")  # killed between the last two steps
    already.write_bytes(gzip.compress(HEAD + END))
    tapes()
    until_here(lambda: sorted(folder.iterdir()) == [finished, already])


def test_a_tape_that_another_server_writes_is_left_alone(tapes: Open, folder: Path) -> None:
    old, other = tapes(), rest(folder, HEAD)
    live = old.open("CA9")
    live.write(HEAD)
    until_here(live.path.exists)
    tapes()
    until_here(other.exists)  # it has looked at all that was there
    live.write(END)
    old.close(live)
    until_here(compressed(live).exists)
    assert list(read_lines(compressed(live))) == [HEAD, END]


def test_rests_count_for_the_limit(tapes: Open, folder: Path) -> None:
    noise = os.urandom(500_000).hex().encode()
    paths = [rest(folder, HEAD + noise + b"\n", f"2025010{day}-120000-CA1") for day in range(1, 5)]
    some = tapes(max_mb=1.2)
    until_here(lambda: not list(folder.glob("*.jsonl")))
    some.stop()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 1_200_000
    assert paths[-1].exists()


FULL = """
import os, resource, sys, time
from pathlib import Path
from config.settings import TapeSettings
from telephony.tapes.tapes import Tapes

tapes = Tapes(Path(sys.argv[1]), TapeSettings(mode="full"))
tape = tapes.open("CA1")
tape.write(b'{"tape":1}\\n' + os.urandom(100_000).hex().encode() + b"\\n")
while not tape.path.exists() or tape.path.stat().st_size < 200_000:
    time.sleep(0.01)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))  # no room any more
tapes.close(tape)
tapes.stop()
"""


def test_what_had_no_room_is_finished_when_there_is_some(tapes: Open, folder: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(folder)], check=True, capture_output=True, text=True)
    assert "File too large" in done.stderr
    (plain,) = folder.iterdir()  # nothing half compressed
    assert plain.suffix == ".jsonl"
    tapes()
    until_here(plain.with_suffix(".jsonl.gz").exists)
    assert len(list(read_lines(plain.with_suffix(".jsonl.gz")))) == 2


def test_stopping_does_not_wait_for_a_disk_that_hangs(
    tapes: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tape_module, "STOP_S", 0.1)
    some = tapes()
    hung = some.open("CA1")
    os.mkfifo(hung.path)
    hung.write(HEAD)
    begin = time.monotonic()
    some.stop()
    assert time.monotonic() - begin < 5
    assert some._writer.thread.is_alive()
    os.close(os.open(hung.path, os.O_RDONLY | os.O_NONBLOCK))


def test_tapes_are_their_users_alone(tapes: Open, folder: Path) -> None:
    old = os.umask(0)
    try:
        some = tapes()
        live = some.open("CA1")
        live.write(HEAD)
        until_here(live.path.exists)
        path = take(some, "CA2", HEAD)
    finally:
        os.umask(old)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (live.path, path, folder)] == [0o600, 0o600, 0o700]


# A real server


SIMULATED = {
    "engine.profile": "simulated",
    "engine.simulated.first_word_ms": 0,
    "engine.simulated.first_audio_ms": 0,
    "engine.simulated.word_ms": 0,
    "engine.simulated.words": 8,
    "engine.simulated.audio_ms_per_word": 120,
    "tape.mode": "full",
}
Dial = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
def words() -> bytes:
    """Some words of the caller's, as they come over a telephone line."""
    return g711.encode(resample.to_line(*say("wait a moment please")))


async def talk_over(phone: Any, words: bytes) -> None:
    """A greeting that is talked over, and the answer."""
    phone.hold()
    await phone.heard(2)
    phone.say(words)
    await phone.get("clear")


async def test_a_call_that_ends_well_replays_identically(
    serve: Callable[..., Any], dial: Dial, in_thread: Dial, words: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    server = await in_thread(serve, SIMULATED)
    phone = await dial(server.url)
    await talk_over(phone, words)
    await in_thread(server.wait_for, "said", call=phone.call, role="agent", interrupted=True)
    await asyncio.sleep(0.3)
    await phone.press("5#")
    await asyncio.sleep(0.3)
    await phone.release()
    await phone.hang_up()
    folder = server.data / "tapes"
    await in_thread(until_here, lambda: list(folder.glob("*.gz")) and not list(folder.glob("*.jsonl")))
    (path,) = folder.iterdir()
    assert phone.call in path.name

    head, steps = open_tape(path)
    assert (head.call, head.mode, head.agent) == (phone.call, "full", "front_desk")
    heard = [step.event.pcm for step in steps if isinstance(step.event, e.CallerAudio)]
    assert len(b"".join(heard)) == 320 * phone.frames  # two at once where a tone might have been
    kinds = {command["type"] for step in steps for command in step.commands}
    assert {"StartReply", "Play", "Pause", "Drop", "Interrupted", "Said", "Hear"} <= kinds
    assert isinstance(steps[-1].event, e.HungUp)
    for recompute in (False, True):
        assert await in_thread(replay_all, [folder], recompute=recompute) == 0
        assert f"identical  {path.name}  {len(steps)} events" in capsys.readouterr().out


async def test_every_underrun_is_taped_where_it_was(serve: Callable[..., Any], dial: Dial, in_thread: Dial) -> None:
    """The agent's audio is made at half the speed it is spoken with."""
    slow = {"engine.simulated.delivery_speed": 0.5, "engine.simulated.words": 4}
    server = await in_thread(serve, SIMULATED | slow)
    phone = await dial(server.url)
    await in_thread(server.wait_for, "said", call=phone.call, role="agent")
    await phone.hang_up()
    folder = server.data / "tapes"
    await in_thread(until_here, lambda: list(folder.glob("*.gz")) and not list(folder.glob("*.jsonl")))
    lines = [msgspec.json.decode(line) for line in read_lines(*folder.iterdir())]
    taped = [line["ms"] for line in lines if line.get("out") == "underrun"]
    assert len(taped) == lines[-1]["end"]["underruns"] > 0
    assert min(taped) > 0


async def test_a_killed_servers_tape_is_whole_to_its_last_moment(
    serve: Callable[..., Any], dial: Dial, in_thread: Dial, words: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    server = await in_thread(serve, SIMULATED)
    phone = await dial(server.url)
    await talk_over(phone, words)
    await asyncio.sleep(0.3)
    sent_ms = 20 * phone.frames
    server.process.kill()
    await in_thread(server.process.wait, WAIT_S)
    with suppress(Exception):
        await phone.release()

    (path,) = (server.data / "tapes").iterdir()
    assert path.suffix == ".jsonl"
    head, steps = read(read_lines(path))
    found = list(steps)
    audio_ms = sum(len(step.event.pcm) for step in found if isinstance(step.event, e.CallerAudio)) / 16
    assert sent_ms - KEPT_MS <= audio_ms <= sent_ms + 100
    assert {"Pause", "Play"} <= {command["type"] for step in found for command in step.commands}
    result = replay(head, found)
    assert result.difference is None, str(result.difference)
    assert (result.events, result.media_ms) == (len(found), audio_ms)

    # The next server that starts there finishes it.
    tapes = Tapes(path.parent, TapeSettings(mode="full"))
    await in_thread(until_here, path.with_suffix(".jsonl.gz").exists)
    tapes.stop()
    again, steps = read(read_lines(path.with_suffix(".jsonl.gz")))
    assert (head.incomplete, again.incomplete) == (False, True)
    assert msgspec.structs.replace(again, incomplete=False) == head
    assert list(steps) == found
    assert await in_thread(replay_all, [path.parent]) == 0
    assert "s at" in (line := capsys.readouterr().out)
    assert line.endswith(", incomplete\n")
