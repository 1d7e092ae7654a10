"""Settings tried again on taped calls."""

import gzip
from pathlib import Path

import msgspec
import pytest

from agent import events as e
from agent.session import Session
from agent.tape.format import header
from agent.tape.recorder import Recorder
from config.exceptions import SettingsError
from config.extras import install_command
from config.settings import Settings, TapeSettings
from telephony.cli.main import main
from telephony.tapes import sweep
from telephony.tapes.replay import SHOWN
from telephony.tapes.sweep import frontier, parse_range


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """A caller who says something, pauses for 300 ms, goes on, and is answered with silence."""
    settings = Settings(tape=TapeSettings(mode="full"))
    session, recorder = Session("CA1", "desk", settings), Recorder(words=True)
    lines = [msgspec.json.encode(header("CA1", "desk", "2026-01-01T00:00:00Z", "0", settings)) + b"\n"]

    def do(event: e.Event | None) -> None:
        commands = session.handle(event) if event else session.start()
        lines.append(recorder.step(session.now_ms, event, commands, session.state))
        for command in commands:
            if isinstance(command, e.StartReply):
                do(e.ReplyEnded(command.reply))

    do(None)
    for at in range(20, 6020, 20):
        do(e.CallerAudio(b"\0" * 320))
        if at % 40 == 0:
            do(e.SpeechProbability(0.9 if 1000 < at <= 1600 or 1880 < at <= 2600 else 0.0, at))
    path = tmp_path / "call.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(lines)))
    return path


def test_values_lists_and_ranges() -> None:
    assert parse_range("turn.endpoint_ms=300") == ("turn.endpoint_ms", [300])
    assert parse_range("turn.adapt_words=true,false") == ("turn.adapt_words", [True, False])
    assert parse_range("turn.endpoint_ms=250:400:50") == ("turn.endpoint_ms", [250, 300, 350, 400])
    assert parse_range("turn.onset_probability=0.3:0.5:0.1")[1] == pytest.approx([0.3, 0.4, 0.5])


@pytest.mark.parametrize(
    "text", ["turn.endpoint_ms", "turn.endpoint_ms=", "a=1:2:0", "a=5:1:1", "a=1:x:2", "a=0:9999:1"]
)
def test_what_is_no_range_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="--set"):
        parse_range(text)


def test_the_frontier_is_what_nothing_beats_in_both() -> None:
    points = [(0.0, 500.0), (0.1, 300.0), (0.1, 400.0), (0.2, 300.0), (0.3, 200.0)]
    assert frontier(points) == {0, 1, 4}
    assert frontier([(0.5, 100.0), (0.5, 100.0)]) == {0, 1}


def test_a_sweep_prints_every_combination_and_draws_the_frontier(
    tape: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tape.with_name("plot.png")
    ranges = ["--set", "turn.endpoint_min_ms=200,350", "--set", "turn.endpoint_ms=200:500:300"]
    assert main(["sweep", str(tape), *ranges, "--plot", str(plot)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 4 + 2
    rows = [line.split() for line in lines[1:5]]
    assert [row[:2] for row in rows] == [["200", "200"], ["200", "500"], ["350", "200"], ["350", "500"]]
    cut_off = {tuple(row[:2]): int(row[5]) for row in rows}
    assert cut_off == {("200", "200"): 1, ("200", "500"): 0, ("350", "200"): 0, ("350", "500"): 0}
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_comparison_shows_before_and_after(tape: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = ["--set", "turn.endpoint_ms=200", "--set", "turn.endpoint_min_ms=200"]
    assert main(["replay", str(tape), *changes]) == 0
    assert "1 → 2" in capsys.readouterr().out


def test_of_many_comparisons_only_the_calls_that_differ_are_shown(
    tape: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = gzip.decompress(tape.read_bytes()).splitlines(keepends=True)
    quiet = b"".join(line for line in lines if b"SpeechProbability" not in line).replace(b'"CA1"', b'"CA2"')
    for number in range(30):
        tape.with_name(f"same{number}.jsonl").write_bytes(quiet)
        tape.with_name(f"other{number}.jsonl.gz").write_bytes(tape.read_bytes())
    tape.with_name("metadata.jsonl").write_bytes(lines[0].replace(b'"full"', b'"metadata"'))
    changes = ["--set", "turn.endpoint_ms=200", "--set", "turn.endpoint_min_ms=200"]
    assert main(["replay", str(tape.parent), *changes]) == 2
    printed = capsys.readouterr()
    columns, total, *rows, calls, more = printed.out.splitlines()
    assert columns.split()[0] == "call"
    assert total.split()[:4] == ["all", "31", "→", "62"]
    assert [row.split()[0] for row in rows] == ["CA1"] * SHOWN
    assert calls == "61 calls, 31 of them different"
    assert more == f"and {31 - SHOWN} more; --all shows each"
    assert "metadata.jsonl: the tape of CA1 holds metadata only" in printed.err
    assert main(["replay", str(tape.parent), "--all", *changes]) == 2
    assert len(capsys.readouterr().out.splitlines()) == 1 + 1 + 61 + 1


@pytest.mark.parametrize(
    ("plot", "reason"),
    [
        ("plot.png", f"--plot needs matplotlib: {install_command('plot')}"),
        ("plot.docx", "expected a name that ends in .png, .svg, .pdf"),
        ("nowhere/plot.png", "there is no folder"),
    ],
)
def test_a_plot_that_cannot_be_drawn_is_refused_before_anything_is_computed(
    tape: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, plot: str, reason: str
) -> None:
    if "matplotlib" in reason:
        monkeypatch.setattr(sweep, "find_spec", lambda _: None)
    monkeypatch.setattr(sweep, "open_tape", lambda _: pytest.fail("a tape was opened"))
    ranges = ["--set", "turn.endpoint_ms=200:500:300"]
    assert main(["sweep", str(tape), *ranges, "--plot", str(tape.parent / plot)]) == 2
    printed = capsys.readouterr()
    assert reason in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--set", "turn.nonsense=1"], "turn.nonsense"),
        (["--set", "turn.endpoint_ms=50:400:1", "--set", "turn.eager_ms=0,1"], "combinations"),
    ],
)
def test_what_cannot_be_tried_is_said(
    tape: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    assert main(["sweep", str(tape), *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_a_folder_without_tapes_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(tmp_path), "--set", "turn.endpoint_ms=300"]) == 2
    assert "no tapes" in capsys.readouterr().err
