"""Sums of calls, and calls with problems."""

from telephony.records.store import Store
from telephony.records.summary import PROBLEMS, Summary
from tests.telephony.records.calls import MORNING_MS, call


async def test_sums_are_of_the_span_alone(store: Store) -> None:
    within = [
        call(10, status="ended", outcome="hangup", turns=3, barge_ins=1, latency_p50=400, latency_p95=800),
        call(20, status="ended", outcome="failed", turns=1, replies_failed=1, latency_p50=500, latency_p95=2000),
        call(30, direction="outbound", gap_ms=40, media_ms=1000, loss=0.04),
        call(40, status="broken_off", latency_p50=300, latency_p95=300, latency_max=2001),
    ]
    await store.write([*within, call(9, turns=99), call(50, turns=99)])
    found = await store.summary(MORNING_MS + 10, MORNING_MS + 50)
    assert (found.calls, found.active, found.inbound) == (4, 1, 3)
    assert found.outcomes == {"hangup": 1, "failed": 1}
    assert (found.turns, found.barge_ins, found.replies_failed) == (4, 1, 1)
    assert (found.gap_ms, found.media_ms) == (40, 1000)
    assert found.problems == {"broken_off": 1, "failed": 1, "slow": 1, "lost": 1}
    assert (found.p50_ms, found.p95_ms) == (400, 2000)


async def test_of_no_calls_there_is_nothing(store: Store) -> None:
    assert await store.summary(0, MORNING_MS) == Summary(problems=dict.fromkeys(PROBLEMS, 0))
    assert await store.problems(0, 10) == []


async def test_problems_are_the_worst_first_and_then_the_latest(store: Store) -> None:
    await store.write(
        [
            call(1, status="broken_off"),
            call(2, latency_max=2001, latency_worst_turn=4, underruns=1),
            call(3, status="broken_off", replies_failed=1),
            call(4, latency_max=2000),
            call(5, outcome="failed"),
            call(6, latency_max=9000),
        ]
    )
    found = await store.problems(MORNING_MS, 10)
    assert [(one.call, one.kinds) for one in found] == [
        ("CA3", ("broken_off", "failed")),
        ("CA1", ("broken_off",)),
        ("CA5", ("failed",)),
        ("CA6", ("slow",)),
        ("CA2", ("slow", "lost")),
    ]
    assert found[4].latency_worst_turn == 4
    assert len(await store.problems(MORNING_MS, 2)) == 2
    assert [one.call for one in await store.problems(MORNING_MS + 5, 10)] == ["CA5", "CA6"]
