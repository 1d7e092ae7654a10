"""Sends traces to a collector by OTLP over HTTP, from a thread of its own; what it cannot take in time is dropped.

No words, numbers or names of callers are in them.
"""

import threading
import time
from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context

from config.settings import Settings
from telephony.lines.line import Line
from telephony.timing.turn_times import TurnTimes

MAX_WAITING = 2048  # spans
EXPORT_S = 5.0  # for one request to the collector
STOP_S = 3.0  # for what waits when the server ends


class Traces:
    """Of one server."""

    def __init__(self, settings: Settings, version: str) -> None:
        traces = settings.traces
        header, _, value = traces.header.get_secret_value().partition(":")
        self._exporter = OTLPSpanExporter(
            f"{traces.url.rstrip('/')}/v1/traces", headers={header: value.strip()} if header else {}, timeout=EXPORT_S
        )
        resource = Resource.create({"service.name": "voxline", "service.version": version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter, max_queue_size=MAX_WAITING))
        self._tracer = self._provider.get_tracer("voxline", version)

    def open(self, line: Line, agent: str) -> "CallTrace":
        """The trace of a call that begins."""
        return CallTrace(self._tracer, line, agent)

    def stop(self) -> None:
        """Send what waits; blocks for some seconds at most."""
        late = threading.Timer(STOP_S, self._exporter.shutdown)  # the provider itself waits for every retry
        late.daemon = True
        late.start()
        self._provider.shutdown()
        late.cancel()


class CallTrace:
    """Of one call."""

    def __init__(self, tracer: Tracer, line: Line, agent: str) -> None:
        self._tracer = tracer
        self._line = line
        self._epoch_ms = 1000 * (time.time() - time.monotonic())  # Unix time of the steady clock's zero
        direction = "outbound" if line.outbound else "inbound"
        attributes = {"voxline.call": line.call_id, "voxline.agent": agent, "voxline.line": line.carrier}
        attributes["voxline.direction"] = direction
        self._span = tracer.start_span("call", kind=SpanKind.SERVER, attributes=attributes)
        self._context = set_span_in_context(self._span)

    def turn(self, times: TurnTimes) -> None:
        """A turn was answered: its span, from the caller's last sound to the first audio of the answer, and its
        parts."""
        attributes = {
            "voxline.reply": times.reply,
            "voxline.words_at_first_audio": times.words,
            "voxline.early": times.text < times.decided,
        }
        start, end = times.silence_from, times.sent
        turn = self._started("turn", start, self._context, attributes)
        within = set_span_in_context(turn)
        self._part("silence", start, times.decided, within)
        asked = times.asked if times.understood is None else times.understood
        if times.understood is not None and times.asked is not None:
            self._part("recognition", times.asked, times.understood, within)
        if asked is not None:
            self._part("model", asked, times.text, within)
        if times.audio is not None:
            self._part("synthesis", times.text, times.audio, within)
            self._part("wire", max(times.audio, times.decided), end, within)
        turn.end(self._at(end))

    def event(self, name: str, **attributes: str | int | float) -> None:
        """Something happened in the call that is no turn."""
        self._span.add_event(name, attributes)

    def close(self) -> None:
        """The call is over."""
        for name, value in self._line.summary().items():
            if isinstance(value, int):
                self._span.set_attribute(f"voxline.{name}", value)
        end = self._line.ending.end
        self._span.set_attribute("voxline.ended_by", end.by if end else "server")
        if end and end.failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()

    def _part(self, name: str, start: float, end: float, context: Context) -> None:
        self._started(name, start, context, None).end(self._at(max(start, end)))

    def _started(self, name: str, start: float, context: Context, attributes: Mapping[str, str | int] | None) -> Span:
        return self._tracer.start_span(name, context, start_time=self._at(start), attributes=attributes)

    def _at(self, ms: float) -> int:
        """A time of the steady clock as OpenTelemetry has it: ns of Unix time."""
        return round(1_000_000 * (self._epoch_ms + ms))
