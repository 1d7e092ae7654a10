"""One server: puts its lines, calls, engine and tapes together, starts them and closes them."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.engine.base import Engine
from agent.engine.languages import check_voices
from agent.engine.profiles import build_engine
from agent.listening.vad import Vad
from agent.records import Records
from config.exceptions import SettingsError
from config.settings import Settings
from telephony.hooks.hooks import Hooks
from telephony.lines.admission import Admission
from telephony.lines.browser.service import BrowserService
from telephony.lines.descriptors import Descriptors
from telephony.lines.metrics import Metrics
from telephony.lines.outcomes import Outcomes
from telephony.lines.refusals import Refusals
from telephony.lines.sip.service import SipService
from telephony.lines.twilio.service import TwilioService
from telephony.recordings.recordings import Recordings
from telephony.records.call_records import CallRecords
from telephony.server.agents import named_agents, read_agents
from telephony.server.agents_api import AgentsApi
from telephony.server.api import CallsApi
from telephony.server.bridge import VERSION, Shared
from telephony.server.browser_tokens import BrowserTokens
from telephony.server.calls import Calls
from telephony.server.control import Control
from telephony.server.control_token import ControlToken
from telephony.server.errands import Errands
from telephony.server.files_api import FilesApi
from telephony.server.health import Health
from telephony.server.hooks_api import HooksApi
from telephony.server.http.access import Access, guard
from telephony.server.live_api import LiveApi
from telephony.server.openapi.openapi_api import OpenApi
from telephony.server.reload import Reload
from telephony.server.runtime_settings import RuntimeSettings
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.token_file import TokenFile
from telephony.server.softphone.page import Softphone
from telephony.server.streaming_api import StreamingApi
from telephony.server.ticker import Ticker
from telephony.server.trial import TrialCalls
from telephony.tapes.tapes import Tapes
from telephony.timing.figures import Figures
from telephony.tracing.opening import open_traces

logger = logging.getLogger("voxline.app")


class App:
    """Everything that one server has; `asgi` is its Starlette application."""

    def __init__(self, settings: Settings, engine: Engine | None = None) -> None:
        self._settings = settings
        self.agents = read_agents(settings.agents_folder, round(1000 * time.time()))
        needed = named_agents(settings)
        for name, key in needed.items():
            if name not in self.agents:
                raise SettingsError(f"{key}: no agent {name!r}; there are {', '.join(self.agents)}")
        engine = engine or build_engine(settings.engine, dict(self.agents))
        self.agents.forgotten = engine.forget
        self.reading = Reload(self.agents, engine, settings.engine, needed)
        self.metrics = Metrics()
        self.refusals = Refusals(self.metrics)
        self.descriptors = Descriptors()
        vad, records = Vad(settings.turn.vad_reset_ms), Records(settings.server.data)
        figures = Figures(lambda: self.shared.settings.targets, self.metrics, time.monotonic)
        self.shared = Shared(settings, engine, vad, self.metrics, records, figures)
        self.admission = Admission(settings.call.capacity, settings.twilio.token_lifetime_s, time.monotonic)
        self._hooks: Hooks | None = None
        if settings.hooks.asks_before or settings.hooks.tells_after:
            self._hooks = Hooks(settings.hooks, self.agents, self.metrics)
        screening = self._hooks if settings.hooks.asks_before else None
        outcomes = Outcomes(settings.call.max_s + 60, time.monotonic)
        self.calls = Calls(self.shared, self.agents, self.admission, outcomes)
        twilio = TwilioService(
            settings,
            self.agents,
            self.calls,
            admission=self.admission,
            outcomes=outcomes,
            metrics=self.metrics,
            refusals=self.refusals,
            screening=screening,
        )
        self.sip: SipService | None = None
        if settings.sip.enabled:
            self.sip = SipService(
                settings,
                self.agents,
                self.calls,
                admission=self.admission,
                metrics=self.metrics,
                screening=screening,
            )
        self._browser: BrowserService | None = None
        if settings.calls_from_pages:
            self._browser = BrowserService(settings, self.calls, admission=self.admission, refusals=self.refusals)
        self._token = ControlToken(self.refusals)
        self._access = Access(settings, self.refusals)
        self.errands = Errands()
        self._api_tokens = TokenFile(settings.server.data, self.errands)
        self.gate = Gate(settings, self._access, self._token, self._api_tokens, errands=self.errands)
        self._control = Control(self.sip.outbound if self.sip else None, self.gate)
        self._api = CallsApi(self.gate)
        self._hooks_api = HooksApi(self.gate)
        self._agents_api = AgentsApi(self.agents, self.gate)
        self._live = LiveApi(self.shared.live, self.gate)
        self.runtime = RuntimeSettings(settings, lambda new: setattr(self.shared, "settings", new))
        self._streaming = StreamingApi(figures, self.runtime, self.gate, by_model=engine.instructable)
        self.asgi = self._application(twilio)

    def _application(self, twilio: TwilioService) -> Starlette:
        health = Health(
            self.calls,
            admission=self.admission,
            descriptors=self.descriptors,
            metrics=self.metrics,
            access=self._access,
            gate=self.gate,
            refusals=self.refusals,
        )
        openapi = OpenApi(self.gate)
        asgi = Starlette(
            routes=[
                *openapi.routes(),
                *twilio.routes(),
                *self._control.routes(),
                *self._live.routes(),
                *self._streaming.routes(),
                *TrialCalls(self._settings, self.gate).routes(),
                *self._api.routes(),
                *FilesApi(self.gate, self._api, self.errands, self._settings.server.data).routes(),
                *self._agents_api.routes(),
                *self._hooks_api.routes(),
                *self._phone(),
                *health.routes(),
                WebSocketRoute("/{path:path}", self._no_socket),
            ],
            middleware=[guard(self._access)],
            exception_handlers={HTTPException: self._no_route, ClientDisconnect: self._gone},
            lifespan=self._lifespan,
        )
        openapi.describe(asgi.routes, VERSION)
        asgi.router.redirect_slashes = False  # behind a proxy they would lead to the wrong place, silently
        return asgi

    def add(self, routes: Sequence[BaseRoute]) -> None:
        """Serve more, before the server starts. What is there already goes first."""
        self.asgi.router.routes[-1:-1] = routes  # the last one refuses all other sockets

    def _phone(self) -> list[BaseRoute]:
        """What a phone in a web page needs; where there is none, the page says why."""
        page = Softphone(self._settings, self.gate).routes()
        if self._browser is None:
            return [*page]
        tokens = BrowserTokens(self._settings, self.agents, self._browser.grants, self.gate)
        return [*self._browser.routes(), *tokens.routes(), *page]

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        if self.sip:
            await self.sip.start()  # before anything slow: a port may be taken; callers hear 503 until `is_ready`
        for part in self.shared.engine.parts():
            await part.load()
        await check_voices(self.shared.engine.synthesizer, self.agents.values())
        if self._settings.tape.mode != "off":
            self.shared.tapes = Tapes(self._settings.server.data / "tapes", self._settings.tape)
        self._open_recordings()
        self.shared.traces = open_traces(self._settings, VERSION)
        if self._settings.records.mode == "on":
            self.shared.calls = self._api.calls = self._hooks_api.calls = self._call_records()
        if self._hooks:
            self._hooks.start(self.shared.calls)
        gc.collect()
        gc.freeze()  # what is loaded now stays: the collector need not look at it during calls
        ticker = Ticker(self._tick, self._watch, self.metrics.tick_late.observe)
        task = asyncio.create_task(ticker.run(), name="ticker")
        task.add_done_callback(lambda _: setattr(self.calls, "is_ready", False))  # no call goes on without it
        watching = asyncio.create_task(self._api_tokens.run(), name="API tokens")
        self.calls.is_ready = True
        self._agents_api.reload = self.reading
        self._token.publish(self._settings.server.data)
        if self.sip:
            self.sip.register()
        logger.info("ready", extra={"profile": self._settings.engine.profile, "capacity": self._settings.call.capacity})
        try:
            yield
        finally:
            self.calls.is_ready = False
            await self._ended("reading agents anew", self.reading.close())
            for background in (task, watching):
                background.cancel()
                with suppress(asyncio.CancelledError):
                    await background
            await self._close()

    def _open_recordings(self) -> None:
        """Where none are made any more, those that are there are still deleted in time."""
        settings, folder = self._settings.recording, self._settings.server.data / "recordings"
        if settings.mode != "off" or folder.exists():
            outcome = self.metrics.recordings.labels
            self.shared.recordings = Recordings(folder, settings, lambda what: outcome(what).inc())

    def _call_records(self) -> CallRecords | None:
        """None if its folder cannot be written, which must not keep calls from being answered."""
        try:
            return CallRecords(self._settings, self.metrics, self.shared.tapes, self.shared.recordings)
        except OSError as error:
            logger.error("no calls go on record: cannot write to %s: %s", self._settings.server.data, error.strerror)
            return None

    async def _close(self) -> None:
        """Close everything that calls have used; a part that hangs or fails does not keep the others from closing."""
        if self.sip:
            await self._ended("SIP", self.sip.stop())
        if self._hooks:
            await self._ended("the hooks", asyncio.to_thread(self._hooks.stop))
        if self._browser:
            await self._ended("the browsers' calls", self._browser.stop())
        if self.shared.calls:  # before the tapes' writer, which it may still ask for something
            await self._ended("the calls' writer", asyncio.to_thread(self.shared.calls.stop))
        tapes, recordings, parts = self.shared.tapes, self.shared.recordings, self.shared.engine.parts()
        await asyncio.gather(
            *([self._ended("the tapes' writer", asyncio.to_thread(tapes.stop))] if tapes else ()),
            *([self._ended("the traces", asyncio.to_thread(self.shared.traces.stop))] if self.shared.traces else ()),
            *([self._ended("the recordings' writer", asyncio.to_thread(recordings.stop))] if recordings else ()),
            *(self._ended(type(part).__name__, part.close()) for part in parts),
        )

    async def _ended(self, name: str, closing: Awaitable[None]) -> None:
        limit_s = self._settings.server.close_s / 2  # SIP first, then everything else at once
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
        self.calls.tick(now_ms)

    def _watch(self, now_ms: float) -> None:
        if self.descriptors.look():
            logger.error(self.descriptors.ADVICE, self.descriptors.limit)
        if self.sip:
            self.sip.watch(now_ms)
        self.calls.watch(now_ms)

    def reload(self) -> None:
        """Read the agents anew, in the background."""
        if self.calls.is_ready:
            self.reading.soon()
        else:
            logger.warning("the agents are not read anew: the server is not ready, or ends")

    async def drain(self) -> None:
        """Take no new calls and wait at most `drain_s` for those in progress; the agent says goodbye to the last
        ones."""
        self.admission.drain()
        if self.sip:
            self.sip.drain()
        logger.info("draining", extra={"calls": self.admission.active})
        await self.calls.drain()
        self.shared.live.close()

    # Requests for what does not exist

    async def _no_route(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if allowed := (error.headers or {}).get("Allow"):
            answer = self.refusals.answer(request, 405, "%s, where only %s is answered", request.method, allowed)
            answer.headers["Allow"] = allowed
            return answer
        return self.refusals.answer(request, error.status_code, "there is nothing at this path")

    async def _gone(self, _: Request, __: Exception) -> Response:
        """A body broke off. Its connection has logged that (http/connection.py), and nobody waits for the answer."""
        return Response(status_code=400)

    async def _no_socket(self, websocket: WebSocket) -> None:
        refusal = self.refusals.answer(websocket, 404, "there is no socket at this path")
        with suppress(RuntimeError, WebSocketDisconnect):
            await websocket.send_denial_response(refusal)
