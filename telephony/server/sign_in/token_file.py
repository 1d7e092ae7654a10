"""The API tokens of a running server: read anew when their file changes, and when each was used last.

Files are read and written in a thread, once a second, so that a slow disk keeps no caller waiting.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from config.exceptions import SettingsError
from telephony.server.errands import Errands
from telephony.server.sign_in.api_tokens import FILE, ApiToken, find, read, replace

USED_FILE = "api-tokens-used.json"  # by their hashes; only the server writes it, and only commands write FILE
MAX_BYTES = 1 << 20  # of it
HOUR_S = 3600
LOOK_S = 1.0

logger = logging.getLogger("voxline.tokens")


class TokenFile:
    """Of one server. A file that cannot be read is as good as none: no token is right then."""

    def __init__(self, folder: Path, errands: Errands | None = None, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives Unix time in s."""
        self._folder = folder
        self._errands = errands or Errands()
        self._clock = clock
        self._tokens: tuple[ApiToken, ...] = ()
        self._seen: tuple[int, int, int] | None = None  # by what a change of the file is noticed
        self._used: dict[str, int] = {}
        self._written: dict[str, int] = {}

    def find(self, given: str) -> ApiToken | None:
        """The token that a program sends, if it is good now; that counts as its use."""
        token = self.good(given)
        if token is not None:
            self._used[token.hash] = int(self._clock()) // HOUR_S * HOUR_S
        return token

    def good(self, given: str) -> ApiToken | None:
        """The same; to ask is no use of it."""
        token = find(self._tokens, given)
        return None if token is None or token.is_over(self._clock()) else token

    async def run(self) -> None:
        """Look after the files until cancelled."""
        self._written = await self._errands.run(read_used, self._folder)
        self._used = self._written | self._used
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Once."""
        tokens = await self._errands.run(self._read)
        if tokens is not None:
            self._tokens = tokens
            if known := {token.hash for token in tokens}:
                self._used = {key: at for key, at in self._used.items() if key in known}
            logger.info("API tokens read", extra={"tokens": len(tokens)})
        if self._used != self._written:
            self._written = dict(self._used)
            await self._errands.run(self._keep, self._written)

    def _read(self) -> tuple[ApiToken, ...] | None:
        """The tokens, if their file has changed."""
        seen = None
        with suppress(OSError):
            status = (self._folder / FILE).stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            return read(self._folder)
        except SettingsError as error:
            logger.error("no API token is right: %s", error)
            return ()

    def _keep(self, used: dict[str, int]) -> None:
        try:
            replace(self._folder / USED_FILE, msgspec.json.encode(used))
        except OSError as error:
            logger.warning("cannot write %s: %s", self._folder / USED_FILE, error.strerror)


def read_used(folder: Path) -> dict[str, int]:
    """When tokens were used last, to the hour, in Unix time in s, by their hashes. Empty where nothing is known."""
    try:
        with (folder / USED_FILE).open("rb") as file:
            return msgspec.json.decode(file.read(MAX_BYTES), type=dict[str, int])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
