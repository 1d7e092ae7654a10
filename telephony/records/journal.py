"""States of calls that wait on disk until the database has them: a file of JSON lines.

Each server has a file of its own, locked as long as it runs. One that is not locked was left by a server that is gone:
the next one takes its lines over. A line that a crash has cut off is left out, and so is one that is damaged.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from config import private
from telephony.records.call_record import CallRecord

SUFFIX = ".journal"
MAX_BYTES = 256_000_000  # of one file; beyond that states are lost, and counted
MAX_LINE = 4_000_000  # bytes; longer ones are damage
BATCH_BYTES = 256_000  # of what is read at once, unless one line is longer

_decoder = msgspec.json.Decoder(CallRecord)
_encoder = msgspec.json.Encoder()


class JournalFull(OSError):
    """The file has reached its limit."""


class Journal:
    """The journal of one run of a server, used by one thread. Methods that touch the disk raise OSError."""

    def __init__(self, folder: Path, run: str) -> None:
        private.make_folder(folder)
        self.path = folder / f"{run}{SUFFIX}"
        self._file = _made(self.path)
        self._size = self._read = 0  # bytes written, and of these, those that the database has
        self._next = 0  # where the lines after the last batch begin

    @property
    def waiting(self) -> int:
        """Bytes that the database does not have yet."""
        return self._size - self._read

    def append(self, records: Iterable[CallRecord]) -> int:
        """Add states at the end: all of them, or none. Returns how many were left out because they are no JSON."""
        lines, left_out = [], 0
        for record in records:
            try:
                lines.append(_encoder.encode(record) + b"\n")
            except (ValueError, TypeError, OverflowError):  # a bug costs one state, not the writer
                left_out += 1
        self._append(b"".join(lines))
        return left_out

    def _append(self, data: bytes) -> None:
        if self._size + len(data) > MAX_BYTES:
            raise JournalFull(f"{self.path.name} has reached {MAX_BYTES // 1_000_000} MB")
        os.lseek(self._file, self._size, os.SEEK_SET)
        try:
            private.write_all(self._file, data)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)

    def batch(self) -> list[CallRecord]:
        """The next states, without removing them; empty: there are none."""
        data = os.pread(self._file, BATCH_BYTES, self._read)
        while data and b"\n" not in data and len(data) < MAX_LINE:
            more = os.pread(self._file, BATCH_BYTES, self._read + len(data))
            if not more:
                break
            data += more
        end = data.rfind(b"\n") + 1
        self._next = self._read + (end or len(data))
        return list(_records(data[:end]))

    def done(self) -> None:
        """The last batch is stored. When nothing waits, the file is empty, and holds none of what was said."""
        self._read = self._next
        if self._read >= self._size:
            os.ftruncate(self._file, 0)
            self._size = self._read = self._next = 0

    def sync(self) -> None:
        """Have everything on the disk itself, for a loss of power."""
        os.fsync(self._file)

    def take_over(self) -> int:
        """Take the lines of journals whose servers are gone. Returns how many files there were."""
        taken = 0
        for path in sorted(self.path.parent.glob(f"*{SUFFIX}")):
            if path != self.path and (file := _unlocked(path)) is not None:
                with os.fdopen(file, "rb") as lines:
                    while data := lines.readlines(BATCH_BYTES):
                        whole = [line for line in data if line.endswith(b"\n")]
                        self._append(b"".join(whole))
                    self.sync()
                    path.unlink(missing_ok=True)
                taken += 1
        return taken

    def living(self) -> list[str]:
        """The runs of servers that use this folder now, this one among them."""
        return [*living(self.path.parent), self.path.name.removesuffix(SUFFIX)]

    def close(self) -> None:
        """Let go of the file; it is removed if nothing waits in it."""
        if self.waiting == 0:
            with suppress(OSError):
                self.path.unlink()
        os.close(self._file)


def living(folder: Path) -> list[str]:
    """The runs whose journals in this folder are locked by another process."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        if (file := _unlocked(path)) is None:
            found.append(path.name.removesuffix(SUFFIX))
        else:
            os.close(file)
    return found


def _made(path: Path) -> int:
    """A new file, locked. A server that starts at the same time may take it for one that was left, and remove it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with suppress(OSError):  # some network disks have no locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_nlink:
            return file
        os.close(file)


def _unlocked(path: Path) -> int | None:
    """The open file, locked by us; None if another holds it, or it is gone."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def _records(data: bytes) -> Iterator[CallRecord]:
    for line in data.split(b"\n"):
        with suppress(msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            yield _decoder.decode(line)
