"""Calls of a span of time, summed up, and those among them with problems."""

from typing import Any

import msgspec
import sqlalchemy as sa

from telephony.records import call_id
from telephony.records.database import Database
from telephony.records.schema import calls

SLOW_MS = 2000  # an answer that took longer is a problem
LOSS = 0.01  # so is a share of the caller's audio that was missing
BUCKET_MS = 10  # how fine latencies are counted

# By name, the worst first.
PROBLEMS: dict[str, sa.ColumnElement[bool]] = {
    "broken_off": calls.c.status == "broken_off",
    "failed": sa.or_(calls.c.replies_failed > 0, calls.c.outcome == "failed"),
    "slow": calls.c.latency_max > SLOW_MS,
    "lost": sa.or_(calls.c.loss >= LOSS, calls.c.underruns > 0),
}
SUMS = ("turns", "barge_ins", "replies_failed", "gap_ms", "media_ms")
SHOWN = ("id", "call", "started", "agent", "caller", "called", "direction", "reason", "latency_max", "gap_ms")


class Summary(msgspec.Struct, frozen=True):
    """The calls that began in a span of time."""

    calls: int = 0
    active: int = 0
    inbound: int = 0
    outcomes: dict[str, int] = {}  # of those that are over
    turns: int = 0
    barge_ins: int = 0
    replies_failed: int = 0
    gap_ms: int = 0
    media_ms: int = 0
    problems: dict[str, int] = {}  # calls, by the names of PROBLEMS
    p50_ms: int | None = None  # half of the calls had a median latency up to this
    p95_ms: int | None = None  # 95 of 100 calls had 95 of 100 answers within this


class Problem(msgspec.Struct, frozen=True):
    """A call that is worth a look, with the names of what was wrong."""

    id: int
    call: str
    started: int
    agent: str
    caller: str
    called: str
    direction: str
    reason: str
    latency_max: int | None
    latency_worst_turn: int | None
    gap_ms: int
    kinds: tuple[str, ...]


async def summary(database: Database, since_ms: int, until_ms: int) -> Summary:
    """Of the calls that began from `since_ms` on and before `until_ms`, Unix time. Raises StoreError."""
    within = _within(since_ms, until_ms)

    def count(condition: sa.ColumnElement[bool]) -> sa.Label[int]:
        return sa.func.count(sa.case((condition, 1))).label(None)

    sums = [sa.func.coalesce(sa.func.sum(calls.c[name]), 0) for name in SUMS]
    query = sa.select(
        sa.func.count(),
        count(calls.c.status == "active"),
        count(calls.c.direction == "inbound"),
        *sums,
        *(count(condition) for condition in PROBLEMS.values()),
    )
    async with database.reading() as connection:
        total, active, inbound, *rest = (await connection.execute(query.where(within))).one()
        by_outcome = sa.select(calls.c.outcome, sa.func.count()).where(within, calls.c.outcome != "")
        outcomes = (await connection.execute(by_outcome.group_by(calls.c.outcome))).all()
        p50 = await _percentile(connection, calls.c.latency_p50, within, 0.5)
        p95 = await _percentile(connection, calls.c.latency_p95, within, 0.95)
    return Summary(
        calls=total,
        active=active,
        inbound=inbound,
        outcomes={str(name): number for name, number in outcomes},
        problems=dict(zip(PROBLEMS, rest[len(SUMS) :], strict=True)),
        p50_ms=p50,
        p95_ms=p95,
        **{name: int(value) for name, value in zip(SUMS, rest[: len(SUMS)], strict=True)},
    )


async def problems(database: Database, since_ms: int, most: int) -> list[Problem]:
    """The latest calls since then with a problem, those with the worst first. Raises StoreError."""
    names = [*SHOWN, "latency_worst_turn"]
    worst = sa.case(*((condition, rank) for rank, condition in enumerate(PROBLEMS.values())))
    query = (
        sa.select(*(calls.c[name] for name in names), *(sa.label(name, value) for name, value in PROBLEMS.items()))
        .where(calls.c.id >= call_id.first_id(since_ms), sa.or_(*PROBLEMS.values()))
        .order_by(worst, calls.c.id.desc())
        .limit(most)
    )
    async with database.reading() as connection:
        rows = [dict(row) for row in (await connection.execute(query)).mappings()]
    return [Problem(**{name: row[name] for name in names}, kinds=_kinds(row)) for row in rows]


def _kinds(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in PROBLEMS if row[name])


def _within(since_ms: int, until_ms: int) -> sa.ColumnElement[bool]:
    return sa.and_(calls.c.id >= call_id.first_id(since_ms), calls.c.id < call_id.first_id(until_ms))


async def _percentile(connection: Any, column: Any, within: sa.ColumnElement[bool], share: float) -> int | None:
    """Of a column, in steps of BUCKET_MS: its values are counted by step, so that nothing is sorted."""
    step = column // BUCKET_MS
    query = sa.select(step, sa.func.count()).where(within, column.is_not(None)).group_by(step).order_by(step)
    steps = [(int(value), number) for value, number in await connection.execute(query)]
    wanted = share * sum(number for _, number in steps)
    for value, number in steps:
        wanted -= number
        if wanted <= 0:
            return value * BUCKET_MS
    return None
