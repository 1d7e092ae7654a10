"""The browser line as a whole: the tokens by which pages may call, their socket, and the calls that may come back."""

import asyncio
import logging
import secrets
import time
from contextlib import suppress

from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from config.settings import Settings
from telephony.lines.admission import Admission
from telephony.lines.browser.call import BrowserCall
from telephony.lines.browser.connection import Connection
from telephony.lines.browser.grants import Grants
from telephony.lines.browser.messages import VERSION, Resume, Start, parse
from telephony.lines.close_codes import CloseCode
from telephony.lines.exceptions import ProtocolError
from telephony.lines.refusals import Refusals
from telephony.lines.registry import Registry

logger = logging.getLogger("voxline.browser")

PATH = "/browser/media"
SPARE_SOCKETS = 64  # beyond the capacity: those waiting for their start, being refused or being replaced
BUSY = "busy: all places are taken; try again in a few minutes"


class BrowserService:
    """The browser line of one server."""

    def __init__(self, settings: Settings, calls: Registry, *, admission: Admission, refusals: Refusals) -> None:
        self.grants = Grants(settings.browser.token_lifetime_s)
        self._settings = settings
        self._registry = calls
        self._admission = admission
        self._refusals = refusals
        self._calls: dict[str, BrowserCall] = {}
        self._sockets = 0
        self._tasks: set[asyncio.Task[None]] = set()  # one a call

    def routes(self) -> list[BaseRoute]:
        """The socket for calls' audio."""
        return [WebSocketRoute(PATH, self.serve)]

    async def stop(self) -> None:
        """End all calls, however their sockets are."""
        for call in self._calls.values():
            call.end()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def serve(self, websocket: WebSocket) -> None:
        """One connection, from its upgrade to its close."""
        if refusal := self._no_room(websocket):
            with suppress(RuntimeError, WebSocketDisconnect):
                await websocket.send_denial_response(refusal)
            return
        self._sockets += 1
        try:
            await websocket.accept()
            connection = Connection(websocket, self._settings.twilio.send_timeout_s, _now_ms)
            await self._begin(connection)
        finally:
            self._sockets -= 1

    def _no_room(self, websocket: WebSocket) -> Response | None:
        if self._registry.crowded or self._sockets >= self._settings.call.capacity + SPARE_SOCKETS:
            return self._refusals.answer(websocket, 503, "too many media sockets")
        if not self._registry.is_ready:
            return self._refusals.answer(websocket, 503, "not ready")
        return None

    async def _begin(self, connection: Connection) -> None:
        """Find the socket its call by its first message, and carry it."""
        try:
            first = await connection.first(self._settings.twilio.start_timeout_s)
            if first is None:
                return
            call = self._opened(connection, first)
        except Exception as error:  # noqa: BLE001 (a bug costs one call, never the server)
            await connection.refuse(self._refused(error))
            return
        try:
            await connection.run(lambda message: call.message(connection, message), call.due)
        finally:
            call.lost(connection)

    def _refused(self, error: Exception) -> ProtocolError:
        """What the page is told."""
        if isinstance(error, ProtocolError):
            self._refusals.tell(error.code, "%s", error.reason, path=PATH)
            return error
        logger.error("call failed: %s", error, exc_info=error)
        return ProtocolError(CloseCode.INTERNAL_ERROR, "internal error")

    def _opened(self, connection: Connection, message: str | bytes) -> BrowserCall:
        match parse(message):
            case Start(token, version):
                if version != VERSION:
                    reason = f"version {version} of the protocol; this server has version {VERSION}"
                    raise ProtocolError(CloseCode.POLICY_VIOLATION, reason)
                return self._started(connection, token)
            case Resume(call_id, key):
                call = self._calls.get(call_id)
                if call is None or not call.may_resume(key):
                    raise ProtocolError(CloseCode.POLICY_VIOLATION, "the call is over, or the key is not its own")
                call.resume_on(connection)
                return call
            case _:
                raise ProtocolError(CloseCode.POLICY_VIOLATION, "the first message must be start or resume")

    def _started(self, connection: Connection, token: str) -> BrowserCall:
        """A new call. Raises ProtocolError where it is refused."""
        grant = self.grants.redeem(token, time.monotonic())
        browser = self._settings.browser
        call = BrowserCall(f"browser-{secrets.token_hex(12)}", self._settings.twilio, browser.resume_s, _now_ms)
        self._registry.enter(call)
        try:
            if not self._admission.claim(call.call_id):
                call.log.warning("busy")
                raise ProtocolError(CloseCode.TRY_AGAIN_LATER, BUSY)
            listener = self._registry.connect(call, grant.agent, grant.keys)
        except BaseException:
            self._registry.leave(call)
            raise
        self._calls[call.call_id] = call
        task = asyncio.create_task(self._carry(call), name=call.call_id)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        call.open(listener, connection)
        return call

    async def _carry(self, call: BrowserCall) -> None:
        try:
            await call.run()
        except Exception as error:
            call.log.error("call failed: %s", error, exc_info=error)
        finally:
            del self._calls[call.call_id]
            self._registry.leave(call)


def _now_ms() -> float:
    return 1000 * asyncio.get_running_loop().time()
