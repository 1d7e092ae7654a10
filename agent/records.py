"""Files of JSON lines that keep what callers ask for. A record counts as written when its whole line is on the disk.

Every file has a daemon thread of its own: a disk that hangs may block its writer for as long as it likes; other files,
calls and the end of the process must not wait for it.
"""

import asyncio
import errno
import fcntl
import json
import os
import queue
import stat
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from config import private

MAX_WAITING = 100  # records of one file that wait for its disk; beyond it an append fails at once


class Records:
    """The files of one folder, for all calls of a server. The folder is made when it is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}

    async def append(self, name: str, record: dict[str, Any], timeout_s: float, *, late: bool = False) -> None:
        """Append one record to the file of this name; returns once it is on the disk.

        Raises OSError when that cannot be done, TimeoutError (one of them) when it is not done in time. The file then
        does not hold the record, and will not, unless it may come `late`.
        """
        entry = _Entry(json.dumps(record).encode() + b"\n")
        if name not in self._files:
            self._files[name] = _File(self._folder / name)
        self._files[name].put(entry)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(asyncio.wrap_future(entry.written))
        except TimeoutError:
            if entry.done or (not late and not entry.withdraw()):
                return  # just in time
            raise TimeoutError(errno.ETIMEDOUT, f"the disk has not answered for {timeout_s:g} s") from None


class _Entry:
    """A line to be written, which is either done or withdrawn, never both."""

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.written: Future[None] = Future()
        self.done = self.withdrawn = False
        self._lock = threading.Lock()

    def finish(self) -> bool:
        """It is on the disk; False when nobody wants it there any more."""
        with self._lock:
            self.done = not self.withdrawn
            return self.done

    def withdraw(self) -> bool:
        """It is not wanted any more; False when it is on the disk already."""
        with self._lock:
            self.withdrawn = not self.done
            return self.withdrawn


class _File:
    """One file and the thread that writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: queue.Queue[_Entry] = queue.Queue(MAX_WAITING)
        threading.Thread(target=self._run, name=f"records {path.name}", daemon=True).start()

    def put(self, entry: _Entry) -> None:
        try:
            self._entries.put_nowait(entry)
        except queue.Full:
            raise OSError(errno.EBUSY, f"{MAX_WAITING} records wait for the disk already") from None

    def _run(self) -> None:
        while True:
            entry = self._entries.get()
            try:
                if not entry.withdrawn:
                    _append(self._path, entry)
                entry.written.set_result(None)
            except Exception as error:  # noqa: BLE001 (whoever waits for it is told)
                if entry.withdrawn:
                    entry.written.set_result(None)  # nobody does
                else:
                    entry.written.set_exception(error)


def _append(path: Path, entry: _Entry) -> None:
    """Write the entry's line, all of it or nothing. Half a line that a crash has left is ended first."""
    private.make_folder(path.parent)
    # A pipe that is open for reading too would swallow what nobody reads.
    way = os.O_WRONLY if path.is_fifo() else os.O_RDWR
    file = os.open(path, way | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            private.write_all(file, entry.line)
            entry.finish()
            return
        with suppress(OSError):  # some network disks have no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        size = os.fstat(file).st_size
        broken = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        try:
            private.write_all(file, b"\n" + entry.line if broken else entry.line)
            os.fsync(file)
            if size == 0:
                _sync_folder(path.parent)
            if not entry.finish():
                raise TimeoutError
        except OSError:
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)


def _sync_folder(path: Path) -> None:
    """So that a new file is still there after a power failure."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
