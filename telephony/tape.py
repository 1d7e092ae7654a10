"""Tapes as files: one a call, written by a thread off the audio's way, compressed when the call is over.

A tape in progress is a plain file that is complete up to the last fifth of a second, whatever becomes of the server.
"""

import gzip
import logging
import re
import shutil
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from config.exceptions import SettingsError
from config.settings import TapeSettings

FLUSH_S = 0.2
MAX_BUFFER = 4_000_000  # bytes of one call that wait to be written; a disk that is slower loses the tape, not the call

logger = logging.getLogger("voxline.tape")


class Tape:
    """The tape of one call. `write` only puts lines aside."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken = False
        self._lines: list[bytes] = []
        self._waiting = 0
        self._lock = threading.Lock()

    def write(self, line: bytes) -> None:
        """Append a line."""
        with self._lock:
            if self._waiting + len(line) > MAX_BUFFER:
                self.broken = True
            if not self.broken:
                self._lines.append(line)
                self._waiting += len(line)

    def flush(self) -> None:
        """Write what has come in; called by one thread only."""
        with self._lock:
            lines, self._lines, self._waiting = self._lines, [], 0
        if lines:
            with self.path.open("ab") as file:
                file.write(b"".join(lines))


class Tapes:
    """The folder of tapes, its writer and its limit."""

    def __init__(self, folder: Path, settings: TapeSettings) -> None:
        """Raises SettingsError where there can be no such folder."""
        self._folder = folder
        self._max_bytes = round(settings.max_mb * 1e6)
        self._open: set[Tape] = set()
        self._closed: list[Tape] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ending = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"server.data: cannot make {folder} for tapes: {error.strerror}") from None
        self._thread = threading.Thread(target=self._run, name="tapes", daemon=True)
        self._thread.start()

    def open(self, call: str) -> Tape:
        """A tape for a call that begins."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        name = re.sub(r"[^A-Za-z0-9_-]", "_", call)[:64]
        path = self._folder / f"{stamp}-{name}.jsonl"
        with self._lock:
            taken = {tape.path for tape in (*self._open, *self._closed)}
        for number in range(1, 1000):
            if path not in taken and not path.exists() and not path.with_suffix(".jsonl.gz").exists():
                break
            path = self._folder / f"{stamp}-{name}-{number}.jsonl"
        tape = Tape(path)
        with self._lock:
            self._open.add(tape)
        return tape

    def close(self, tape: Tape) -> None:
        """The call is over: what remains is written, and the file compressed."""
        with self._lock:
            self._open.discard(tape)
            self._closed.append(tape)
        self._wake.set()

    def stop(self) -> None:
        """Write everything and end."""
        self._ending = True
        self._wake.set()
        self._thread.join(30)

    def _run(self) -> None:
        while True:
            self._wake.wait(FLUSH_S)
            self._wake.clear()
            ending = self._ending
            with self._lock:
                tapes, closed = list(self._open), self._closed
                self._closed = []
            for tape in [*tapes, *closed]:
                self._safely(tape, tape in closed or ending)
            if closed or ending:
                self._prune()
            if ending:
                return

    def _safely(self, tape: Tape, over: bool) -> None:
        try:
            tape.flush()
            if over and tape.path.exists():
                _compress(tape.path)
        except OSError as error:
            if not tape.broken:
                logger.error("tape %s: %s", tape.path.name, error.strerror)
            tape.broken = True

    def _prune(self) -> None:
        """Delete the oldest tapes beyond the limit; those in progress are left alone."""
        total = 0
        for number, path in enumerate(sorted(self._folder.glob("*.jsonl.gz"), reverse=True)):
            try:
                total += path.stat().st_size
                if number and total > self._max_bytes:
                    path.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("tape %s cannot be deleted: %s", path.name, error.strerror)


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a tape, compressed or not; a file that breaks off ends where it does."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        try:
            yield from file
        except EOFError:
            return
        except zlib.error as error:
            raise OSError(f"the file is damaged: {error}") from None


def _compress(path: Path) -> None:
    partial = path.with_suffix(".jsonl.gz.part")
    with path.open("rb") as source, gzip.open(partial, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target)
    partial.rename(path.with_suffix(".jsonl.gz"))
    path.unlink()
