"""A recording's file. What a full disk does not take is kept until it does."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from telephony.recordings.removal import PART


class Output:
    """Used by the writer's thread alone."""

    def __init__(self, path: Path) -> None:
        """`path` is that of the finished file."""
        self.path = path
        self.error = ""  # why the last attempt failed
        self._waiting = bytearray()
        self._file: int | None = None
        self._size = 0  # of what has been written

    @property
    def stuck(self) -> bool:
        """Whether something waits."""
        return bool(self._waiting)

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._size

    def write(self, data: bytes = b"") -> bool:
        """Append to the file, which is made when there is something to write. False if not everything could be
        written; call it again."""
        self._waiting += data
        try:
            while self._waiting:
                written = os.write(self._open(), self._waiting)
                self._size += written
                del self._waiting[:written]
        except OSError as error:
            self.error = error.strerror or str(error)
            return False
        return True

    def overwrite(self, head: bytes) -> None:
        """Write over the beginning of the file."""
        if head and self._file is not None:
            with suppress(OSError):  # the rest is readable as it is
                os.pwrite(self._file, head, 0)

    def finish(self, path: Path) -> None:
        """Nothing more is written: the file gets its name. Raises OSError."""
        self._waiting.clear()
        if self._file is not None:
            try:
                os.fsync(self._file)
                _part(self.path).rename(path)
            finally:
                os.close(self._file)
                self._file = None

    def _open(self) -> int:
        """The file, locked as long as it is being written, so that no other server takes it for an unfinished one."""
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(_part(self.path), flags, 0o600)
            with suppress(OSError):  # some network disks have no locks
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self._file


def _part(path: Path) -> Path:
    return path.with_name(path.name + PART)
