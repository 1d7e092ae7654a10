"""`voxline replay`: which files are tapes, what is printed, and what it ends with."""

import gzip
from pathlib import Path

import msgspec
import pytest

from agent import events as e
from agent.engine.embedded.synthesizer import say
from agent.listening.vad import Vad
from audio import g711, resample
from config.exceptions import TapeError, VoxlineError
from telephony.cli.main import main
from telephony.tapes.replay import SHOWN, find_tapes, open_tape, replay_all
from tests.agent.phone import Call


def tape_of(call: Call, *, words: bool = True) -> bytes:
    head = call.header() if words else msgspec.structs.replace(call.header(), mode="metadata")
    return msgspec.json.encode(head) + b"\n" + b"".join(call.tape(words=words))


@pytest.fixture
def call() -> Call:
    """Greeted, and interrupted in an answer."""
    call = Call({})
    call.greet()
    call.say(608)
    call.until(e.TurnDecided)
    call.answer("At nine in the morning.", heard="when")
    call.say(2000)
    assert call.all(e.Interrupted)
    return call


@pytest.fixture
def folder(tmp_path: Path, call: Call) -> Path:
    """A tape as it is left by a killed server, and one that was closed."""
    (tmp_path / "a.jsonl").write_bytes(tape_of(call))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(tape_of(call)))
    (tmp_path / "c.jsonl.gz.part").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("none of ours")
    return tmp_path


def changed(path: Path) -> None:
    """Another history than the session's."""
    lines = path.read_bytes()
    assert lines.count(b'"heard":""') == 1
    path.write_bytes(lines.replace(b'"heard":""', b'"heard":"At nine"'))


def test_folders_give_all_their_tapes_and_files_themselves(folder: Path) -> None:
    assert [path.name for path in find_tapes([folder])] == ["a.jsonl", "b.jsonl.gz"]
    assert find_tapes([folder / "notes.txt", folder]) == [folder / "notes.txt", *find_tapes([folder])]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="nowhere: there is no such file or folder"):
        find_tapes([tmp_path / "nowhere"])
    with pytest.raises(TapeError, match="no tapes there"):
        find_tapes([tmp_path])


def test_plain_and_compressed_tapes_are_the_same(folder: Path, call: Call) -> None:
    plain, packed = (open_tape(path) for path in find_tapes([folder]))
    assert plain == packed
    assert [step.event for step in plain[1]] == [step[1] for step in call.steps]


def test_a_tape_that_is_none_is_named(folder: Path) -> None:
    with pytest.raises(TapeError, match=r"notes\.txt: this is no tape"):
        open_tape(folder / "notes.txt")
    (folder / "d.jsonl.gz").write_bytes(b"this is no gzip")
    with pytest.raises(TapeError, match=r"d\.jsonl\.gz: "):
        open_tape(folder / "d.jsonl.gz")


def test_a_damaged_compressed_tape_is_named(folder: Path) -> None:
    path = folder / "b.jsonl.gz"
    data = bytearray(path.read_bytes())
    data[40:80] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(TapeError, match=r"b\.jsonl\.gz: "):
        open_tape(path)


def test_identical_tapes_end_with_0(folder: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay_all([folder], everything=True) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    figures = f"{len(call.steps)} events, {len(call.commands)} commands, {call.session.now_ms / 1000:.1f} s"
    assert [line.split(" at ")[0] for line in printed.out.splitlines()] == [
        f"2 tapes: 2 identical, 0 different; {2 * call.session.now_ms / 1000:.1f} s",
        f"identical  a.jsonl  {figures}",
        f"identical  b.jsonl.gz  {figures}",
    ]


def test_one_difference_is_shown_and_the_others_are_replayed_nevertheless(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(folder / "a.jsonl")
    assert replay_all([folder]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("DIFFERENT  a.jsonl  ")
    assert '  - {"at_ms":' in printed.err
    assert '"heard":"At nine"' in printed.err
    assert printed.out.startswith("2 tapes: 1 identical, 1 different; ")


def test_of_many_a_summary_and_some_that_differ(tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """Forty tapes, of which thirty have gone otherwise, and one that is broken."""
    for number in range(40):
        (tmp_path / f"{number:03}.jsonl").write_bytes(tape_of(call))
        if number < 30:
            changed(tmp_path / f"{number:03}.jsonl")
    (tmp_path / "999.jsonl").write_bytes(tape_of(call) + b"{}\n")
    assert replay_all([tmp_path]) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith("41 tapes: 10 identical, 30 different, 1 cannot be replayed; ")
    assert len(printed.out.splitlines()) == 1
    assert printed.err.count("DIFFERENT") == SHOWN
    assert printed.err.endswith(f"and {31 - SHOWN} more; --all shows each\n")
    assert replay_all([tmp_path], everything=True) == 2
    printed = capsys.readouterr()
    assert (printed.out.count("identical  "), printed.err.count("DIFFERENT")) == (10, 30)
    assert "999.jsonl: line " in printed.err


def test_computing_the_probabilities_anew_is_another_call(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The harness's loud hum is no speech to the detector."""
    assert replay_all([folder / "a.jsonl"], recompute=True) == 1
    assert "+ (nothing)" in capsys.readouterr().err


def test_the_command_line_does_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(folder), "--all"]) == 0
    assert capsys.readouterr().out.count("identical  ") == 2
    changed(folder / "a.jsonl")
    assert main(["replay", str(folder / "a.jsonl")]) == 1


def test_a_tape_of_metadata_is_told_for_what_it_is(tmp_path: Path, call: Call) -> None:
    (tmp_path / "m.jsonl").write_bytes(tape_of(call, words=False))
    with pytest.raises(VoxlineError, match="metadata only"):
        replay_all([tmp_path])


def test_the_detector_is_reset_as_often_as_it_was_in_the_call(tmp_path: Path) -> None:
    never = 0
    call = Call({}, vad_reset_ms=never)
    call.greet()
    vad = Vad(never)
    stream = vad.open()
    words = g711.decode(g711.encode(resample.to_line(*say("wait a moment please, I would like to book"))))
    audio = (bytes(16 * 6000) + words) * 2
    for at in range(0, len(audio), 320):
        call.send(e.CallerAudio(audio[at : at + 320]))
        stream.feed(audio[at : at + 320])
        call.send(*(e.SpeechProbability(value, at_ms) for _, value, at_ms in vad.run()))
    (tmp_path / "a.jsonl").write_bytes(tape_of(call))
    assert replay_all([tmp_path], recompute=True) == 0


def test_many_tapes_with_one_detector(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Silence, many times: what is left of one call does not reach the next."""
    silent = Call({})
    silent.greet()
    silent.time(1010)
    for path in find_tapes([folder]):
        path.unlink()
    for number in range(12):
        (folder / f"{number}.jsonl").write_bytes(tape_of(silent))
    assert replay_all([folder], recompute=True) == 0
    assert capsys.readouterr().out.startswith("12 tapes: 12 identical, 0 different")
