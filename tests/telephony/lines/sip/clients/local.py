"""Shared by the test programs: free ports, and clean termination."""

import asyncio
import atexit
import random
import socket
import subprocess
from pathlib import Path

from tests.debian import require

HOST = "127.0.0.1"
FIRST, LAST = 10_000, 19_999  # outside the kernel's ephemeral ports, voxline's RTP and the tests' own phones
BLOCK = 7  # for RTP and RTCP of a few calls, and for ports that programs open beside the given one
STOP_S = 5


_claims: list[socket.socket] = []  # of blocks of ports, by their last one


@atexit.register
def _give_back() -> None:
    for claim in _claims:
        claim.close()


def free_port() -> int:
    """The first of `BLOCK` ports that are free for UDP and TCP, and not given to another test process."""
    while True:
        port = random.randrange(FIRST, LAST, BLOCK + 1)
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((HOST, port + BLOCK))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        if all(_is_free(port + n) for n in range(BLOCK)):
            return port


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as one:
            try:
                one.bind((HOST, port))
            except OSError:
                return False
    return True


async def stop(process: asyncio.subprocess.Process) -> None:
    """Terminate a program, by force if necessary."""
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def certificate(folder: Path) -> Path:
    """A new certificate for 127.0.0.1 with its key, in one file."""
    require("openssl")
    both, key, cert = (folder / f"{name}.pem" for name in ("both", "key", "cert"))
    name = f"-days 2 -subj /CN={HOST} -addext subjectAltName=IP:{HOST}"
    make = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {cert} {name}"
    subprocess.run(make.split(), check=True, capture_output=True)
    both.write_text(key.read_text() + cert.read_text())
    return both
