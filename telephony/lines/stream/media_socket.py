"""A carrier's media socket: refuses connections that may not come in, and runs a call on each of the others."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from config.settings import PlayoutSettings
from config.stream import StreamSettings
from telephony.lines.line import Listener
from telephony.lines.refusals import Refusals
from telephony.lines.registry import Registry
from telephony.lines.stream.protocol import Started, StreamProtocol
from telephony.lines.stream.stream_call import StreamCall


class MediaSocket:
    """The endpoint of all calls of one carrier."""

    def __init__(
        self,
        calls: Registry,
        refusals: Refusals,
        settings: StreamSettings,
        playout: PlayoutSettings,
        *,
        protocol: Callable[[], StreamProtocol],
        check: Callable[[WebSocket], Response | None],
        accept: Callable[[StreamCall, Started], Listener],
    ) -> None:
        """`protocol` makes a call's own; `check` refuses a connection that is not the carrier's; `accept` is
        StreamCall's."""
        self._calls = calls
        self._refusals = refusals
        self._settings = settings
        self._playout = playout
        self._protocol = protocol
        self._check = check
        self._accept = accept

    async def serve(self, websocket: WebSocket) -> None:
        """One connection, from its upgrade to its close."""
        if refusal := self._check(websocket) or self._no_room(websocket):
            with suppress(RuntimeError, WebSocketDisconnect):
                await websocket.send_denial_response(refusal)
            return
        await websocket.accept()
        call = StreamCall(
            websocket,
            self._protocol(),
            self._settings,
            self._playout,
            accept=self._accept,
            clock_ms=lambda: 1000 * asyncio.get_running_loop().time(),
        )
        self._calls.enter(call)
        try:
            await call.run()
        finally:
            self._calls.leave(call)

    def _no_room(self, websocket: WebSocket) -> Response | None:
        if self._calls.crowded:
            return self._refusals.answer(websocket, 503, "too many media sockets")
        if not self._calls.is_ready:
            return self._refusals.answer(websocket, 503, "not ready")
        return None
