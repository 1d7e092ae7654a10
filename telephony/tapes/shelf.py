"""The finished tapes of a folder, as far as their limit needs it: how large they are in all, and which go first.

The folder is walked when a server starts and once in some thousand calls, not at the end of each; what is known of it
is bounded too, however many tapes there are.
"""

import heapq
import logging
import os
import time
from bisect import insort
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOST_KNOWN = 4096  # tapes whose names are kept
WALK_S = 60.0  # at least, between two walks

logger = logging.getLogger("voxline.tape")


class Shelf:
    """Used by one thread. Names begin with the time of the call, so that their order is that of age."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._bytes = self._count = 0  # of all tapes
        self._oldest: list[tuple[str, int]] = []  # name and size, in order
        self._newest = ""
        self._walked_s = 0.0

    def walk(self) -> None:
        """Look through the folder. Raises OSError."""
        self._walked_s = time.monotonic()
        self._bytes = self._count = 0
        self._oldest = heapq.nsmallest(MOST_KNOWN, self._found())

    def add(self, name: str, size: int) -> None:
        """A tape has been finished: delete the oldest ones beyond the limit."""
        if self._count == len(self._oldest) < MOST_KNOWN:  # all are known; else later walks will find this one
            insort(self._oldest, (name, size))
        self._counted(name, size)
        self.prune()

    def prune(self) -> None:
        """Delete the oldest tapes beyond the limit, but never the newest one. Raises OSError where it cannot look."""
        while self._bytes > self._max_bytes:
            if not self._oldest and self._count and time.monotonic() - self._walked_s > WALK_S:
                self.walk()
            if not self._oldest or self._oldest[0][0] == self._newest:
                return
            name, size = self._oldest.pop(0)
            self._bytes -= size
            self._count -= 1
            try:
                (self._folder / name).unlink(missing_ok=True)
            except OSError as error:
                logger.warning("tape %s cannot be deleted: %s", name, error.strerror)

    def forget(self, name: str) -> None:
        """A tape was deleted. Of one that is not known here, later walks find that it is gone."""
        for place, (known, size) in enumerate(self._oldest):
            if known == name:
                del self._oldest[place]
                self._bytes -= size
                self._count -= 1
                return

    def _found(self) -> Iterator[tuple[str, int]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".jsonl.gz"):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        size = entry.stat(follow_symlinks=False).st_size
                        self._counted(entry.name, size)
                        yield entry.name, size

    def _counted(self, name: str, size: int) -> None:
        self._bytes += size
        self._count += 1
        self._newest = max(self._newest, name)
