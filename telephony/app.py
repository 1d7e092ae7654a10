"""The server: webhooks, the media socket, health and metrics. The only place that joins line and conversation."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent import events as e
from agent.conversation import Conversation, Record
from agent.engine.base import Engine
from agent.engine.profiles import build_engine
from agent.state import State
from agent.tape import Recorder, header
from agent.vad import Vad
from config.agent import AgentSettings, load_agents
from config.exceptions import SettingsError
from config.settings import Settings
from telephony.admission import Admission
from telephony.audio.resample import to_line
from telephony.call import End, TwilioCall
from telephony.exceptions import ProtocolError
from telephony.line import Line, Listener
from telephony.metrics import Metrics
from telephony.outcomes import Failed, Outcomes
from telephony.tape import Tape, Tapes
from telephony.ticker import Ticker
from telephony.twilio.events import Started
from telephony.twilio.signature import Signature
from telephony.twilio.token import Tokens, stream_key
from telephony.webhooks import Webhooks, target

logger = logging.getLogger("voxline.app")

__version__ = version("voxline")
SPARE_SOCKETS = 64  # sockets beyond the capacity that may wait for their start message
NOT_ALLOWED, TRY_LATER = 1008, 1013  # WebSocket close codes


class Bridge(Listener):
    """Joins one call's line with its conversation: the line's news become events, commands become its calls."""

    def __init__(self, app: "App", line: TwilioCall, agent: AgentSettings) -> None:
        self._app = app
        self._line = line
        self._decided: dict[int, float] = {}  # reply to the time its turn was decided, until its first audio
        self._tape, record = self._begin_tape(agent)
        self._conversation = Conversation(
            line.call_id,
            agent,
            app.engine,
            app.settings,
            on_command=self._command,
            to_line=to_line,
            log=line.log,
            data=app.settings.server.data,
            record=record,
        )
        line.sent_first_audio = self._sent_first_audio
        self._vad = app.vad.open()
        app.bridges[self._vad] = self

    def _begin_tape(self, agent: AgentSettings) -> tuple[Tape | None, Record | None]:
        """The call's tape, where calls are recorded, and what is to be told every step."""
        app, line = self._app, self._line
        if app.tapes is None:
            return None, None
        tape = app.tapes.open(line.call_id)
        recorder = Recorder(words=app.settings.tape.mode == "full")
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        head = header(line.call_id, agent.name, started, __version__, app.settings, transfers=agent.transfers)
        tape.write(msgspec.json.encode(head) + b"\n")
        begun = time.monotonic()

        def clock_ms() -> float:
            return round(1000 * (time.monotonic() - begun), 3)

        def note(**fields: Any) -> None:
            at_ms = self._conversation.session.now_ms
            if "in_ms" in fields:
                fields["plays_at"] = at_ms + fields.pop("in_ms")
            tape.write(recorder.note(at_ms, clock=clock_ms(), **fields))

        line.note = note

        def record(at_ms: float, event: e.Event | None, commands: list[e.Command], state: State) -> None:
            tape.write(recorder.step(at_ms, event, commands, state, clock_ms()))

        return tape, record

    def start(self) -> None:
        """See Listener."""
        self._conversation.start()

    def audio(self, pcm: bytes) -> None:
        """See Listener."""
        self._vad.feed(pcm)
        self._conversation.handle(e.CallerAudio(pcm))

    def probability(self, value: float, at_ms: int) -> None:
        """The voice detector's word on one window; a bug costs this call only."""
        self._safely(e.SpeechProbability(value, at_ms))

    def dtmf(self, digit: str) -> None:
        """See Listener."""
        self._conversation.handle(e.Dtmf(digit))

    def played(self, reply: int, ms: float) -> None:
        """See Listener."""
        self._safely(e.Played(reply, ms))

    def shut_down(self) -> None:
        """See Listener."""
        self._safely(e.Shutdown())

    async def closed(self) -> None:
        """See Listener."""
        self._app.bridges.pop(self._vad, None)
        self._app.vad.close(self._vad)
        self._app.ended(self._line)  # before the socket is closed: Twilio then asks at once what follows
        await self._conversation.close()
        self._end_tape()
        self._app.metrics.wasted.inc(self._conversation.session.wasted)

    def _end_tape(self) -> None:
        line = self._line
        if self._tape and self._app.tapes and line.note:
            counters, end = line.stream.counters, line.end
            line.note(
                end={
                    "reason": end.reason if end else "cancelled",
                    "outcome": type(line.outcome).__name__.lower(),
                    "frames": counters.frames,
                    "gaps": counters.gaps,
                    "duplicates": counters.duplicates,
                    "underruns": line.playout.underruns,
                }
            )
            self._app.tapes.close(self._tape)
            if self._tape.broken:
                line.log.error("the tape is incomplete: the disk was too slow or full")

    def _safely(self, event: e.Event) -> None:
        try:
            self._conversation.handle(event)
        except Exception as error:  # noqa: BLE001 (called from the ticker, which serves all calls)
            self._line.fail(error)

    def _command(self, command: e.Command) -> None:
        line: Line = self._line
        match command:
            case e.Play():
                line.play(command.reply, command.pcm, command.marks)
            case e.Pause():
                self._conversation.handle(e.Paused(command.reply, line.pause(command.reply)))
                self._note(command)
            case e.Resume():
                line.resume(command.reply)
                self._note(command)
            case e.Drop():
                line.drop(command.reply)
            case e.HangUp():
                if command.failed:
                    self._app.metrics.replies_failed.inc()
                line.hang_up(failed=command.failed)
            case e.Transfer():
                line.transfer(command.number)
            case _:
                self._note(command)

    def _note(self, command: e.Command) -> None:
        """What is only for the log and the metrics."""
        metrics, log = self._app.metrics, self._line.log
        match command:
            case e.TurnDecided():
                self._decided = {command.reply: time.monotonic()}
                metrics.replies.labels(command.cue).inc()
                if command.cue == "answer":
                    metrics.endpoint.observe((command.at_ms - command.speech_end_ms) / 1000)
            case e.Pause():
                metrics.barge_in.observe((command.at_ms - command.onset_ms) / 1000)
            case e.Resume():
                metrics.resumed.inc()
            case e.Interrupted():
                metrics.interruptions.inc()
                log.info("interrupted", extra={"reply": command.reply, "at_ms": command.at_ms})
            case e.Said():
                words = {"text": command.text} if self._app.settings.log.words else {}
                extra = {"role": command.role, "interrupted": command.interrupted, "at_ms": command.at_ms}
                log.info("said", extra=extra | words)

    def _sent_first_audio(self, reply: int) -> None:
        if decided := self._decided.pop(reply, None):
            histogram = self._app.metrics.reply_audio if reply > 1 else self._app.metrics.first_audio
            histogram.observe(time.monotonic() - decided)


