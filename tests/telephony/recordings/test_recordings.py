"""The folder of recordings: names, limits, disks that are slow or full, servers that are killed."""

import fcntl
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.exceptions import SettingsError
from config.logging import Log
from config.settings import RecordingSettings
from telephony.recordings import recording as recording_module
from telephony.recordings import recordings as recordings_module
from telephony.recordings.recordings import Recordings
from tests.telephony.recordings.listening import level_db, noise, samples, sides
from tests.waiting import until_here

LOG = Log(logging.getLogger("voxline.call"), {"call": "CA1"})
Open = Callable[..., Recordings]
SECOND = noise(1000, 1)
WAIT_S = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out" / "recordings"


@pytest.fixture
def outcomes() -> list[str]:
    """What became of each recording."""
    return []


@pytest.fixture
def recordings(folder: Path, monkeypatch: pytest.MonkeyPatch, outcomes: list[str]) -> Iterator[Open]:
    """Opens folders of recordings whose writer looks every 20 ms; stopped at the end."""
    monkeypatch.setattr(recordings_module, "WRITE_S", 0.02)
    opened: list[Recordings] = []

    def start(**settings: object) -> Recordings:
        given = RecordingSettings.model_validate({"mode": "all", "format": "wav"} | settings)
        opened.append(Recordings(folder, given, outcomes.append))
        return opened[-1]

    yield start
    for one in opened:
        one.stop()


def record(some: Recordings, seconds: int = 1) -> Path:
    """A whole recording."""
    recording = some.open(8000, LOG)
    for _ in range(seconds):
        recording.caller(SECOND)
    some.close(recording)
    return Path(until_here(lambda: some.find(recording.name)))


