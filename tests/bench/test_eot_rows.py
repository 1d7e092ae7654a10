"""Sets in eot-bench's format: read from Parquet as the hub gives it and from JSON lines, and refused with a reason."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bench.eot_rows import RowError, Turn, read

RATE = 24_000
TONE = (0.5 * np.sin(np.arange(RATE) / 10)).astype(np.float32)  # a second
SPANS = [{"start": 0.2, "end": 0.45}, {"start": 0.8, "end": 1.0}]


def wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.stack([TONE, TONE], axis=1), RATE, format="WAV")
    return file.getvalue()


def row(name: str, **changes: Any) -> dict[str, Any]:
    usual = {"id": name, "language": "en", "audio": f"{name}.wav", "silence_spans": SPANS, "words": [], "messages": []}
    return {key: value for key, value in (usual | changes).items() if value is not ...}


def write_lines(folder: Path, *rows: dict[str, Any]) -> Path:
    (folder / "a.wav").write_bytes(wav())
    (folder / "turns.jsonl").write_text("\n\n".join(map(json.dumps, rows)) + "\n")
    return folder


def write_parquet(folder: Path, *rows: dict[str, Any]) -> Path:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (folder / "data" / "en").mkdir(parents=True)
    parquet.write_table(
        arrow.Table.from_pylist(list(rows)), folder / "data" / "en" / "validation-00000-of-00001.parquet"
    )
    return folder


def is_the_turn(turn: Turn) -> bool:
    return (
        turn.name == "a"
        and turn.pauses == ((200, 450),)
        and turn.end_ms == 800
        and len(turn.audio) == 8000
        and float(np.abs(turn.audio).max()) == pytest.approx(0.5, abs=0.02)
    )


@pytest.mark.parametrize(
    "spans", [SPANS, {"start": [0.2, 0.8], "end": [0.45, 1.0]}], ids=["a list of rows", "a list for each field"]
)
def test_json_lines_beside_wav_files(tmp_path: Path, spans: Any) -> None:
    folder = write_lines(tmp_path, row("b", language="de"), row("a", silence_spans=spans, words=...))
    [turn] = read(folder)
    assert is_the_turn(turn)


def test_parquet_as_the_hub_gives_it(tmp_path: Path) -> None:
    audio = {"bytes": wav(), "path": "a.wav"}
    folder = write_parquet(tmp_path, row("a", audio=audio, language="EN "), row("b", audio=audio, language="de"))
    [turn] = read(folder)
    assert is_the_turn(turn)
    assert [turn.name for turn in read(folder, "de")] == ["b"]
    with pytest.raises(RowError, match="no row is in the language 'fr'"):
        list(read(folder, "fr"))


def test_parquet_of_something_else(tmp_path: Path) -> None:
    folder = write_parquet(tmp_path, {"id": "a", "text": "hello"})
    with pytest.raises(RowError, match=r"-of-00001\.parquet, row 1: it has no language and no audio and"):
        list(read(folder))


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(RowError, match=r"x\.parquet: "):
        list(read(tmp_path))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"silence_spans": ...}, "row 1: it has no silence_spans"),
        ({"audio": ..., "language": None}, "row 1: it has no language and no audio"),
        ({"silence_spans": []}, "silence_spans are none, or not in order"),
        ({"silence_spans": SPANS[::-1]}, "silence_spans are none, or not in order"),
        ({"silence_spans": [{"start": 1}]}, "silence_spans is no list of starts and ends in seconds"),
        ({"audio": "b.wav"}, "its audio cannot be read"),
        ({"audio": {"bytes": None, "path": None}}, "its audio cannot be read"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        list(read(write_lines(tmp_path, row("a", **changes))))


def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    with pytest.raises(RowError, match="the id 'a' is there twice"):
        list(read(write_lines(tmp_path, row("a"), row("a"))))


def test_a_folder_without_a_set(tmp_path: Path) -> None:
    with pytest.raises(RowError, match=r"there is no \.parquet and no \.jsonl file"):
        list(read(tmp_path))
