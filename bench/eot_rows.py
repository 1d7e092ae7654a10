"""Reads a set of turns in eot-bench's format (livekit/eot-bench-data on Hugging Face's hub), from a folder.

The folder holds Parquet files as the hub gives them, such as data/en/validation-00000-of-00001.parquet, or files of
JSON lines beside WAV files. A row has

  id             a name
  language       such as en
  audio          {"bytes": a file that libsndfile reads}, {"path": where such a file is, beside the rows}, or that path
  silence_spans  [{"start": seconds, "end": seconds}, ...]: every pause of 100 ms and more; the last is the turn's end

Anything else in it is not read. Parquet needs `pip install pyarrow`.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import soundfile

from agent.engine.base import FloatArray
from audio import resample
from audio.rate import RATE

LANGUAGE = "en"
COLUMNS = ("id", "language", "audio", "silence_spans")
AT_ONCE = 16  # rows of a Parquet file that are read at once


class RowError(ValueError):
    """A folder, a file or a row is not in the format."""


class Turn(msgspec.Struct, frozen=True):
    """One person's whole turn. Times are in ms from the beginning of the audio."""

    name: str
    audio: FloatArray  # mono, 8 kHz, -1..1
    pauses: tuple[tuple[float, float], ...]  # inside it: begins, ends
    end_ms: float  # where it ends


def read(folder: Path, language: str = LANGUAGE) -> Iterator[Turn]:
    """The turns in a language, file by file. Raises RowError."""
    found = [path for suffix in ("parquet", "jsonl") for path in sorted(folder.rglob(f"*.{suffix}"))]
    if not found:
        raise RowError(f"{folder}: there is no .parquet and no .jsonl file")
    names: set[str] = set()
    for path in found:
        for number, row in enumerate(_rows(path, language), 1):
            where = f"{path}, row {number}"
            if missing := [name for name in COLUMNS if row.get(name) is None]:
                raise RowError(f"{where}: it has no {' and no '.join(missing)}")
            if str(row["language"]).strip().lower() != language:
                continue
            turn = _turn(row, path.parent, where)
            if turn.name in names:
                raise RowError(f"{where}: the id {turn.name!r} is there twice")
            names.add(turn.name)
            yield turn
    if not names:
        raise RowError(f"{folder}: no row is in the language {language!r}")


def _rows(path: Path, language: str) -> Iterator[dict[str, Any]]:
    try:
        if path.suffix == ".jsonl":
            yield from (json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip())
        else:
            yield from _parquet(path, language)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise error if isinstance(error, RowError) else RowError(f"{path}: {error}") from error


def _parquet(path: Path, language: str) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import parquet  # noqa: PLC0415 - only this format needs it
    except ImportError:
        raise RowError(f"{path}: Parquet files need `pip install pyarrow`") from None
    with parquet.ParquetFile(path) as file:
        there = [name for name in COLUMNS if name in file.schema_arrow.names]
        if "language" in there and language not in _languages(file):
            return
        for batch in file.iter_batches(AT_ONCE, columns=there):
            yield from batch.to_pylist()


def _languages(file: Any) -> set[str]:
    return {str(each).strip().lower() for each in file.read(columns=["language"])["language"].unique().to_pylist()}


def _turn(row: dict[str, Any], folder: Path, where: str) -> Turn:
    spans = _spans(row["silence_spans"], where)
    return Turn(str(row["id"]), _audio(row["audio"], folder, where), tuple(spans[:-1]), spans[-1][0])


def _spans(found: Any, where: str) -> list[tuple[float, float]]:
    """In ms. Older versions of the hub's library give one list for each field in place of a list of rows."""
    try:
        if isinstance(found, dict):
            found = [{"start": start, "end": end} for start, end in zip(found["start"], found["end"], strict=True)]
        spans = [(1000 * float(span["start"]), 1000 * float(span["end"])) for span in found]
    except (KeyError, TypeError, ValueError) as error:
        raise RowError(f"{where}: silence_spans is no list of starts and ends in seconds: {error!r}") from error
    if not spans or any(start > end for start, end in spans) or spans != sorted(spans):
        raise RowError(f"{where}: silence_spans are none, or not in order: {found}")
    return spans


def _audio(found: Any, folder: Path, where: str) -> FloatArray:
    """At 8 kHz."""
    fields = found if isinstance(found, dict) else {"path": found}
    try:
        source = io.BytesIO(fields["bytes"]) if fields.get("bytes") else folder / str(fields["path"])
        audio, rate = soundfile.read(source, dtype="float32", always_2d=True)
    except (KeyError, OSError, TypeError, soundfile.LibsndfileError) as error:
        raise RowError(f"{where}: its audio cannot be read: {error}") from error
    return resample.resample(np.ascontiguousarray(audio.mean(axis=1)), rate, RATE)
