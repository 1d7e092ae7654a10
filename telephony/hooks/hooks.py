"""The hooks of one server: a thread with a loop of its own, so that no TLS and no JSON of theirs delays the audio."""

import asyncio
import logging
import threading
from collections.abc import Container
from contextlib import suppress

from config.hooks import HooksSettings
from telephony.hooks.after_call import AfterCall
from telephony.hooks.before_call import BeforeCall
from telephony.lines.metrics import Metrics
from telephony.lines.screening import IncomingCall, Verdict
from telephony.records.call_records import CallRecords

STOP_S = 2.0
LATE_S = 0.2  # that its loop may be late beyond the hook's own limit

logger = logging.getLogger("voxline.hooks")


class Hooks:
    """`screen`, `start` and `stop` are called from outside; everything else runs in its thread."""

    def __init__(self, settings: HooksSettings, agents: Container[str], metrics: Metrics) -> None:
        """`agents` holds the names of those that there are."""
        self._settings = settings
        self._agents = agents
        self._metrics = metrics
        self._loop: asyncio.AbstractEventLoop | None = None  # once it is started
        self._before: BeforeCall | None = None
        self._ends = asyncio.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hooks", daemon=True)
        self._records: CallRecords | None = None

    def start(self, records: CallRecords | None) -> None:
        """Start its thread; `records` are what hooks.after_call is told of."""
        self._records = records
        self._thread.start()
        self._begun.wait()

    def stop(self) -> None:
        """End it. What was not delivered waits in the database."""
        if self._loop is None:
            return
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join(STOP_S)

    async def screen(self, call: IncomingCall) -> Verdict:
        """See Screening."""
        before = self._before
        if before is None or self._loop is None:
            return Verdict()
        question = before.ask(call)
        try:
            asked = asyncio.run_coroutine_threadsafe(question, self._loop)
        except RuntimeError:  # the server ends
            question.close()
            return Verdict()
        limit_s = self._settings.before_call_ms / 1000 + LATE_S
        done, _ = await asyncio.wait([asyncio.wrap_future(asked)], timeout=limit_s)
        if done and not asked.cancelled():
            return asked.result()
        asked.cancel()
        self._metrics.hooks.labels("before_call", "failed").inc()
        logger.warning("hooks.before_call is late, and the call goes on without", extra={"call": call.call_id})
        return Verdict()

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                runner.run(self._main())
        except Exception:
            logger.exception("the hooks have failed")
        finally:
            self._begun.set()

    async def _main(self) -> None:
        after: AfterCall | None = None
        if self._settings.asks_before:
            self._before = BeforeCall(self._settings, self._agents, self._metrics)
        if self._settings.tells_after and self._records:
            after = AfterCall(self._settings, self._records, self._metrics)
        telling = asyncio.create_task(after.run(), name="after_call") if after else None
        self._begun.set()
        await self._ends.wait()
        before, self._before = self._before, None
        if telling:
            telling.cancel()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for hook in (before, after):
            if hook:
                await hook.close()