class App:
    """Everything one server has; `asgi` is its Starlette application."""

    def __init__(self, settings: Settings, engine: Engine | None = None) -> None:
        self.settings = settings
        self.agents = load_agents(settings.agents_folder)
        if settings.call.agent not in self.agents:
            raise SettingsError(f"call.agent: no agent {settings.call.agent!r}; there are {', '.join(self.agents)}")
        self.engine = engine or build_engine(settings.engine, self.agents)
        self.vad = Vad(settings.turn.vad_reset_ms)
        self.metrics = Metrics()
        self.admission = Admission(settings.call.capacity, settings.twilio.token_lifetime_s, time.monotonic)
        self.bridges: dict[object, Bridge] = {}
        self.calls: set[TwilioCall] = set()
        self.ready = False
        self.tapes: Tapes | None = None
        self._outcomes = Outcomes(settings.call.max_s + 60, time.monotonic)
        secret = settings.twilio.auth_token.get_secret_value()
        self._signature = Signature(secret, settings.server.public_url) if secret else None
        self._tokens = Tokens(stream_key(secret), settings.twilio.token_lifetime_s, time.time) if secret else None
        self._webhooks = Webhooks(
            settings,
            self.agents,
            signature=self._signature,
            tokens=self._tokens,
            admission=self.admission,
            outcomes=self._outcomes,
            metrics=self.metrics,
            is_ready=lambda: self.ready,
        )
        self.asgi = Starlette(
            routes=[
                *self._webhooks.routes(),
                WebSocketRoute("/twilio/media", self._media),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        for part in self.engine.parts():
            await part.load()
        if self.settings.tape.mode != "off":
            self.tapes = Tapes(self.settings.server.data / "tapes", self.settings.tape)
        gc.collect()
        gc.freeze()  # what is loaded now stays: the collector need not walk through it while calls are on
        ticker = Ticker(self._tick, self._watch, self.metrics.tick_late.observe)
        task = asyncio.create_task(ticker.run(), name="ticker")
        task.add_done_callback(lambda _: setattr(self, "ready", False))  # without it no call goes on
        self.ready = True
        logger.info("ready", extra={"profile": self.settings.engine.profile, "capacity": self.settings.call.capacity})
        try:
            yield
        finally:
            self.ready = False
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            for part in self.engine.parts():
                await part.close()
            if self.tapes:
                await asyncio.to_thread(self.tapes.stop)

    def _tick(self, now_ms: float) -> None:
        for stream, probability, at_ms in self.vad.run():
            if bridge := self.bridges.get(stream):
                bridge.probability(probability, at_ms)
        for call in self.calls:
            call.tick(now_ms)

    def _watch(self, now_ms: float) -> None:
        for call in self.calls:
            call.watch(now_ms)

    async def drain(self) -> None:
        """Take no new calls and wait for those that are on, at most `drain_s`; the last ones are said goodbye to."""
        settings = self.settings.server
        self.admission.drain()
        logger.info("draining", extra={"calls": self.admission.active})
        begin = time.monotonic()
        told: set[TwilioCall] = set()
        while (waited := time.monotonic() - begin) < settings.drain_s:
            coming = self.admission.reserved and waited < self.settings.twilio.start_timeout_s
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
            with suppress(RuntimeError, WebSocketDisconnect):
                await websocket.send_denial_response(refusal)
            return
        await websocket.accept()
        call = TwilioCall(
            websocket, self.settings, accept=self._accept, clock_ms=lambda: 1000 * asyncio.get_running_loop().time()
        )
        self.calls.add(call)
        self.metrics.opened(call)
        try:
            await call.run()
        finally:
            self.calls.discard(call)
            self.metrics.closed(call)
            if not call.accepted:
                self.metrics.calls.labels("refused").inc()

    def _refusal(self, websocket: WebSocket) -> Response | None:
        signature = websocket.headers.get("x-twilio-signature")
        if self._signature and not self._signature.upgrade(target(websocket), signature):
            return self._webhooks.refused(websocket, 403, "the signature of the upgrade is missing or wrong")
        if len(self.calls) >= self.settings.call.capacity + SPARE_SOCKETS:
            return self._webhooks.refused(websocket, 503, "too many media sockets")
        if not self.ready:
            return self._webhooks.refused(websocket, 503, "not ready")
        return None

    def _accept(self, call: TwilioCall, started: Started) -> Listener:
        """A stream has started: check its token and find it a place; ProtocolError refuses it."""
        if self._tokens:
            self._tokens.redeem(started.parameters.get("token", ""), started.call_sid)
        name = started.parameters.get("agent", self.settings.call.agent)
        agent = self.agents.get(name)
        if agent is None:
            raise ProtocolError(NOT_ALLOWED, f"there is no agent {name[:40]!r}")
        if not self.admission.claim(started.call_sid):
            raise ProtocolError(TRY_LATER, "no capacity, or this call has a stream already")
        call.log.info("started", extra={"agent": agent.name})
        try:
            return Bridge(self, call, agent)
        except Exception:
            self.admission.release(started.call_sid)
            raise

    def ended(self, call: TwilioCall) -> None:
        """A call that was accepted is over: free its place and keep what follows it."""
        end = call.end or End(0, "cancelled", failed=True)
        self.admission.release(call.call_id)
        outcome = Failed() if end.failed else call.outcome
        self._outcomes.put(call.call_id, outcome)
        name = type(outcome).__name__.lower()
        self.metrics.calls.labels(name).inc()
        counters = call.stream.counters
        call.log.info(
            "ended",
            extra={
                "reason": end.reason,
                "outcome": name,
                "frames": counters.frames,
                "gaps": counters.gaps,
                "duplicates": counters.duplicates,
                "underruns": call.playout.underruns,
            },
        )

    # Health

    async def _healthz(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _readyz(self, _: Request) -> Response:
        admission = self.admission
        ready = self.ready and admission.free > 0
        state = "draining" if admission.draining else "ready" if ready else "full" if self.ready else "loading"
        body = {"status": state, "active": admission.active, "free": admission.free}
        return JSONResponse(body, 200 if ready else 503)

    async def _metrics(self, _: Request) -> Response:
        return Response(self.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
