"""What happens when no more files may be opened: real processes with few of them."""

import asyncio
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from telephony.lines.descriptors import RESERVE, Descriptors, raise_limit
from telephony.server.process import Process
from tests.conftest import Server
from tests.forked import Forked
from tests.telephony import few_files
from tests.telephony.few_files import LIMIT
from tests.waiting import WAIT_S, until

InThread = Callable[..., Awaitable[Any]]
ADVICE = f"out of file descriptors: {LIMIT} may be open; raise LimitNOFILE in the unit, or ulimit -n"


def test_numbers_tell() -> None:
    descriptors = Descriptors()
    assert not descriptors.spent(10)
    assert descriptors.spent(descriptors.limit - 1)
    assert not descriptors.spent(descriptors.limit - 1 - RESERVE)
    assert not descriptors.low()


PROGRAM = """
import os, resource, sys
from telephony.lines.descriptors import Descriptors, raise_limit
from telephony.lines.sip.media.sockets import MediaSockets, NoPort
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 64))
descriptors = Descriptors()
held = []
while not descriptors.low():
    held.append(os.open(os.devnull, os.O_RDONLY))
left = 0
try:
    MediaSockets("127.0.0.1", 30_050, 30_059)
except NoPort as error:
    print(error)
while True:
    try:
        held.append(os.open(os.devnull, os.O_RDONLY))
        left += 1
    except OSError:
        break
print(descriptors.limit, left, descriptors.low())
try:
    MediaSockets("127.0.0.1", 30_050, 30_059)
except NoPort as error:
    print(error)
raise_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
MediaSockets("127.0.0.1", 30_050, 30_059).close()
"""


def test_calls_leave_a_reserve_and_say_what_is_missing() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    why = "out of file descriptors: 40 may be open; raise LimitNOFILE in the unit, or ulimit -n"
    assert done.stdout.splitlines() == [why, "40 5 True", why, "(64, 64)"]


def test_the_limit_is_raised_to_what_the_system_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        raise_limit()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert hard == before[1]
        assert soft >= before[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class SmallServer(Server):
    """`voxline serve` under `ulimit -n`."""

    def _start(self, arguments: list[str], environment: dict[str, str]) -> Process:
        return Forked(arguments, environment, main=few_files.main)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallServer]:
    """One for each test."""
    with SmallServer({"engine.profile": "simulated", "twilio.start_timeout_s": 60}, tmp_path, {}) as server:
        yield server


async def test_whoever_comes_beyond_them_is_told_and_readiness_falls(small: SmallServer, in_thread: InThread) -> None:
    url = small.url
    host, port = url.removeprefix("http://").split(":")
    async with httpx.AsyncClient(base_url=url) as kept:
        assert (await kept.get("/readyz")).json()["status"] == "ready"
        crowd = [await asyncio.open_connection(host, int(port)) for _ in range(LIMIT)]  # nobody asks for anything
        told = [await asyncio.wait_for(reader.read(300), WAIT_S) for reader, _ in crowd[-RESERVE:]]
        assert all(answer.startswith(b"HTTP/1.1 503 ") and ADVICE.encode() in answer for answer in told)
        await in_thread(small.wait_for, f"refused: {ADVICE}")
        await in_thread(small.wait_for, ADVICE)
        ready = await kept.get("/readyz")  # this connection is an old one
        assert (ready.status_code, ready.json()["status"]) == (503, "out of file descriptors")
        assert (await kept.get("/healthz")).status_code == 200
        for _, writer in crowd:
            writer.close()

        async def ready() -> bool:
            return (await kept.get("/readyz")).status_code == 200

        await until(ready)
    assert (await in_thread(httpx.get, url + "/readyz")).status_code == 200
    assert not [line for line in small.log if "exc_info" in line]


async def test_a_crowd_that_comes_at_once_finds_nobody_silent(small: SmallServer) -> None:
    async with httpx.AsyncClient(
        base_url=small.url, limits=httpx.Limits(max_connections=None), timeout=WAIT_S
    ) as client:
        answers = await asyncio.gather(*(client.get("/healthz") for _ in range(3 * LIMIT)))
    assert {answer.status_code for answer in answers} <= {200, 503}
