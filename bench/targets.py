"""The engine's targets on one H200, what was expected before measuring, and what was measured."""

from typing import Any, NamedTuple

OWN = "own process"


class Target(NamedTuple):
    """A figure in ms that must not exceed its limit."""

    name: str
    part: str  # "steps", or a column of the conversations
    calls: int | str  # how many conversations, or which step
    most: float
    expected: float


# Steps: 1.5 times the floor that the memory's speed sets (see voxtral_steps.FLOORS). Expected: matrix products at 85 %
# of that speed, 1.5 us for each of 270 other kernels, 0.15 ms to choose; encoder 8, prompt 6, hand-over 2.
TARGETS = [
    Target("write one token of 1 call", "steps", "write 1", 2.5, 2.7),
    Target("write one token of 16 calls", "steps", "write 16", 2.9, 2.9),
    Target("write one token of 64 calls", "steps", "write 64", 3.9, 3.7),
    Target("turn decided → two words, 1 call, p50", "two words p50", 1, 30, 22),
    Target("turn decided → two words, 64 calls, p95", "two words p95", 64, 60, 50),
    Target("words → audio, 1 call, p50", "→ audio p50", 1, 25, 16),
    Target("words → audio, 64 calls, p95", "→ audio p95", 64, 90, 60),
    Target("turn decided → audio, 64 calls, p50", "both p50", 64, 60, 45),
    Target("turn decided → audio, 64 calls, p95", "both p95", 64, 150, 110),
    Target("cancel → nothing goes on, 64 calls, p95", "cancel p95", 64, 10, 3),
    Target("a caller's frames late, 64 calls, worst", "late max", 64, 20, 15),
]


def judge(results: dict[str, Any]) -> list[list[Any]]:
    """A row for each target: name, most, expected, measured, verdict; `results` are those of bench.engine."""
    on_gpu = results.get("size") == "full" and results.get("device") != "cpu"
    rows = []
    for target in TARGETS:
        found = _find(results, target) if on_gpu else None
        verdict = "waits for a GPU" if not on_gpu else "not measured" if found is None else ""
        if found is not None:
            verdict = "holds" if found <= target.most else "missed"
        rows.append([target.name, target.most, target.expected, "" if found is None else found, verdict])
    return rows


def _find(results: dict[str, Any], target: Target) -> float | None:
    if target.part == "steps":
        steps: dict[Any, float] = results.get("steps", {})
        return steps.get(target.calls)
    for row in results.get("conversations", []):
        if (row["models in"], row["case"], row["calls"]) == (OWN, "conversations", target.calls):
            figure: float | None = row.get(target.part)
            return figure
    return None
