"""The overview: problems first, then today beside the same day last week."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from math import inf
from typing import Any

import msgspec
from prometheus_client import Histogram
from starlette.requests import Request
from starlette.responses import Response

from config.settings import Settings
from telephony.console.pages import Pages
from telephony.console.words import KINDS, duration, millis, number, percent
from telephony.records.database import StoreError
from telephony.records.summary import SLOW_MS, Problem, Summary
from telephony.server.app import App
from telephony.server.sign_in.person import Person

PROBLEMS_MS = 86_400_000  # for how long a call with a problem is shown
MOST = 25
EVIDENCE = {"broken_off": "end", "failed": "failed", "slow": "turn-{}", "lost": "line"}  # where on a call's page


class Row(msgspec.Struct, frozen=True):
    """A figure of today, and of the same time last week."""

    name: str
    today: str
    last_week: str


class Overview:
    """Of one server."""

    def __init__(self, pages: Pages, app: App, settings: Settings) -> None:
        self._pages = pages
        self._app = app
        self._engine: dict[str, Any] = {"profile": settings.engine.profile, "capacity": settings.call.capacity}
        hooks = settings.hooks.after_call.get_secret_value()
        self._links = {"phone": settings.calls_from_pages, "hooks": bool(hooks)}

    async def page(self, request: Request, person: Person) -> Response:
        """See above."""
        records, admission = self._app.shared.calls, self._app.admission
        values: dict[str, Any] = {"problems": [], "rows": [], "outcomes": [], "counts": [], "error": ""}
        if records is None:
            values["error"] = "No calls are on record: records.mode is off, or server.data cannot be written."
        else:
            now = datetime.now().astimezone()
            now_ms, week_ms = round(1000 * time.time()), 7 * 86_400_000
            today_ms = _ms(now.replace(hour=0, minute=0, second=0, microsecond=0))
            begin_ms = _ms((now - timedelta(days=7)).replace(hour=0, minute=0, second=0, microsecond=0))
            try:
                today, last_week, problems = await asyncio.gather(
                    records.summary(today_ms, now_ms + 1),
                    records.summary(begin_ms, now_ms - week_ms),
                    records.problems(now_ms - PROBLEMS_MS, MOST),
                )
                values |= {"rows": _rows(today, last_week), "outcomes": _outcomes(today, last_week)}
                values |= {"problems": [(problem, _evidence(problem)) for problem in problems]}
                values |= {"counts": [(KINDS[kind], count) for kind, count in today.problems.items() if count]}
            except StoreError as error:
                values["error"] = f"The database of calls does not answer: {error}"
        ready, free = self._app.calls.is_ready, admission.free
        state = "draining" if admission.draining else "loading" if not ready else "ready" if free > 0 else "full"
        engine = {**self._engine, "active": admission.active, "free": max(0, free), "state": state}
        engine["late_ms"] = _late_ms(self._app.metrics.tick_late)
        status = 503 if values["error"] and records else 200
        return await self._pages.show(
            request, person, "overview.html", status, engine=engine, slow=SLOW_MS, **self._links, **values
        )


def _ms(moment: datetime) -> int:
    return round(1000 * moment.timestamp())


def _late_ms(histogram: Histogram) -> float | None:
    """How late 99 of 100 ticks of the calls' clock were at most, by the histogram's buckets; None if it was worse than
    the last one, or there were none. It tells how busy this process is."""
    [metric] = histogram.collect()
    counts = [
        (float(sample.labels["le"]), sample.value) for sample in metric.samples if sample.name.endswith("_bucket")
    ]
    total = max((count for _, count in counts), default=0)
    bound_s = next((bound_s for bound_s, count in counts if total and count >= 0.99 * total), inf)
    return None if bound_s == inf else 1000 * bound_s


def _rows(today: Summary, last_week: Summary) -> list[Row]:
    figures: list[tuple[str, Callable[[Summary], str]]] = [
        ("Calls", lambda one: number(one.calls)),
        ("of them inbound", lambda one: number(one.inbound)),
        ("Turns answered", lambda one: number(one.turns)),
        ("Interruptions", lambda one: number(one.barge_ins)),
        ("Median answer", lambda one: millis(one.p50_ms)),
        ("95 % of answers", lambda one: millis(one.p95_ms)),
        ("Failed replies", lambda one: number(one.replies_failed)),
        ("Audio lost", lambda one: percent(one.gap_ms / one.media_ms) if one.media_ms else "–"),
        ("Time on the line", lambda one: duration(one.media_ms)),
    ]
    return [Row(name, figure(today), figure(last_week)) for name, figure in figures]


def _outcomes(today: Summary, last_week: Summary) -> list[Row]:
    names = sorted({*today.outcomes, *last_week.outcomes}, key=lambda name: -today.outcomes.get(name, 0))
    return [Row(name, number(today.outcomes.get(name, 0)), number(last_week.outcomes.get(name, 0))) for name in names]


def _evidence(problem: Problem) -> list[tuple[str, str]]:
    """Of each kind its words, and the place on the call's page that shows it."""
    turn = problem.latency_worst_turn or 1
    said = {"slow": f"slow turn, {millis(problem.latency_max)}", "lost": f"lost audio, {millis(problem.gap_ms)}"}
    return [(said.get(kind, KINDS[kind]), EVIDENCE[kind].format(turn)) for kind in problem.kinds]
