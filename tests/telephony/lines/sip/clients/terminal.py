"""A program on a terminal of its own: lines are typed, and its output is awaited."""

import asyncio
import os
import pty
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.telephony.lines.sip.clients.local import stop
from tests.waiting import WAIT_S

READ = 65_536
KEPT = 3000  # characters of its last output, for a failure


class Terminal:
    """A running program. `text` is all its output."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.text = ""
        self.process = process
        self._master = master
        self._read_to = 0
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._master, line.encode() + b"\n")

    async def says(self, pattern: str, wait_s: float = WAIT_S) -> re.Match[str]:
        """The next occurrence of this in its output, after the last one found; awaited if necessary."""
        try:
            async with asyncio.timeout(wait_s):
                while (found := re.compile(pattern).search(self.text, self._read_to)) is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{pattern!r} was not said; the last words:\n{self.text[-KEPT:]}") from None
        self._read_to = found.end()
        return found

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)

    def _read(self) -> None:
        try:
            data = os.read(self._master, READ)
        except OSError:  # the program has ended
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
        self.text += data.decode(errors="replace")
        self._news.set()


@asynccontextmanager
async def running(*command: str, folder: Path, **environment: str) -> AsyncIterator[Terminal]:
    """Run a program in a folder, which is its home too."""
    master, slave = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={"TERM": "dumb", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), **environment},
            start_new_session=True,
        )
    finally:
        os.close(slave)
    terminal = Terminal(process, master)
    try:
        yield terminal
    finally:
        await stop(process)
        terminal.close()
