"""One operator's socket to a live call: what the call sounds like goes out, their voice comes in.

First a text frame {"rate": HZ}. Then binary frames: see Listening. The client sends mono PCM16 at the same rate, at
most 100 ms in a frame.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from telephony.lines.close_codes import CloseCode
from telephony.live.acts import Acts

LOOK_S = 0.02  # between two looks for audio
KNOWN_LOOKS = 50  # between two looks whether somebody has signed out
UNREAD_S = 10.0  # that a client may read nothing
MOST_MS = 100  # of audio in a frame


class LiveAudio:
    """The socket, which is accepted, until one of the two sides has ended."""

    def __init__(self, websocket: WebSocket, acts: Acts, who: str, is_known: Callable[[], bool]) -> None:
        """`is_known` tells whether this person is still signed in."""
        self._websocket = websocket
        self._acts = acts
        self._who = who
        self._is_known = is_known
        self._most = 2 * acts.call.line.rate * MOST_MS // 1000  # bytes

    async def run(self) -> None:
        """Carry audio both ways."""
        call = self._acts.call
        listening = call.listen()
        self._acts.opened(self._who)
        receiving = asyncio.create_task(self._receive(), name="operator's voice")
        close: tuple[int, str] = (CloseCode.NORMAL, "the call is over")
        try:
            await self._send(msgspec.json.encode({"rate": call.line.rate}).decode())
            for look in count(1):
                if call.gone or receiving.done():
                    break
                if look % KNOWN_LOOKS == 0 and not self._is_known():
                    close = CloseCode.POLICY_VIOLATION, "you have signed out"
                    break
                for frame in listening.take():
                    await self._send(frame)
                await asyncio.sleep(LOOK_S)
            close = receiving.result() if receiving.done() else close
        except (TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
            close = CloseCode.POLICY_VIOLATION, "the peer does not read"
        finally:
            receiving.cancel()
            call.leave(listening)
            self._acts.closed(self._who)
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
            async with asyncio.timeout(UNREAD_S):
                await self._websocket.close(*close)

    async def _send(self, message: str | bytes) -> None:
        async with asyncio.timeout(UNREAD_S):
            if isinstance(message, str):
                await self._websocket.send_text(message)
            else:
                await self._websocket.send_bytes(message)

    async def _receive(self) -> tuple[int, str]:
        """Take the operator's voice until the end; gives how to close."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return CloseCode.NORMAL, ""
            pcm = message.get("bytes")
            if pcm is None:
                return CloseCode.POLICY_VIOLATION, "binary frames of PCM16 are wanted"
            if len(pcm) % 2 or not 0 < len(pcm) <= self._most:
                return CloseCode.POLICY_VIOLATION, f"a frame holds whole samples, at most {MOST_MS} ms of them"
            self._acts.speak(self._who, pcm)
