"""What Prometheus is told. Frames are counted by their calls and summed up when somebody asks."""

from collections.abc import Iterable, Iterator
from operator import attrgetter

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from telephony.call import TwilioCall

LATENCY = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
LATENESS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

# name, help, where a call counts it
FRAMES = (
    ("voxline_frames", "Media messages taken from callers", "stream.counters.frames"),
    ("voxline_frames_duplicate", "Media messages that came twice, dropped", "stream.counters.duplicates"),
    ("voxline_frames_late", "Media messages that came too late, dropped", "stream.counters.late"),
    ("voxline_gaps", "Gaps in callers' audio, filled with silence", "stream.counters.gaps"),
    ("voxline_gap_milliseconds", "Silence filled into gaps", "stream.counters.gap_ms"),
    ("voxline_events_unknown", "Messages of unknown kinds, ignored", "stream.counters.unknown"),
    ("voxline_playout_underruns", "Times a reply ran dry while being played", "playout.underruns"),
    ("voxline_marks_lost", "Marks that carriers did not return", "playout.lost_marks"),
)


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
        self.first_audio = self._histogram("voxline_greeting_seconds", "start to the first audio sent")
        self.reply_audio = self._histogram("voxline_reply_seconds", "Turn decided to the reply's first audio sent")
        self.endpoint = self._histogram("voxline_endpoint_seconds", "Last speech to turn decided, in audio time")
        self.barge_in = self._histogram("voxline_barge_in_seconds", "Speech onset to pause, in audio time")
        self.tick_late = self._histogram("voxline_tick_late_seconds", "Lateness of the 10 ms tick", LATENESS)
        self._live = _LiveCalls()
        self.registry.register(self._live)

    def opened(self, call: TwilioCall) -> None:
        """Count this call's frames from now on."""
        self._live.calls.add(call)

    def closed(self, call: TwilioCall) -> None:
        """The call is over: keep its sums."""
        self._live.close(call)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)

    def _histogram(self, name: str, description: str, buckets: tuple[float, ...] = LATENCY) -> Histogram:
        return Histogram(name, description, buckets=buckets, registry=self.registry)


class _LiveCalls(Collector):
    """Sums over the calls that are on, and those that were."""

    def __init__(self) -> None:
        self.calls: set[TwilioCall] = set()
        self._past = dict.fromkeys((name for name, *_ in FRAMES), 0)

    def close(self, call: TwilioCall) -> None:
        if call in self.calls:
            self.calls.remove(call)
            for name, _, path in FRAMES:
                self._past[name] += attrgetter(path)(call)

    def collect(self) -> Iterator[Metric]:
        on = [call for call in self.calls if call.call_id]
        yield GaugeMetricFamily("voxline_calls_active", "Calls that are on", value=len(on))
        for name, description, path in FRAMES:
            total = self._past[name] + _sum(path, self.calls)
            yield CounterMetricFamily(name, description, value=total)


def _sum(path: str, calls: Iterable[TwilioCall]) -> int:
    get = attrgetter(path)
    return sum(get(call) for call in calls)
