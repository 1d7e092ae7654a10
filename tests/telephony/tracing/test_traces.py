"""Traces, as a collector gets them: a real one over HTTP, which keeps what it is sent."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from config.settings import load_settings
from telephony.lines.ending import End
from telephony.timing.turn_times import TurnTimes
from telephony.tracing.traces import EXPORT_S, STOP_S, Traces
from tests.telephony.server.quiet_line import QuietLine


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taker)
        self.requests: list[tuple[str, str, ExportTraceServiceRequest]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self) -> list[Any]:
        return [
            span
            for _, _, request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Taker(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        request = ExportTraceServiceRequest.FromString(body)
        self.server.requests.append((self.path, self.headers.get("authorization", ""), request))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


DEAF = "http://127.0.0.1:9"


def traces(url: str) -> Traces:
    return Traces(load_settings(None, {"traces.url": url, "traces.header": "Authorization: Bearer secret"}), "1.2.3")


def ms(span: Any) -> float:
    return round((span.end_time_unix_nano - span.start_time_unix_nano) / 1e6, 3)


def test_a_call_has_a_span_and_in_it_each_turn_with_its_parts(collector: Collector) -> None:
    sends, line = traces(collector.url), QuietLine("CA1")
    call = sends.open(line, "desk")
    call.turn(TurnTimes(2, 1000, 1400, 1200, 1250, 1300, 1350, 1420, 3))
    call.event("interrupted", reply=2)
    line.ending.finish(End("the socket was lost", failed=True))
    call.close()
    sends.stop()
    (path, authorization, _), *_ = collector.requests
    assert (path, authorization) == ("/v1/traces", "Bearer secret")
    spans = {span.name: span for span in collector.spans()}
    lengths = {"turn": 420, "silence": 400, "recognition": 50, "model": 50, "synthesis": 50, "wire": 20}
    assert {name: ms(spans[name]) for name in lengths} == lengths
    assert spans["turn"].parent_span_id == spans["call"].span_id
    assert {spans[name].parent_span_id for name in lengths if name != "turn"} == {spans["turn"].span_id}
    assert spans["call"].status.code == 2  # error
    assert [event.name for event in spans["call"].events] == ["interrupted"]
    attributes = {item.key: item.value for item in spans["call"].attributes}
    assert attributes["voxline.call"].string_value == "CA1"
    assert attributes["voxline.ended_by"].string_value == "line"


def test_a_model_that_hears_by_itself_has_no_recognition(collector: Collector) -> None:
    sends = traces(collector.url + "/")
    call = sends.open(QuietLine("CA1"), "desk")
    call.turn(TurnTimes(2, 1000, 1400, 1200, None, 1500, None, 1600, 3))
    call.close()
    sends.stop()
    assert {span.name: ms(span) for span in collector.spans() if span.name != "call"} == {
        "turn": 600,
        "silence": 400,
        "model": 300,
    }


@pytest.mark.slow
def test_without_a_collector_calls_go_on_and_the_end_does_not_wait_for_ever() -> None:
    sends = traces(DEAF)
    for number in range(5000):
        sends.open(QuietLine(f"CA{number}"), "desk").close()
    begun = time.monotonic()
    sends.stop()
    assert time.monotonic() - begun < STOP_S + 2 * EXPORT_S
