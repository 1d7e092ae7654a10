"""The metrics for Prometheus. Frames are counted by their calls and summed up on request."""

from collections import Counter as Sums
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from telephony.lines.line import Line

LATENCY = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
LATENESS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

# by their names in Line.counts; metrics are prefixed with voxline_
FRAMES = {
    "frames": "Pieces of audio taken from callers",
    "frames_duplicate": "Media messages that came twice, dropped",
    "frames_late": "Pieces of audio that came too late, dropped",
    "frames_damaged": "Packets from callers that could not be read",
    "gaps": "Gaps in callers' audio, filled with silence",
    "gap_milliseconds": "Silence filled into gaps",
    "events_unknown": "Messages of unknown kinds, ignored",
    "playout_underruns": "Times a reply ran dry while being played",
    "marks_lost": "Marks that carriers did not return",
}


class Metrics:
    """The metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter("voxline_calls", "Calls that ended", ["outcome"], registry=self.registry)
        self.refused = Counter("voxline_refused", "Requests and sockets refused", ["reason"], registry=self.registry)
        self.replies = Counter("voxline_replies", "Replies begun", ["cue"], registry=self.registry)
        self.replies_failed = Counter("voxline_replies_failed", "Calls given up by the engine", registry=self.registry)
        self.interruptions = Counter("voxline_interruptions", "Replies the caller talked over", registry=self.registry)
        self.resumed = Counter("voxline_resumes", "Pauses that were no interruption", registry=self.registry)
        self.wasted = Counter("voxline_replies_wasted", "Replies made early and thrown away", registry=self.registry)
        self.tools = Counter(
            "voxline_tools", "Calls of tools, by what came of them", ["tool", "outcome"], registry=self.registry
        )
        self.registered = Gauge(
            "voxline_sip_registered", "Whether a trunk's registrar knows us", ["trunk"], registry=self.registry
        )
        self.dialled = Counter(
            "voxline_dialled", "Calls of ours, by what came of them", ["result"], registry=self.registry
        )
        self.transfers = Counter(
            "voxline_transfers", "Attended transfers, by what came of them", ["result"], registry=self.registry
        )
        self.recordings = Counter(
            "voxline_recordings", "Recordings finished, by whether they are whole", ["outcome"], registry=self.registry
        )
        self.hooks = Counter(
            "voxline_hooks", "Requests of hooks, by what came of them", ["hook", "outcome"], registry=self.registry
        )
        self.records_failures = Counter(
            "voxline_records_failures", "Failed attempts to store calls", registry=self.registry
        )
        self.records_late = Counter(
            "voxline_records_late", "States of calls stored after the database had failed", registry=self.registry
        )
        self.records_lost = Counter(
            "voxline_records_lost", "States of calls that could not be kept", registry=self.registry
        )
        self.records_waiting = Gauge(
            "voxline_records_waiting_bytes", "States of calls that wait on disk", registry=self.registry
        )
        self.targets = Counter(
            "voxline_targets",
            "Times that have a target, by whether it was met",
            ["target", "outcome"],
            registry=self.registry,
        )
        self.live_dropped = Counter(
            "voxline_live_audio_dropped_milliseconds",
            "Audio of live calls that an operator read too slowly (heard) or sent too fast (spoken)",
            ["way"],
            registry=self.registry,
        )
        self.first_audio = self._histogram("voxline_greeting_seconds", "start to the first audio sent")
        self.reply_audio = self._histogram("voxline_reply_seconds", "Turn decided to the reply's first audio sent")
        self.endpoint = self._histogram("voxline_endpoint_seconds", "Last speech to turn decided, in audio time")
        self.barge_in = self._histogram("voxline_barge_in_seconds", "Speech onset to pause, in audio time")
        self.tick_late = self._histogram("voxline_tick_late_seconds", "Lateness of the 10 ms tick", LATENESS)
        self._live = _LiveCalls()
        self.registry.register(self._live)

    def opened(self, call: Line) -> None:
        """Count this call's frames from now on."""
        self._live.calls.add(call)

    def closed(self, call: Line) -> None:
        """The call is over: keep its sums."""
        self._live.close(call)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)

    def _histogram(self, name: str, description: str, buckets: tuple[float, ...] = LATENCY) -> Histogram:
        return Histogram(name, description, buckets=buckets, registry=self.registry)


class _LiveCalls(Collector):
    """Sums over present and past calls."""

    def __init__(self) -> None:
        self.calls: set[Line] = set()
        self._past: Sums[str] = Sums()

    def close(self, call: Line) -> None:
        if call in self.calls:
            self.calls.remove(call)
            self._past.update(call.counts())

    def collect(self) -> Iterator[Metric]:
        on = [call for call in self.calls if call.call_id]
        yield GaugeMetricFamily("voxline_calls_active", "Calls that are on", value=len(on))
        sums = Sums(self._past)
        for call in self.calls:
            sums.update(call.counts())
        for name, description in FRAMES.items():
            yield CounterMetricFamily(f"voxline_{name}", description, value=sums[name])
