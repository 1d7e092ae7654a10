"""Tapes as files: one a call, written by a thread that keeps out of the audio's way, compressed when the call is over.

A tape in progress is a plain file that is complete up to the last fifth of a second, whatever becomes of the server:
the next one that starts here finishes it. It is locked as long as its call is on, so that no other server takes it for
an unfinished one.
"""

import fcntl
import gzip
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from agent.tape.format import BEGINNING
from config import private
from config.exceptions import SettingsError
from config.settings import TapeSettings
from telephony.files import names
from telephony.files.backlog import Backlog
from telephony.files.shelf import Shelf
from telephony.files.writer import Writer
from telephony.tapes.removal import remove_tape

FLUSH_S = 0.2
MAX_BUFFER = 4_000_000  # bytes of one call that wait to be written; a disk that is slower loses the tape, not the call
MAX_BUFFERS = 256_000_000  # of all calls together, including those that are over
MAX_CLOSED = 10_000  # tapes that wait to be compressed; the next start finds those beyond
MAX_RESTS = 10_000  # of earlier servers, that one start finishes
STOP_S = 5.0  # for writing and compressing what is open; the next start finishes what is not compressed by then
MAX_LINE = 1 << 20  # bytes that are looked at for a tape's last line

logger = logging.getLogger("voxline.tape")