@pytest.mark.parametrize("form", ["opus", "wav"])
def test_a_recording_has_both_sides(recordings: Open, form: str) -> None:
    some = recordings(format=form)
    recording = some.open(8000, LOG)
    recording.caller(SECOND)
    recording.agent(noise(500, 2), ahead_ms=0)
    recording.caller(SECOND)
    some.close(recording)
    left, right, rate = sides(until_here(lambda: some.find(recording.name)))
    assert len(left) == 2 * rate
    assert level_db(left) == pytest.approx(level_db(samples(SECOND)), abs=0.5)
    assert level_db(right[: rate - 200]) < -90
    assert level_db(right[rate : rate + rate // 2]) == pytest.approx(level_db(samples(noise(500, 2))), abs=0.5)
    assert level_db(right[rate + rate // 2 + 400 :]) < -80


def test_while_paused_both_sides_are_silent_and_nothing_of_the_caller_is_kept(recordings: Open) -> None:
    some = recordings()
    recording = some.open(8000, LOG)
    for pausing in (False, True, True, False):
        (recording.pause if pausing else recording.resume)()
        recording.agent(noise(1000, 2))
        recording.caller(SECOND)
        kept = [piece.pcm for piece in recording._pieces if piece.kind == "caller"]
        assert not pausing or not any(kept[-1] if kept else b"")
    some.close(recording)
    left, right, _ = sides(until_here(lambda: some.find(recording.name)))
    for side in (left, right):
        seconds = [level_db(side[at : at + 8000]) > -40 for at in range(0, 32_000, 8000)]
        assert seconds == [True, False, False, True]


def test_names_are_our_own_and_lead_nowhere_else(recordings: Open, folder: Path) -> None:
    some = recordings()
    path = record(some)
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{16}\.wav", path.name)
    (folder.parent / "secret.wav").write_bytes(b"")
    for name in ("../secret", "", "*", path.name, f"../recordings/{path.stem}", f"{path.stem}\n"):
        assert some.find(name) is None
        with pytest.raises(ValueError, match="is no name of a recording"):
            some.delete(name).result(WAIT_S)
    assert path.exists()


def test_a_recording_is_deleted_by_its_name(recordings: Open) -> None:
    some = recordings()
    one, other = record(some), record(some)
    assert some.delete(one.stem).result(WAIT_S)
    assert not some.delete(one.stem).result(WAIT_S)
    assert (one.exists(), other.exists()) == (False, True)


def test_a_call_without_audio_leaves_no_file(recordings: Open, folder: Path, outcomes: list[str]) -> None:
    some = recordings()
    some.close(some.open(8000, LOG))
    until_here(lambda: outcomes)
    assert list(folder.iterdir()) == []


# Limits


def test_the_oldest_are_deleted_beyond_the_limits(recordings: Open, folder: Path) -> None:
    folder.mkdir(parents=True)
    old = [folder / f"2025010{day}-120000-{day:016x}.wav" for day in range(1, 4)]
    for path in old:
        path.write_bytes(bytes(400_000))
    some = recordings(keep_days=0, keep_mb=0.9)
    until_here(lambda: not old[0].exists())
    assert old[1].exists()
    new = record(some, 20)  # 640 kB
    until_here(lambda: not old[2].exists())
    assert new.exists()


def test_what_is_too_old_is_deleted_also_while_nobody_calls(
    recordings: Open, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telephony.files.shelf.LOOK_S", 0)
    some = recordings(keep_days=1)
    new = record(some)
    monkeypatch.setattr("telephony.files.shelf.time.time", lambda now=time.time: now() + 86_500)
    until_here(lambda: not new.exists())


def test_what_was_deleted_by_hand_makes_room(recordings: Open) -> None:
    some = recordings(keep_mb=0.07)  # two of a second
    one, two = record(some), record(some)
    some.delete(one.stem).result(WAIT_S)
    three = record(some)
    assert (two.exists(), three.exists()) == (True, True)


# Disks


def test_a_disk_that_hangs_leaves_a_silence_and_the_recording_says_so(
    recordings: Open,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    outcomes: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(recording_module, "MAX_BUFFER", 3 * len(SECOND))
    some = recordings()
    recording = some.open(8000, LOG)
    hanging = some._files[recording]
    part = folder / f"{hanging.path.name}.part"
    folder.rmdir()  # nothing can be written
    for _ in range(2):
        recording.caller(SECOND)
        until_here(lambda: not recording._pieces or hanging._output.stuck)
    for _ in range(6):
        recording.caller(SECOND)
    folder.mkdir()
    until_here(lambda: part.exists() and not recording._pieces)
    recording.caller(SECOND)
    some.close(recording)
    path = until_here(lambda: some.find(recording.name))
    assert path.name == f"{recording.name}.incomplete.wav"
    left, _, rate = sides(path)
    loud = [level_db(left[at : at + rate]) > -40 for at in range(0, len(left), rate)]
    assert len(loud) == 9
    assert (loud[0], loud[-2], loud[-1]) == (True, False, True)
    until_here(lambda: outcomes == ["incomplete"])
    messages = [(record.getMessage(), record.__dict__.get("call")) for record in caplog.records]
    assert ("the recording waits for the disk: No such file or directory", "CA1") in messages
    assert ("the recording is incomplete: the disk was too slow or full", "CA1") in messages


def test_a_server_that_cannot_make_the_folder_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError, match="recordings"):
        Recordings(tmp_path / "file" / "recordings", RecordingSettings(mode="all"))


KILLED = """
import logging, os, sys, time
from pathlib import Path
from config.logging import Log
from config.settings import RecordingSettings
from telephony.recordings import recordings as module
module.WRITE_S = 0.02
folder = Path(sys.argv[1])
some = module.Recordings(folder, RecordingSettings(mode="all", format=sys.argv[2]))
recording = some.open(8000, Log(logging.getLogger(), {}))
second = sys.stdin.buffer.read()
for number in range(5):
    recording.caller(second)
    while recording._pieces:
        time.sleep(0.01)
print("there", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("form", ["opus", "wav"])
def test_a_killed_servers_recording_can_be_heard_and_the_next_one_names_it(
    recordings: Open, folder: Path, outcomes: list[str], form: str
) -> None:
    command = [sys.executable, "-c", KILLED, str(folder), form]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdin.write(SECOND)
        process.stdin.close()
        process.stdout.readline()
        (part,) = folder.iterdir()
        until_here(lambda: part.stat().st_size > (20_000 if form == "opus" else 5 * 32_000))
        process.send_signal(signal.SIGKILL)
    left, _, rate = sides(part)
    assert 2.9 * rate < len(left) <= 5 * rate
    recordings()
    path = folder / f"{part.name[:32]}.incomplete{part.name[32:36]}"
    until_here(path.exists)
    assert (level_db(sides(path)[0][:rate]), outcomes) == (
        pytest.approx(level_db(samples(SECOND)), abs=0.5),
        ["incomplete"],
    )


def test_what_another_server_is_writing_is_left_to_it(recordings: Open, folder: Path) -> None:
    folder.mkdir(parents=True)
    theirs, none = folder / f"20250101-120000-{1:016x}.wav.part", folder / "notes.part"
    none.write_bytes(b"")
    file = os.open(theirs, os.O_CREAT | os.O_WRONLY)
    fcntl.flock(file, fcntl.LOCK_EX)
    some = recordings()
    record(some)
    assert theirs.exists()
    assert none.exists()
    os.close(file)
