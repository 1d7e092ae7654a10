"""One WebSocket of a page: its messages in and out. A call may have several, one after the other."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from telephony.lines.close_codes import CloseCode
from telephony.lines.exceptions import ProtocolError

DIRECT = "voxline.direct"  # see StreamCall
MAX_WAITING = 256  # text messages for a page that does not read

OnMessage = Callable[[str | bytes], None]
Due = Callable[[], Iterable[bytes]]


class Connection:
    """Carries messages until one side closes. The WebSocket is accepted already."""

    def __init__(self, websocket: WebSocket, send_timeout_s: float, clock_ms: Callable[[], float]) -> None:
        self._websocket = websocket
        self._send_timeout_s = send_timeout_s
        self._clock_ms = clock_ms
        self._direct = websocket.scope.get("extensions", {}).get(DIRECT)
        self._send_text = self._direct["send_text"] if self._direct else websocket.send_text
        self._send_bytes = self._direct["send_bytes"] if self._direct else websocket.send_bytes
        self._texts: deque[str] = deque()
        self._wake = asyncio.Event()
        self._over = asyncio.Event()
        self._ours: tuple[int, str] | None = None  # the code and reason with which we close
        self._theirs: tuple[int, str] = (CloseCode.NO_STATUS, "")
        self._sending_since_ms = 0.0

    @property
    def closed_by_peer(self) -> tuple[int, str]:
        """The code and reason with which the page has closed, or the connection has broken (1006)."""
        return self._theirs

    async def first(self, timeout_s: float) -> str | bytes | None:
        """The first message; None if the page closes instead. Raises ProtocolError if neither comes in time."""
        try:
            async with asyncio.timeout(timeout_s):
                return self._content(await self._websocket.receive())
        except TimeoutError:
            raise ProtocolError(CloseCode.POLICY_VIOLATION, f"no start within {timeout_s:g} s") from None

    def put(self, text: str) -> None:
        """Send a text message, after those before it and before any audio that is not yet under way."""
        self._texts.append(text)
        if len(self._texts) > MAX_WAITING:
            self.close(CloseCode.POLICY_VIOLATION, "the page does not read")
        self._wake.set()

    def wake(self) -> None:
        """There is audio to send."""
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """Close, after the text messages that wait. The first reason counts."""
        self._ours = self._ours or (code, reason)
        self._over.set()

    def stuck(self, now_ms: float) -> bool:
        """Whether the page has not read for so long that it must be gone."""
        since_ms = self._sending_since_ms
        return since_ms > 0 and now_ms - since_ms > 1000 * self._send_timeout_s

    async def run(self, on_message: OnMessage, due: Due) -> None:
        """Until one side closes: pass on what comes, and send what is `due` whenever the connection is woken."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._receive(on_message), name="receive"),
                group.create_task(self._send(due), name="send"),
            ]
            await self._over.wait()
            for task in tasks:
                task.cancel()
        await self.end()

    async def refuse(self, error: ProtocolError) -> None:
        """Close instead of `run`."""
        self.close(error.code, error.reason)
        await self.end()

    async def end(self) -> None:
        """Say the last things and close, if the page has not."""
        if self._ours is None or self._websocket.application_state is not WebSocketState.CONNECTED:
            return
        with suppress(RuntimeError, OSError, TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(self._send_timeout_s):
                while self._texts:
                    await self._send_text(self._texts.popleft())
                await self._websocket.close(*self._ours)

    async def _receive(self, on_message: OnMessage) -> None:
        if self._direct:
            self._direct["attach"](on_message)
        while True:  # what came before, and the end
            content = self._content(await self._websocket.receive())
            if content is None:
                self._over.set()
                return
            on_message(content)

    def _content(self, message: MutableMapping[str, Any]) -> str | bytes | None:
        if message["type"] == "websocket.disconnect":
            self._theirs = message.get("code", CloseCode.NO_STATUS), message.get("reason") or ""
            return None
        text = message.get("text")
        content: str | bytes = message.get("bytes", b"") if text is None else text
        return content

    async def _send(self, due: Due) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                self._sending_since_ms = self._clock_ms()
                while self._texts:
                    await self._send_text(self._texts.popleft())
                for block in due():
                    await self._send_bytes(block)
                self._sending_since_ms = 0.0
        except (WebSocketDisconnect, RuntimeError, OSError):
            self._over.set()
