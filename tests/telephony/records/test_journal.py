"""The journal on a real disk: what is cut off, damaged, left by others, too much."""

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.records import journal
from telephony.records.call_record import CallRecord
from telephony.records.journal import SUFFIX, Journal, JournalFull, living
from tests.telephony.records.calls import call, said, states


def read(one: Journal) -> list[CallRecord]:
    """Everything that waits, as it would be stored."""
    found: list[CallRecord] = []
    while one.waiting:
        found += one.batch()
        one.done()
    return found


def lines(*records: CallRecord) -> bytes:
    return b"".join(msgspec.json.encode(record) + b"\n" for record in records)


def test_states_come_back_in_order_and_leave_an_empty_file(tmp_path: Path) -> None:
    one = Journal(tmp_path / "records", "a")
    written = [call(number, transcript=said("secret")) for number in range(5)]
    one.append(written[:3])
    one.append(written[3:])
    assert one.batch() == one.batch() == written  # until they are done
    one.done()
    assert one.waiting == 0
    assert one.path.read_bytes() == b""
    assert stat.S_IMODE(one.path.stat().st_mode) == 0o600
    one.close()
    assert not one.path.exists()


def test_what_comes_between_waits_for_the_next_batch(tmp_path: Path) -> None:
    one = Journal(tmp_path, "a")
    one.append([call(1)])
    assert one.batch() == [call(1)]
    one.append([call(2)])
    one.done()
    assert read(one) == [call(2)]
    one.close()


def test_large_lines_and_many_lines_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BATCH_BYTES", 1000)
    one = Journal(tmp_path, "a")
    written = [call(number, reason="x" * 700 * number) for number in range(6)]
    one.append(written)
    assert len(one.batch()) < 6
    assert read(one) == written
    one.close()


def test_a_state_that_is_no_json_costs_no_other(tmp_path: Path) -> None:
    one = Journal(tmp_path, "a")
    assert one.append([call(1), call(2, agent="\ud800"), call(3)]) == 1
    assert read(one) == [call(1), call(3)]
    one.close()


def left(folder: Path, data: bytes, run: str = "old") -> None:
    """The journal of a server that is gone."""
    folder.mkdir(exist_ok=True)
    (folder / f"{run}{SUFFIX}").write_bytes(data)


@given(st.lists(states, max_size=6), st.data())
def test_a_file_that_is_cut_off_anywhere_loses_at_most_its_last_line(
    tmp_path_factory: pytest.TempPathFactory, written: list[CallRecord], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    whole = lines(*written)
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    left(folder, cut)
    one = Journal(folder, "new")
    assert one.take_over() == 1
    assert read(one) == written[: cut.count(b"\n")]
    one.close()
    assert list(folder.iterdir()) == []


@given(st.lists(states, min_size=1, max_size=5), st.data())
def test_damage_costs_no_line_but_those_that_it_hits(
    tmp_path_factory: pytest.TempPathFactory, written: list[CallRecord], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    broken = data.draw(st.integers(0, len(written) - 1))
    garbage = data.draw(st.binary(min_size=1, max_size=30)).replace(b"\n", b"\0") + b"{"
    left(folder, lines(*written[:broken]) + garbage + b"\n" + lines(*written[broken:]))
    one = Journal(folder, "new")
    one.take_over()
    assert read(one) == written
    one.close()


def test_a_journal_in_use_is_left_alone(tmp_path: Path) -> None:
    """By another process: a lock is the process's."""
    program = (
        "import sys; from pathlib import Path; from telephony.records.journal import Journal;"
        "from tests.telephony.records.calls import call; one = Journal(Path(sys.argv[1]), 'other');"
        "one.append([call()]); print('ready', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"ready\n"
        one = Journal(tmp_path, "own")
        assert one.take_over() == 0
        assert sorted(set(one.living())) == ["other", "own"]
        other.kill()
    assert one.take_over() == 1
    assert read(one) == [call()]
    assert set(one.living()) == {"own"}
    one.close()
    assert living(tmp_path) == []


def test_a_full_disk_takes_all_of_what_is_appended_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Journal(tmp_path, "a")
    one.append([call(1)])
    size = one.path.stat().st_size
    monkeypatch.setattr(journal, "MAX_BYTES", size + 10)
    with pytest.raises(JournalFull):
        one.append([call(2)])
    assert one.path.stat().st_size == size
    assert read(one) == [call(1)]
    one.close()


def test_half_a_write_is_taken_back(tmp_path: Path) -> None:
    """By a limit of this process's files, as a full disk does it."""
    program = (
        "import resource, signal, sys; from pathlib import Path; from telephony.records.journal import Journal;"
        "from tests.telephony.records.calls import call; one = Journal(Path(sys.argv[1]), 'a'); one.append([call(1)]);"
        "size = one.path.stat().st_size; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, size + 10))\n"
        "try:\n    one.append([call(2)])\nexcept OSError as error:\n"
        "    print(error.errno, one.path.stat().st_size == size, one.batch() == [call(1)])"
    )
    done: Any = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["27", "True", "True"]
