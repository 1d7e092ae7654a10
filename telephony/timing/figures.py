"""How fast one server answers: counts and percentiles since its start and over the last five minutes. All times are ms.

Sans-I/O: the time is passed in, in seconds of any steady clock.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.streaming import TargetsSettings
from telephony.lines.metrics import Metrics

Kind = Literal[
    "first_word", "word_to_audio", "perceived", "interruption_response", "first_token", "first_audio", "end_to_end"
]
Counted = Literal["concurrent_tts_triggers", "partial_transcripts", "talks", "concurrent_talks"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RECENT_S = 300.0
MAX_KEPT = 10_000  # values of a kind; percentiles are of the latest
MAX_CALLS = 200  # whose own figures are kept


class Spread(msgspec.Struct, frozen=True):
    """Of some values; None where there were none."""

    count: int = 0
    avg: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


class Target(msgspec.Struct, frozen=True):
    """What was wanted, and how often it was missed."""

    target_ms: int
    measured: int
    missed: int


class CallFigures(msgspec.Struct):
    """Of one call."""

    call: str  # its id in the log
    values: dict[Kind, list[float]] = {}
    concurrent_tts_triggers: int = 0  # replies whose audio came while the model was still writing
    partial_transcripts: int = 0  # with words
    replies: int = 0
    longest_reply_words: int = 0


class _Latest:
    """The latest MAX_KEPT values with their times, in memory that does not grow."""

    def __init__(self) -> None:
        self._rows = np.zeros((MAX_KEPT, 2))
        self._count = 0

    def add(self, at: float, value: float) -> None:
        self._rows[self._count % MAX_KEPT] = at, value
        self._count += 1

    def values(self, since: float | None) -> NDArray[np.float64]:
        """Those that are kept, in any order; with `since` those of this time or later."""
        rows = self._rows[: self._count]
        return rows[:, 1] if since is None else rows[rows[:, 0] >= since, 1]


class Figures:
    """Of one server. `targets` are those of now."""

    def __init__(self, targets: Callable[[], TargetsSettings], metrics: Metrics, clock: Callable[[], float]) -> None:
        self._targets = targets
        self._metrics = metrics
        self._clock = clock
        self._values = {kind: _Latest() for kind in KINDS}
        self._sums: Counter[str] = Counter()
        self._missed: Counter[str] = Counter()
        self.calls: deque[CallFigures] = deque(maxlen=MAX_CALLS)

    def open(self, call: str) -> CallFigures:
        """The figures of a call that begins."""
        figures = CallFigures(call)
        self.calls.append(figures)
        return figures

    def add(self, call: CallFigures, kind: Kind, ms: float) -> None:
        """A value that was measured in a call."""
        self._values[kind].add(self._clock(), ms)
        self._sums[kind] += 1
        call.values.setdefault(kind, []).append(round(ms, 1))
        del call.values[kind][:-MAX_CALLS]
        if (target := self._target(kind)) is not None:
            missed = ms > target
            self._missed[kind] += missed
            self._metrics.targets.labels(kind, "missed" if missed else "met").inc()

    def count(self, name: Counted) -> None:
        """One more of what is only counted."""
        self._sums[name] += 1

    def since_start(self) -> dict[str, Spread]:
        """By kind; counts of all values, the rest of the latest MAX_KEPT."""
        return {kind: self._spread(kind, self._sums[kind], None) for kind in KINDS}

    def recent(self) -> dict[str, Spread]:
        """The same over the last five minutes."""
        since = self._clock() - RECENT_S
        return {kind: self._spread(kind, None, since) for kind in KINDS}

    def targets(self) -> dict[str, Target]:
        """By kind, of those that have one."""
        wanted = [(kind, target) for kind in KINDS if (target := self._target(kind)) is not None]
        return {kind: Target(target, self._sums[kind], self._missed[kind]) for kind, target in wanted}

    def counts(self) -> dict[str, float]:
        """By the names that other agents have for them."""
        talks = self._sums["talks"]
        return {
            "concurrent_tts_triggers": self._sums["concurrent_tts_triggers"],
            "concurrent_tts_share": round(self._sums["concurrent_talks"] / talks, 3) if talks else 0.0,
            "partial_transcripts_received": self._sums["partial_transcripts"],
            "conversations": talks,
        }

    def _target(self, kind: Kind) -> int | None:
        return getattr(self._targets(), f"{kind}_ms", None)

    def _spread(self, kind: Kind, count: int | None, since: float | None) -> Spread:
        values = self._values[kind].values(since)
        if not values.size:
            return Spread()
        p50, p95, p99 = (round(float(value), 1) for value in np.percentile(values, [50, 95, 99]))
        count = len(values) if count is None else count
        return Spread(count, round(float(values.mean()), 1), p50, p95, p99, round(float(values.max()), 1))
