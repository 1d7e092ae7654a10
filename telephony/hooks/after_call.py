"""hooks.after_call: tells of each call that is over, until somebody has taken it. See records/outbox.py."""

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from typing import Any

from config.hooks import HooksSettings
from telephony.hooks import answers
from telephony.hooks.answers import AnswerError
from telephony.hooks.target import HookError, Target
from telephony.lines.metrics import Metrics
from telephony.records.call_records import CallRecords
from telephony.records.database import StoreError
from telephony.records.deliveries import delivery_id
from telephony.records.export import shown
from telephony.records.outbox import Delivery, Status
from telephony.records.text import json_text

AT_ONCE = 8  # deliveries
LIMIT_S = 10.0  # for one of them
LOOK_S = 1.0  # between two looks at what is due
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 600.0
DAY_MS = 86_400_000

logger = logging.getLogger("voxline.hooks")


class AfterCall:
    """The hook of one server. Runs in the hooks' loop."""

    def __init__(self, settings: HooksSettings, records: CallRecords, metrics: Metrics) -> None:
        self._target = Target(settings.after_call, settings.secret)
        self._keep_ms = settings.after_call_days * DAY_MS
        self._records = records
        self._outcomes = metrics.hooks
        self._late = False  # whether the database failed the last time

    async def run(self) -> None:
        """Deliver what is due, again and again."""
        while True:
            try:
                claimed = await self._records.claim_deliveries(AT_ONCE)
                self._late = False
                await self._deliver_all(claimed)
            except StoreError as error:
                claimed = []
                if not self._late:
                    logger.error("deliveries of hooks.after_call wait for the database: %s", error)
                self._late = True
            except Exception:
                claimed = []
                logger.exception("deliveries of hooks.after_call wait")
            if len(claimed) < AT_ONCE:
                await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        """Close its connections."""
        await self._target.close()

    async def _deliver_all(self, claimed: Sequence[Delivery]) -> None:
        results = await asyncio.gather(*map(self._deliver, claimed), return_exceptions=True)
        for error in results:
            if error is not None:
                raise error

    async def _deliver(self, claimed: Delivery) -> None:
        name = delivery_id(claimed.id)
        rows = await self._records.get(claimed.id)
        if not rows:
            return  # deleted meanwhile, and the delivery with it
        body = {"event": "after_call", "id": name, "call": shown(rows[0]), "fields": claimed.fields}
        extra = {"call": rows[0]["call"], "delivery": name, "attempt": claimed.attempts}
        try:
            answer = await self._target.post(json_text(body).encode(), name, LIMIT_S)
        except HookError as error:
            await self._failed(claimed, error, extra)
            return
        self._outcomes.labels("after_call", "delivered").inc()
        logger.info("hooks.after_call is told", extra=extra)
        costs = self._costs(answer.body, extra)
        await self._records.settle(claimed, "delivered", due=_now_ms(), answer=answer.status, error="", costs=costs)

    def _costs(self, answer: bytes, extra: dict[str, Any]) -> dict[str, Any]:
        try:
            return answers.costs(answer)
        except AnswerError as error:
            logger.warning("the costs in the answer of hooks.after_call are not understood: %s", error, extra=extra)
            return {}

    async def _failed(self, claimed: Delivery, error: HookError, extra: dict[str, Any]) -> None:
        now_ms = _now_ms()
        due = now_ms + round(1000 * back_off_s(claimed.attempts, random.random()))  # noqa: S311 (spreads them)
        gives_up = due > claimed.created + self._keep_ms
        status: Status = "failed" if gives_up else "pending"
        self._outcomes.labels("after_call", "given_up" if gives_up else "failed").inc()
        what = "is given up" if gives_up else "failed, and is tried again"
        logger.warning("hooks.after_call %s: %s", what, error, extra=extra)
        await self._records.settle(claimed, status, due=due, answer=error.status, error=str(error), costs={})


def back_off_s(attempts: int, chance: float) -> float:
    """How long to wait after so many attempts, from 1: a second, doubled up to ten minutes, more or less by a quarter.
    `chance` is in 0..1."""
    doubled: float = FIRST_RETRY_S * 2 ** min(attempts - 1, 20)
    return min(doubled, LONGEST_RETRY_S) * (0.75 + chance / 2)


def _now_ms() -> int:
    return round(1000 * time.time())
