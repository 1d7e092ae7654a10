"""sipvicious (Debian), which scans SIP servers: here ours, on loopback."""

import asyncio
from pathlib import Path

from tests.debian import needs
from tests.telephony.lines.sip.clients.local import HOST, free_port, stop

SCAN_S = 40

needs_sipvicious = needs("sipvicious")


async def scan(program: str, folder: Path, port: int, *options: str) -> str:
    """What svmap, svwar or svcrack says about a port of this machine."""
    process = await asyncio.create_subprocess_exec(
        *(program, "-v", "-p", str(port), "-P", str(free_port()), *options, HOST),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "TERM": "dumb"},
    )
    try:
        async with asyncio.timeout(SCAN_S):
            said, _ = await process.communicate()
    finally:
        await stop(process)
    return said.decode(errors="replace")
