"""What calls leave behind when they are over: nothing, or a server that runs for a month grows for a month.

Memory is counted in Python's blocks, after a collection: a single object kept per call shows within a few hundred
calls, where the operating system's figures would need thousands. `python -m bench.memory` looks at that.
"""

import asyncio
import gc
import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect

from config.settings import load_settings
from telephony.server.app import App
from telephony.server.draining import build_server
from tests.simulated import quick
from tests.waiting import running, until

MOMENT_S = 0.5  # that connections may be kept after their end
WARM_UP, CALLS, AT_ONCE = 300, 600, 20
LEFT = 0.9  # blocks a call: less than one object of each
SETTINGS: dict[str, Any] = {
    "server.port": 0,
    "twilio.send_timeout_s": MOMENT_S,
    "sip.enabled": True,
    "sip.port": 0,
    **quick(words=2),
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def no_log() -> Iterator[None]:
    """pytest would keep every line of it."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class Place:
    """A server of this process."""

    def __init__(self, app: App, port: int, sip: int) -> None:
        self.app = app
        self.port = port
        self.sip = sip

    async def over(self) -> None:
        """Wait until all calls are over, and their transactions, which SIP keeps for 32 s."""
        assert self.app.sip
        assert self.app.sip._ua
        user_agent = self.app.sip._ua
        await until(
            lambda: not (self.app.calls or self.app.admission.active or user_agent.next_ms < float("inf")), wait_s=90
        )


@asynccontextmanager
async def place(folder: Any) -> AsyncIterator[Place]:
    settings = load_settings(None, SETTINGS | {"server.data": str(folder)})
    app = App(settings)
    server = build_server(app, settings)
    async with running(server) as port:
        assert app.sip
        yield Place(app, port, app.sip.ports["TCP"])


async def by_twilio(at: Place, number: int) -> None:
    """A call that is greeted and hung up."""
    stream, call = f"MZ{number:032}", f"CA{number:032}"

    def message(event: str, **fields: Any) -> str:
        return json.dumps({"event": event, "streamSid": stream, **fields})

    start = {"streamSid": stream, "accountSid": "AC", "callSid": call, "tracks": ["inbound"], "customParameters": {}}
    start["mediaFormat"] = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    url = f"ws://127.0.0.1:{at.port}/twilio/media"
    async with connect(url, compression=None, ping_interval=None, proxy=None) as socket:
        await socket.send(message("start", sequenceNumber="1", start=start))
        async for text in socket:
            if '"media"' in str(text):
                break
        await socket.send(message("stop", stop={"callSid": call}))
        async for _ in socket:
            pass


async def by_sip(at: Place, number: int) -> None:
    """The same, by TCP."""
    reader, writer = await asyncio.open_connection("127.0.0.1", at.sip)
    host, port = writer.get_extra_info("sockname")
    sdp = f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"

    def send(method: str, sequence: int, tag: str = "", body: str = "") -> None:
        lines = [
            f"{method} sip:front_desk@{host}:{at.sip} SIP/2.0",
            f"Via: SIP/2.0/TCP {host}:{port};branch=z9hG4bK{method}{number}",
            "Max-Forwards: 70",
            f"From: <sip:ann@{host}>;tag=ann{number}",
            f"To: <sip:front_desk@{host}>{tag}",
            f"Call-ID: {number}@{host}",
            f"CSeq: {sequence} {method}",
            f"Contact: <sip:ann@{host}:{port};transport=tcp>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    async def answer() -> str:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"(?im)^content-length: *(\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            if not head.startswith("SIP/2.0 1"):
                return head

    send("INVITE", 1, body=sdp)
    head = await answer()
    assert head.startswith("SIP/2.0 200"), head
    to = re.search(r"(?im)^to:.*(;tag=\S+)", head)
    assert to
    send("ACK", 1, to[1])
    await asyncio.sleep(0.1)
    send("BYE", 2, to[1])
    assert (await answer()).startswith("SIP/2.0 200")
    writer.close()
    await writer.wait_closed()


async def calls(at: Place, call: Callable[[Place, int], Awaitable[None]], numbers: range) -> None:
    """Make them, AT_ONCE at a time, and wait until all are over."""
    waiting = iter(numbers)

    async def caller() -> None:
        for number in waiting:
            await call(at, number)

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    await at.over()


def blocks() -> int:
    """Blocks in use now."""
    gc.collect()
    return sys.getallocatedblocks()


async def settled() -> int:
    """Blocks in use once no more are being freed: timers hold on to closed connections for a moment."""
    now, before = blocks(), sys.maxsize
    while now < before - LEFT * CALLS:
        await asyncio.sleep(2 * MOMENT_S)
        now, before = blocks(), now
    return now


@pytest.mark.parametrize("call", [by_twilio, by_sip])
async def test_calls_leave_nothing_behind(tmp_path: Any, call: Callable[[Place, int], Awaitable[None]]) -> None:
    async with place(tmp_path) as at:
        await calls(at, call, range(WARM_UP))
        before = await settled()
        await calls(at, call, range(WARM_UP, WARM_UP + CALLS))
        left = float("inf")

        async def gone() -> bool:
            nonlocal left
            await asyncio.sleep(MOMENT_S)  # what is left takes time to go, and a collection to be counted
            left = (blocks() - before) / CALLS
            return left <= LEFT

        try:
            await until(gone, wait_s=30)
        except TimeoutError:
            pytest.fail(f"{left:.1f} blocks a call are left")
