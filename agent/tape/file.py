"""A tape's file, plain or gzip, read line by line, and no more of it than a tape can hold."""

import gzip
import itertools
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path

from config.exceptions import TapeError

GZIP = b"\x1f\x8b"
MAX_READ = 4_000_000  # bytes of a line; the longest hold a piece of audio, or a history
MAX_TAPE = 400_000_000  # bytes of a tape, unpacked; some four hours
MAX_GROWTH, ALLOWED = 200, 1_000_000  # a tape of pure silence grows 45-fold; so many bytes may come of any


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a tape, compressed or not; a file that breaks off ends where it does. OSError where it cannot be
    read, TapeError with the number of the line where it is damaged, or larger than a tape can be."""
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP
        raw.seek(0)
        limit = min(MAX_TAPE, ALLOWED + MAX_GROWTH * path.stat().st_size) if packed else MAX_TAPE
        yield from _bounded(gzip.GzipFile(fileobj=raw) if packed else raw, limit)


def _bounded(file: BufferedIOBase, limit: int) -> Iterator[bytes]:
    total = 0
    for number in itertools.count(1):
        try:
            line = file.readline(MAX_READ + 1)
        except EOFError:
            return
        except (zlib.error, gzip.BadGzipFile) as error:
            raise TapeError(f"line {number}: the file is damaged: {error}") from None
        if not line:
            return
        total += len(line)
        if len(line) > MAX_READ:
            raise TapeError(f"line {number}: longer than {MAX_READ} bytes")
        if total > limit:
            raise TapeError(f"line {number}: the tape is longer than {limit} bytes")
        yield line
