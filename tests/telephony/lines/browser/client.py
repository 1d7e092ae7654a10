"""A page without a browser, over a real socket: sends frames, hears, answers."""

import asyncio
import json
import time
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from telephony.lines.browser.messages import Heard, pack, text, unpack
from tests.telephony.lines.browser.page import Ear
from tests.waiting import until

FRAME = 320
FRAME_S = 0.02


async def token(url: str, **wanted: Any) -> str:
    """A token, as voxline's own page gets it."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{url}/browser/token", json=wanted, headers={"Origin": url})
    assert answer.status_code == 201, answer.text
    issued: str = answer.json()["token"]
    return issued


class Page:
    """One call; with `hold` it goes on by itself."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ear = Ear()
        self.sequence = 0
        self.told: list[dict[str, Any]] = []
        self.call = self.key = ""
        self.answers_clear = True
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def socket(self) -> ClientConnection:
        """The present one."""
        assert self._socket
        return self._socket

    async def open(self) -> None:
        """Connect."""
        self._socket = await connect(
            self.url.replace("http", "ws", 1) + "/browser/media",
            origin=self.url,  # type: ignore[arg-type]
            compression=None,
            ping_interval=None,
            proxy=None,
        )
        self._tasks.append(asyncio.create_task(self._read(self._socket)))

    async def start(self, **wanted: Any) -> "Page":
        """Begin a call."""
        await self.open()
        await self.say("start", token=await token(self.url, **wanted))
        await until(lambda: self.call or self.socket.close_code)
        return self

    async def resume(self) -> None:
        """Come back with another socket."""
        count = len(self.of("welcome"))
        await self.open()
        await self.say("resume", call=self.call, key=self.key)
        await until(lambda: len(self.of("welcome")) > count or self.socket.close_code)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """What the server has told of a kind."""
        return [message for message in self.told if message["type"] == kind]

    async def say(self, kind: str, **fields: Any) -> None:
        """Send a text message."""
        await self.socket.send(text(kind, **fields))

    async def frame(self, pcm: bytes = bytes(2 * FRAME), heard: Heard | None = None) -> None:
        """Send audio: 20 ms of silence."""
        sequence, self.sequence = self.sequence, self.sequence + len(pcm) // 2
        await self.socket.send(pack(sequence, pcm, heard or self.ear.told))

    def hold(self) -> None:
        """Send silence and play what comes, in real time."""
        self._tasks.append(asyncio.create_task(self._hold(self.socket)))

    async def closed(self) -> tuple[int, str]:
        """The code and reason with which the server has closed."""
        await until(lambda: self.socket.close_code is not None)
        return self.socket.close_code or 0, self.socket.close_reason or ""

    def drop(self) -> None:
        """The socket breaks."""
        self.socket.transport.abort()

    async def end(self) -> None:
        """End everything on this side."""
        for task in self._tasks:
            task.cancel()
        if self._socket:
            self._socket.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket:
            await self._socket.wait_closed()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                if isinstance(message, bytes):
                    self.ear.take(unpack(message))
                else:
                    await self._take(json.loads(message))
        except ConnectionClosed:
            pass

    async def _take(self, message: dict[str, Any]) -> None:
        self.told.append(message)
        if message["type"] == "welcome":
            self.call, self.key = message["call"], message["key"]
        elif message["type"] == "clear" and self.answers_clear:
            stopped = self.ear.clear(message["epoch"])
            await self.say("stopped", epoch=stopped.epoch, heard=stopped.heard, fade=stopped.fade)

    async def _hold(self, socket: ClientConnection) -> None:
        begin, sent = time.monotonic(), 0
        try:
            while socket is self._socket:
                self.ear.play(FRAME)
                await self.frame()
                sent += 1
                await asyncio.sleep(max(0.0, begin + sent * FRAME_S - time.monotonic()))
        except ConnectionClosed:
            pass
