"""The server: webhooks, the media socket, SIP, health and metrics, and the calls that are on."""

import asyncio
import gc
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.engine.base import Engine
from agent.engine.languages import check_voices
from agent.engine.profiles import build_engine
from agent.listening.vad import Vad, VadStream
from agent.records import Records
from config.agent import AgentSettings, load_agents
from config.exceptions import SettingsError
from config.settings import Settings
from telephony.lines.admission import Admission
from telephony.lines.descriptors import Descriptors
from telephony.lines.exceptions import ProtocolError
from telephony.lines.line import Line, Listener
from telephony.lines.metrics import Metrics
from telephony.lines.outcomes import Outcomes
from telephony.lines.refusals import Refusals
from telephony.lines.sip.call import SipCall
from telephony.lines.sip.service import SipService
from telephony.lines.stream.stream_call import TwilioCall
from telephony.lines.twilio.messages import Started
from telephony.lines.twilio.routes import Webhooks, target
from telephony.lines.twilio.signature import NotSigned, Signature
from telephony.lines.twilio.token import Tokens
from telephony.server.bridge import Bridge, Shared
from telephony.server.control import Control
from telephony.server.http.access import Access, guard
from telephony.server.ticker import Ticker
from telephony.tapes.tapes import Tapes

logger = logging.getLogger("voxline.app")

SPARE_SOCKETS = 64  # sockets beyond the capacity that may wait for their start message
NOT_ALLOWED, TRY_LATER = 1008, 1013  # WebSocket close codes


