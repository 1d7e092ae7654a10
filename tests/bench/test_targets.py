from typing import Any

from bench.targets import TARGETS, judge

CONVERSATION: dict[str, Any] = {
    "two words p50": 21.0,
    "two words p95": 70.0,
    "→ audio p50": 25.0,
    "→ audio p95": 50.0,
    "both p50": 50.0,
    "both p95": 100.0,
    "cancel p95": 2.0,
    "late max": 20.5,
}


def conversation(**values: Any) -> dict[str, Any]:
    return {"models in": "own process", "case": "conversations", "calls": 64} | CONVERSATION | values


def results(**values: Any) -> dict[str, Any]:
    return {"size": "full", "device": "NVIDIA H200", "steps": {"write 1": 2.4}, "conversations": []} | values


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {row[0]: row[-1] for row in judge(found)}


def test_what_was_measured_is_judged() -> None:
    others = [{"models in": "this process"}, {"case": "all at once"}, {"calls": 8}]
    rows = [conversation(**{**other, "two words p95": 1.0, "late max": 1.0}) for other in others]
    found = verdicts(results(conversations=[*rows, conversation()]))
    assert found["write one token of 1 call"] == "holds"
    assert found["write one token of 16 calls"] == "not measured"
    assert found["turn decided → two words, 64 calls, p95"] == "missed"
    assert found["words → audio, 64 calls, p95"] == "holds"
    assert found["a caller's frames late, 64 calls, worst"] == "missed"
    assert found["turn decided → two words, 1 call, p50"] == "not measured"


def test_what_failed_is_not_measured() -> None:
    failed = {"models in": "own process", "case": "conversations", "calls": 64, "error": "RuntimeError()"}
    assert set(verdicts(results(steps={"error": "RuntimeError()"}, conversations=[failed])).values()) == {
        "not measured"
    }


def test_figures_of_a_cpu_or_a_smaller_model_say_nothing() -> None:
    for other in ({"device": "cpu"}, {"size": "tiny"}):
        found = verdicts(results(**other, conversations=[conversation()]))
        assert set(found.values()) == {"waits for a GPU"}
        assert len(found) == len(TARGETS)
