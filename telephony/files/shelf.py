"""The finished files of a folder, as far as their limits need it: how large they are in all, and which go first.

The folder is walked when a server starts and once in some thousand calls, not at the end of each; what is known of it
is bounded too, however many files there are.
"""

import heapq
import logging
import os
import time
from bisect import insort
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from telephony.files import names

MOST_KNOWN = 4096  # files whose names are kept
WALK_S = 60.0  # at least, between two walks
LOOK_S = 600.0  # between two looks for files that are too old
DAY_S = 86_400

logger = logging.getLogger("voxline.files")


class Shelf:
    """Used by one thread. Names begin with the time of the call (`names.stamp`), so that their order is that of age."""

    def __init__(self, folder: Path, endings: tuple[str, ...], max_bytes: int, keep_days: float = 0) -> None:
        """`endings` are those of the finished files' names; what is older than `keep_days` is deleted, unless that is
        0."""
        self._folder = folder
        self._endings = endings
        self._max_bytes = max_bytes
        self._keep_days = keep_days
        self._looked_s = 0.0
        self._stale = False
        self._bytes = self._count = 0  # of all files
        self._oldest: list[tuple[str, int]] = []  # name and size, in order
        self._newest = ""
        self._walked_s = 0.0

    def walk(self) -> None:
        """Look through the folder. Raises OSError."""
        self._walked_s = time.monotonic()
        self._stale = False
        self._bytes = self._count = 0
        self._oldest = heapq.nsmallest(MOST_KNOWN, self._found())

    def add(self, name: str, size: int) -> None:
        """A file has been finished: delete the oldest ones beyond the limits."""
        if self._count == len(self._oldest) < MOST_KNOWN:  # all are known; else later walks will find this one
            insort(self._oldest, (name, size))
        self._counted(name, size)
        self.prune()

    def prune(self) -> None:
        """Delete the oldest files beyond the limits: by size never the newest one, by age that too. Raises OSError
        where it cannot look."""
        oldest = names.stamp(time.time() - DAY_S * self._keep_days) if self._keep_days else ""
        if self._stale and self._bytes > self._max_bytes:
            self.walk()
        while self._bytes > self._max_bytes or (oldest and self._count):
            if not self._oldest and self._count and time.monotonic() - self._walked_s > WALK_S:
                self.walk()
            if not self._oldest:
                return
            name, size = self._oldest[0]
            if name >= oldest and (self._bytes <= self._max_bytes or name == self._newest):
                return
            self._oldest.pop(0)
            self._gone(size)
            try:
                (self._folder / name).unlink(missing_ok=True)
            except OSError as error:
                logger.warning("%s cannot be deleted: %s", name, error.strerror)

    def look(self) -> None:
        """Called often: delete what has become too old."""
        if self._keep_days and time.monotonic() - self._looked_s > LOOK_S:
            self._looked_s = time.monotonic()
            try:
                self.prune()
            except OSError as error:
                logger.warning("cannot look through %s: %s", self._folder, error.strerror)

    def deleted(self) -> None:
        """Somebody else has deleted a file; any thread may say so."""
        self._stale = True

    def _gone(self, size: int) -> None:
        self._bytes -= size
        self._count -= 1

    def _found(self) -> Iterator[tuple[str, int]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(self._endings):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        size = entry.stat(follow_symlinks=False).st_size
                        self._counted(entry.name, size)
                        yield entry.name, size

    def _counted(self, name: str, size: int) -> None:
        self._bytes += size
        self._count += 1
        self._newest = max(self._newest, name)
