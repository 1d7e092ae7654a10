"""rtpengine (Debian: rtpengine-daemon), a third-party audio relay, behind Kamailio, in user space."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.debian import needs
from tests.telephony.lines.sip.clients import kamailio
from tests.telephony.lines.sip.clients.local import HOST, free_port, stop
from tests.waiting import WAIT_S

FIRST, LAST = 30_000, 30_999  # its audio; it looks for free ones itself
PING, PONG = b"1 d7:command4:pinge", b"1 d6:result4:ponge"

needs_rtpengine = needs("rtpengine-daemon")


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[int]:
    """A relay; its control port."""
    port = free_port()
    with (folder / "rtpengine.txt").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *("rtpengine", "--foreground", "--log-stderr", "--no-log-timestamps", "--table=-1"),
            *(f"--interface={HOST}", f"--listen-ng={HOST}:{port}", "--num-threads=1"),
            *(f"--port-min={FIRST}", f"--port-max={LAST}", "--config-file=none"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        await _listening(port)
        yield port
    finally:
        await stop(process)


async def _listening(port: int) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        control.setblocking(False)
        control.connect((HOST, port))
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    control.send(PING)
                    async with asyncio.timeout(0.2):
                        if await loop.sock_recv(control, 100) == PONG:
                            return
                except (OSError, TimeoutError):
                    await asyncio.sleep(0.05)


class Behind:
    """A telephone whose calls go through Kamailio and rtpengine, both ways."""

    def __init__(self, phone: Any, port: int, proxy: Any) -> None:
        self.port = port  # of the proxy in front of it
        self._phone = phone
        self._proxy = proxy

    def __getattr__(self, name: str) -> Any:
        return getattr(self._phone, name)

    async def dial(self, uri: str) -> None:
        """Call a server on this machine, through a proxy in front of it."""
        user, port = uri.removeprefix("sip:").removesuffix(";transport=udp").split(f"@{HOST}:")
        await self._phone.dial(f"sip:{user}@{HOST}:{await self._proxy(int(port))}")


def behind(phones: Any) -> Any:
    """The same telephones behind a relay, as a value for `running`."""

    @asynccontextmanager
    async def run(folder: Path, *args: Any, **more: Any) -> AsyncIterator[Behind]:
        async with AsyncExitStack() as stack:
            phone = await stack.enter_async_context(phones(folder, *args, **more))
            ng = await stack.enter_async_context(running(folder))

            async def proxy(port: int) -> int:
                started = kamailio.running(folder / f"kamailio-{port}", port, ng=ng)
                return (await stack.enter_async_context(started)).port

            yield Behind(phone, await proxy(phone.port), proxy)

    return run
