"""eot-bench's measure of an end-of-turn rule: how late it answers where it cuts off so many pauses. Pure functions.

As in its harness (eot_harness/metrics.py of github.com/livekit/eot-bench): a turn is one person's, with pauses in it
and a last one, which is its end. A rule is tried at every setting. At each, a pause is cut off when the rule ends the
turn before the pause is over, whatever it did at others; its latency is the mean at the ends, until a timeout where it
never ends the turn. Of the settings that cut off at most 5 % (10 %) of the pauses the least latency counts.
"""

from collections.abc import Iterable, Sequence

import msgspec

SHORTEST_MS, LONGEST_MS = 200, 5000  # of pauses that count
BUDGETS = (0.05, 0.10)
EDGE = 1e-6
# English, mean latency in ms at 5 % and at 10 %, as published in November 2026.
PUBLISHED = {
    "LiveKit v1": (543, 295),
    "Baton": (577, 350),
    "Soniox": (647, 512),
    "ultraVAD": (899, 663),
    "Smart Turn v3.2": (1051, 739),
    "LiveKit v1-mini": (1070, 698),
    "Deepgram Flux": (1151, 548),
    "silence alone": (1600, 1000),
}


class Pause(msgspec.Struct, frozen=True):
    """One inside a turn: how long it is, and whether the rule ended the turn in it."""

    ms: float
    cut_off: bool

    @property
    def counts(self) -> bool:
        """Whether it is neither a gap between words nor a break."""
        return SHORTEST_MS - EDGE <= self.ms <= LONGEST_MS + EDGE


class Outcome(msgspec.Struct, frozen=True):
    """What one setting of a rule does to a set: the share of pauses cut off, and the mean latency at the ends."""

    cut_off: float
    latency_ms: float
    setting: dict[str, float] = {}


def outcome(
    pauses: Iterable[Pause], ends_ms: Sequence[float], timeout_ms: float, setting: dict[str, float] | None = None
) -> Outcome:
    """Of all pauses and ends of a set. Raises ValueError where there are none."""
    cut = [pause.cut_off for pause in pauses if pause.counts]
    if not cut or not ends_ms:
        raise ValueError("eot-bench's measure needs turns, and pauses of 200 ms to 5 s in them")
    latency = sum(min(ms, timeout_ms) for ms in ends_ms) / len(ends_ms)
    return Outcome(sum(cut) / len(cut), latency, setting or {})


def best(outcomes: Iterable[Outcome], budget: float) -> Outcome | None:
    """The one that answers soonest of those that cut off at most this share; None if all cut off more."""
    within = [each for each in outcomes if each.cut_off <= budget + EDGE]
    return min(within, key=lambda each: (each.latency_ms, each.cut_off), default=None)