class TapeFile:
    """The tape of one call. `write` only puts lines aside."""

    def __init__(self, path: Path, waiting: Backlog | None = None) -> None:
        self.path = path
        self.broken = False
        self._lines: list[bytes] = []
        self._waiting = 0
        self._all = waiting or Backlog(MAX_BUFFERS)
        self._file: int | None = None

    def write(self, line: bytes) -> None:
        """Append a line."""
        size = len(line)
        with self._all.lock:
            if self._waiting + size > MAX_BUFFER or self._all.full(size):
                self.broken = True
            if not self.broken:
                self._lines.append(line)
                self._waiting += size
                self._all.bytes += size

    @property
    def name(self) -> str:
        """Of the file once the call is over."""
        return f"{self.path.name}.gz"

    def flush(self) -> None:
        """Write what has come in; called by one thread only. Raises OSError."""
        with self._all.lock:
            self._all.bytes -= self._waiting
            lines, self._lines, self._waiting = self._lines, [], 0
        if lines:
            if self._file is None:
                self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
                with suppress(OSError):  # some network disks have no locks
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            private.write_all(self._file, b"".join(lines))

    def give_up(self) -> None:
        """What has come in, and what may still come, is not written."""
        with self._all.lock:
            self.broken = True
            self._all.bytes -= self._waiting
            self._lines, self._waiting = [], 0

    def let_go(self) -> None:
        """Nothing more is written."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Tapes:
    """The folder of tapes, its writer and its limit."""

    def __init__(self, folder: Path, settings: TapeSettings) -> None:
        """Raises SettingsError where there can be no such folder."""
        self._folder = folder
        self._shelf = Shelf(folder, (".jsonl.gz",), round(settings.max_mb * 1e6), settings.keep_days)
        self._rests: list[Path] = []  # tapes that earlier servers have left unfinished
        self._waiting = Backlog(MAX_BUFFERS)
        self._stamp = ""
        self._names: set[str] = set()  # of the tapes that began in this second
        try:
            private.make_folder(folder)
        except OSError as error:
            raise SettingsError(f"server.data: cannot make {folder} for tapes: {error.strerror}") from None
        self._writer = Writer[TapeFile](
            "tapes",
            every_s=FLUSH_S,
            stop_s=STOP_S,
            begin=self._look_around,
            flush=lambda tape: self._safely(tape, tape.flush),
            finish=lambda tape: self._safely(tape, partial(self._finish, tape)),
            idle=self._take_up_one,
        )
        self._writer.start()

    def open(self, call: str) -> TapeFile:
        """A tape for a call that begins. The disk is left to the writer."""
        stamp = names.stamp()
        if stamp != self._stamp:
            self._stamp, self._names = stamp, set()
        name = first = f"{stamp}-{re.sub(r'[^A-Za-z0-9_-]', '_', call)[:64]}"
        number = 0
        while name in self._names:
            number += 1
            name = f"{first}-{number}"
        self._names.add(name)
        tape = TapeFile(self._folder / f"{name}.jsonl", self._waiting)
        self._writer.open(tape)
        return tape

    def close(self, tape: TapeFile) -> None:
        """The call is over: what remains is written, and the file compressed."""
        if not self._writer.close(tape, MAX_CLOSED):
            tape.give_up()

    def delete(self, name: str) -> Future[None]:
        """Delete a tape whose call is over, such as 20260501-090000-CA1.jsonl.gz, also one that is still to be
        compressed. The result raises OSError, or ValueError if that is no name of a tape."""
        return self._writer.ask(partial(self._delete, name))

    def stop(self) -> None:
        """Write everything and end."""
        self._writer.stop()

    def _safely(self, tape: TapeFile, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            if not tape.broken:
                logger.error("tape %s: %s", tape.path.name, error.strerror)
            tape.broken = True

    def _finish(self, tape: TapeFile) -> None:
        """Compress it, unless there is no time left."""
        try:
            if time.monotonic() < self._writer.end_s and tape.path.exists():
                self._shelf.add(*_compress(tape.path, incomplete=tape.broken))
        finally:
            tape.let_go()

    def _delete(self, name: str) -> None:
        remove_tape(self._folder, name)
        self._shelf.deleted()

    # What was there before

    def _look_around(self) -> bool:
        """Find the tapes that are there, and those that an earlier server has not finished: whether there are any."""
        try:
            self._shelf.walk()
            self._shelf.prune()
            self._rests = list(islice(self._folder.glob("*.jsonl"), MAX_RESTS))
            for half in islice(self._folder.glob("*.jsonl.gz.part"), MAX_RESTS):
                if not half.with_suffix("").with_suffix("").exists():  # else it is made anew, or being made
                    half.unlink(missing_ok=True)
        except OSError as error:
            logger.error("tapes: cannot look through %s: %s", self._folder, error.strerror)
        return bool(self._rests)

    def _take_up_one(self) -> bool:
        if self._rests:
            self._take_up(self._rests.pop())
        self._shelf.look()
        return bool(self._rests)

    def _take_up(self, path: Path) -> None:
        """Finish a tape whose server was killed, or had no room; leave what is not a tape or is still being written."""
        try:
            with path.open("rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                head = file.readline(MAX_LINE)
                half_a_line = not head.endswith(b"\n") and BEGINNING.startswith(head[:8])
                if path.with_suffix(".jsonl.gz").exists() or half_a_line:
                    path.unlink()  # finished already; or not even its first line is there
                elif head.startswith(BEGINNING):
                    size = file.seek(0, os.SEEK_END)
                    file.seek(max(0, size - MAX_LINE))
                    ended = _tells_the_end(file.read())
                    self._shelf.add(*_compress(path, incomplete=not ended))
                    logger.info("an unfinished tape is finished", extra={"tape": path.name, "incomplete": not ended})
        except BlockingIOError:
            return
        except OSError as error:
            logger.warning("tape %s cannot be finished: %s", path.name, error.strerror)


def _compress(path: Path, *, incomplete: bool) -> tuple[str, int]:
    """Returns the name and the size of the result. A failure (OSError) leaves nothing half done."""
    half = path.with_suffix(".jsonl.gz.part")
    try:
        with (
            path.open("rb") as source,
            open(half, "wb", opener=private.opener) as file,
            gzip.GzipFile(path.name, "wb", 6, file) as target,
        ):
            if incomplete:
                target.write(_says_so(source.readline()))
            shutil.copyfileobj(source, target)
            target.close()
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        done = path.with_suffix(".jsonl.gz")
        half.rename(done)
    except OSError:
        half.unlink(missing_ok=True)
        raise
    path.unlink()
    return done.name, size


def _says_so(head: bytes) -> bytes:
    """The first line of a tape that is incomplete. What cannot be read is left as it is."""
    header = _object(head) if head.startswith(BEGINNING) else {}
    return json.dumps({**header, "incomplete": True}).encode() + b"\n" if header else head


def _tells_the_end(last: bytes) -> bool:
    """Whether these last bytes of a tape end in the line that every whole one ends in."""
    line = last.rstrip(b"\n").rpartition(b"\n")[2]
    return last.endswith(b"\n") and b'"end":' in line and "end" in _object(line)


def _object(line: bytes) -> dict[str, Any]:
    """A line of a tape; empty for one that a full or failing disk has left half written or damaged."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