class App:
    """Everything one server has; `asgi` is its Starlette application."""

    def __init__(self, settings: Settings, engine: Engine | None = None) -> None:
        self._settings = settings
        self.agents = load_agents(settings.agents_folder)
        if settings.call.agent not in self.agents:
            raise SettingsError(f"call.agent: no agent {settings.call.agent!r}; there are {', '.join(self.agents)}")
        engine = engine or build_engine(settings.engine, self.agents)
        self.metrics = Metrics()
        self.refusals = Refusals(self.metrics)
        self.descriptors = Descriptors()
        self._access = Access(settings, self.refusals)
        vad, records = Vad(settings.turn.vad_reset_ms), Records(settings.server.data)
        self.shared = Shared(settings, engine, vad, self.metrics, records)
        self.admission = Admission(settings.call.capacity, settings.twilio.token_lifetime_s, time.monotonic)
        self._bridges: dict[VadStream, Bridge] = {}
        self.calls: set[Line] = set()
        self.ready = False
        self._spent = False  # whether the file descriptors are
        self._outcomes = Outcomes(settings.call.max_s + 60, time.monotonic)
        self._signature = self._tokens = None
        if settings.secured:
            auth_token = settings.twilio.auth_token.get_secret_value()
            shared_keys = {name: key.get_secret_value() for name, key in settings.twilio.shared_keys.items()}
            self._signature = Signature(auth_token, settings.server.public_url, shared_keys)
            self._tokens = Tokens(secrets.token_bytes(32), settings.twilio.token_lifetime_s, time.monotonic)
        self._webhooks = Webhooks(
            settings,
            self.agents,
            signature=self._signature,
            tokens=self._tokens,
            admission=self.admission,
            outcomes=self._outcomes,
            metrics=self.metrics,
            refusals=self.refusals,
            is_ready=lambda: self.ready,
        )
        self.sip = self._sip_service() if settings.sip.enabled else None
        self._control = Control(self.sip.dialling if self.sip else None, self.refusals)
        self.asgi = Starlette(
            routes=[
                *self._webhooks.routes(),
                *self._control.routes(),
                WebSocketRoute("/twilio/media", self._media),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
                WebSocketRoute("/{path:path}", self._no_socket),
            ],
            middleware=[guard(self._access)],
            exception_handlers={HTTPException: self._no_route, ClientDisconnect: self._gone},
            lifespan=self._lifespan,
        )
        self.asgi.router.redirect_slashes = False  # behind a proxy it would lead to the wrong place, and nobody is told

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        if self.sip:
            await self.sip.start()  # before all that takes long: a port may be taken; until `ready` callers hear 503
        for part in self.shared.engine.parts():
            await part.load()
        await check_voices(self.shared.engine.synthesizer, self.agents.values())
        if self._settings.tape.mode != "off":
            self.shared.tapes = Tapes(self._settings.server.data / "tapes", self._settings.tape)
        gc.collect()
        gc.freeze()  # what is loaded now stays: the collector need not walk through it while calls are on
        ticker = Ticker(self._tick, self._watch, self.metrics.tick_late.observe)
        task = asyncio.create_task(ticker.run(), name="ticker")
        task.add_done_callback(lambda _: setattr(self, "ready", False))  # without it no call goes on
        self.ready = True
        self._control.publish(self._settings.server.data)
        if self.sip:
            self.sip.register()
        logger.info("ready", extra={"profile": self._settings.engine.profile, "capacity": self._settings.call.capacity})
        try:
            yield
        finally:
            self.ready = False
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self._close()

    async def _close(self) -> None:
        """End everything that calls have used; what hangs or fails keeps nothing else from ending."""
        if self.sip:
            await self._ended("SIP", self.sip.stop())
        tapes, parts = self.shared.tapes, self.shared.engine.parts()
        await asyncio.gather(
            *([self._ended("the tapes' writer", asyncio.to_thread(tapes.stop))] if tapes else ()),
            *(self._ended(type(part).__name__, part.close()) for part in parts),
        )

    async def _ended(self, name: str, closing: Awaitable[None]) -> None:
        limit_s = self._settings.server.close_s / 2  # SIP first, then all else at once
        try:
            async with asyncio.timeout(limit_s):
                await closing
        except TimeoutError:
            logger.error("%s did not close within %g s", name, limit_s)
        except Exception:
            logger.exception("%s failed to close", name)

    def _tick(self, now_ms: float) -> None:
        if self.sip:
            self.sip.tick(now_ms)
        for call in self.calls:  # before all else: what is paced from here leaves in time, whatever there is to hear
            call.tick(now_ms)
        for call in self.calls:
            call.hear(now_ms)
        for stream, probability, at_ms in self.shared.vad.run():
            if bridge := self._bridges.get(stream):
                bridge.probability(probability, at_ms)

    def _watch(self, now_ms: float) -> None:
        spent = self.descriptors.low()
        if spent and not self._spent:
            logger.error(self.descriptors.ADVICE, self.descriptors.limit)
        self._spent = spent
        if self.sip:
            self.sip.watch(now_ms)
        for call in self.calls:
            call.watch(now_ms)

    async def drain(self) -> None:
        """Take no new calls and wait for those that are on, at most `drain_s`; the last ones are said goodbye to."""
        settings = self._settings.server
        self.admission.drain()
        if self.sip:
            self.sip.drain()
        logger.info("draining", extra={"calls": self.admission.active})
        clock = asyncio.get_running_loop().time
        begin = clock()
        told: set[Line] = set()
        while (waited := clock() - begin) < settings.drain_s:
            coming = self.admission.reserved and waited < self._settings.twilio.start_timeout_s
            if not self.calls and not coming:
                break
            if waited >= settings.drain_s - settings.drain_goodbye_s:
                for call in [call for call in self.calls if call.accepted and call not in told]:
                    told.add(call)
                    call.shut_down()
            await asyncio.sleep(0.05)

    # The media socket

    async def _media(self, websocket: WebSocket) -> None:
        if refusal := self._refusal(websocket):
            await _deny(websocket, refusal)
            return
        await websocket.accept()
        call = TwilioCall(
            websocket, self._settings, accept=self._accept, clock_ms=lambda: 1000 * asyncio.get_running_loop().time()
        )
        self._entered(call)
        try:
            await call.run()
        finally:
            self._left(call)

    def _refusal(self, websocket: WebSocket) -> Response | None:
        refused = self.refusals.answer
        if self._signature:
            try:
                claim = self._signature.claim(websocket.headers)
            except NotSigned as error:
                return refused(websocket, 403, error.reason, *error.details)
            if not self._signature.upgrade(claim, target(websocket)):
                return refused(websocket, 403, "the signature of the upgrade is wrong; is server.public_url right?")
        if len(self.calls) >= self._settings.call.capacity + SPARE_SOCKETS:
            return refused(websocket, 503, "too many media sockets")
        if not self.ready:
            return refused(websocket, 503, "not ready")
        return None

    def _accept(self, call: TwilioCall, started: Started) -> Listener:
        """A stream has started: check its token and find it a place; ProtocolError refuses it."""
        if self._tokens:
            self._tokens.redeem(started.parameters.get("token", ""), started.call_sid)
        call.parties = self.admission.parties(started.call_sid)
        return self._join(call, started.parameters.get("agent", self._settings.call.agent))

    # Calls of every line

    def _entered(self, call: Line) -> None:
        self.calls.add(call)
        self.metrics.opened(call)

    def _left(self, call: Line) -> None:
        self.calls.discard(call)
        self.metrics.closed(call)
        if not call.accepted:
            self.metrics.calls.labels("refused").inc()

    def _join(self, call: Line, name: str) -> Listener:
        """Find a place for a call and connect it with an agent; ProtocolError refuses it."""
        agent = self.agents.get(name)
        if agent is None:
            raise ProtocolError(NOT_ALLOWED, f"there is no agent {name[:40]!r}")
        if not self.admission.claim(call.call_id):
            raise ProtocolError(TRY_LATER, "no capacity, or this call has a stream already")
        return self._connect(call, agent)

    def _connect(self, call: Line, agent: AgentSettings, keys: str = "") -> Listener:
        """Connect a call, which has a place, with an agent; `keys` are pressed first."""
        call.log.info("started", extra={"agent": agent.name, **call.parties.shown(self._settings.log.numbers)})
        try:
            bridge = Bridge(self.shared, call, agent, self._closed, keys)
        except Exception:
            self.admission.release(call.call_id)
            raise
        self._bridges[bridge.vad] = bridge
        return bridge

    def _closed(self, bridge: Bridge) -> None:
        """A call that was accepted is over: free its place and keep what follows it."""
        call = bridge.line
        self._bridges.pop(bridge.vad, None)
        self.admission.release(call.call_id)
        self._outcomes.put(call.call_id, call.outcome)
        self.metrics.calls.labels(type(call.outcome).__name__.lower()).inc()
        call.log.info("ended", extra=call.summary())

    # SIP

    def _sip_service(self) -> SipService:
        return SipService(
            self._settings,
            self.agents,
            admission=self.admission,
            metrics=self.metrics,
            accept=self._accept_sip,
            connect=self._connect_sip,
            left=self._left,
            is_ready=lambda: self.ready,
        )

    def _accept_sip(self, call: SipCall, agent: str) -> Listener:
        listener = self._join(call, agent)
        self._entered(call)
        return listener

    def _connect_sip(self, call: SipCall, agent: str, keys: str) -> Listener:
        listener = self._connect(call, self.agents[agent], keys)
        self._entered(call)
        return listener

    # Health

    async def _healthz(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _readyz(self, request: Request) -> Response:
        admission = self.admission
        ready = self.ready and admission.free > 0 and not self._spent
        state = "draining" if admission.draining else "ready" if ready else "full" if self.ready else "loading"
        body: dict[str, str | int] = {"status": "out of file descriptors" if self._spent else state}
        if self._access.may_observe(request):
            body |= {"active": admission.active, "free": admission.free}
        return JSONResponse(body, 200 if ready else 503)

    async def _metrics(self, request: Request) -> Response:
        if not self._access.may_observe(request):
            reason = "/metrics is for programs on this machine, or for those that send server.metrics_token"
            refusal = self.refusals.answer(request, 401, reason)
            refusal.headers["WWW-Authenticate"] = "Bearer"
            return refusal
        return Response(self.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    # What is not there

    async def _no_route(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if allowed := (error.headers or {}).get("Allow"):
            answer = self.refusals.answer(request, 405, "%s, where only %s is answered", request.method, allowed)
            answer.headers["Allow"] = allowed
            return answer
        return self.refusals.answer(request, error.status_code, "there is nothing at this path")

    async def _gone(self, _: Request, __: Exception) -> Response:
        """A body broke off, of which its connection has told (http_connection.py); nobody is there for the answer."""
        return Response(status_code=400)

    async def _no_socket(self, websocket: WebSocket) -> None:
        await _deny(websocket, self.refusals.answer(websocket, 404, "there is no socket at this path"))


async def _deny(websocket: WebSocket, refusal: Response) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):
        await websocket.send_denial_response(refusal)
