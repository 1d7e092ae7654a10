"""sipp (Debian: sip-tester), a third-party SIP stack."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from tests.debian import needs
from tests.telephony.lines.sip.clients.local import HOST, free_port, stop
from tests.waiting import until

END_S = 30
KEPT = 2000  # characters of its last output

needs_sipp = needs("sip-tester")


class Sipp:
    """One run of a scenario."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, port: int) -> None:
        self.port = port  # where to call it
        self._process = process
        self._folder = folder

    def is_listening(self) -> bool:
        """Whether its port is open."""
        sockets = psutil.Process(self._process.pid).net_connections("inet")
        return any(one.laddr.port == self.port for one in sockets)

    async def end(self) -> None:
        """Wait until the scenario is over; every call must have followed it."""
        async with asyncio.timeout(END_S):
            said, _ = await self._process.communicate()
        last = (self._read("errors") or said.decode(errors="replace"))[-KEPT:]
        assert self._process.returncode == 0, f"sipp ended with {self._process.returncode}:\n{last}"

    def messages(self) -> str:
        """All messages sent and received."""
        return self._read("messages")

    def notes(self) -> list[str]:
        """The log of the scenario: lines that begin with `note`."""
        return [line for line in self._read("logs").splitlines() if line.startswith("note")]

    def _read(self, kind: str) -> str:
        return "".join(file.read_text(errors="replace") for file in self._folder.glob(f"*_{kind}.log"))


@asynccontextmanager
async def called(scenario: str, folder: Path, *options: str) -> AsyncIterator[Sipp]:
    """Run a scenario of a called party, once; sipp listens from now on."""
    async with running(scenario, folder, "-m", "1", *options) as sipp:
        await until(sipp.is_listening)
        yield sipp


@asynccontextmanager
async def running(
    scenario: str, folder: Path, *options: str, media: int = 0, advertised: int = 0
) -> AsyncIterator[Sipp]:
    """Run a scenario with these options; it is ended afterwards, if need be. It listens for audio on the port `media`
    but advertises `advertised`."""
    file, local, media = _write(scenario, folder), free_port(), media or free_port()
    own = f"-sf {file} -i {HOST} -p {local} -mi {HOST} -mp {media} -key rtp_port {advertised or media}"
    process = await asyncio.create_subprocess_exec(
        "sipp",
        *own.split(),
        *("-nostdin", "-trace_err", "-trace_msg", "-trace_logs"),
        *options,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"TERM": "dumb", "PATH": "/usr/bin:/bin"},
    )
    try:
        yield Sipp(process, folder, local)
    finally:
        await stop(process)


def _write(scenario: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "scenario.xml"
    file.write_text(scenario)
    return file


async def call(scenario: str, folder: Path, port: int, *options: str, **ports: int) -> str:
    """Run a scenario of a caller against a port of this machine, once unless `-m` says otherwise; its messages."""
    async with running(scenario, folder, "-s", "1000", f"{HOST}:{port}", "-m", "1", *options, **ports) as sipp:
        await sipp.end()
        return sipp.messages()
