"""The one writer of calls: a thread with a loop of its own, which owns the journal and the database.

The audio's loop only puts states aside. This thread writes them to the journal at once, and from there to the database.
While the database fails they wait in the journal, and the writer tries again, less and less often.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from telephony.lines.metrics import Metrics
from telephony.records import call_id
from telephony.records.call_record import CallRecord
from telephony.records.database import CLEAN_S, Database, StoreError
from telephony.records.eraser import Eraser
from telephony.records.intake import Intake
from telephony.records.journal import Journal
from telephony.records.store import Store

MAX_WAITING = 20_000  # calls with a state that is not in the journal yet; beyond it states are lost, and counted
FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 15.0
ASK_S = 15.0  # for an answer from the database, what waits included
KEEP_LOOK_S = 6 * 3600.0  # between two looks for calls that are too old
KEEP_RETRY_S = 60.0
KEEP_BATCH = 50  # calls deleted at once
STOP_S = 3.0  # for writing what waits; the next start writes the rest
CLOSE_S = 1.0  # for closing connections
DAY_MS = 86_400_000

T = TypeVar("T")
# Loops of writers whose database has not answered: its threads may still tell them of something.
_abandoned: list[asyncio.AbstractEventLoop] = []
logger = logging.getLogger("voxline.records")


class Writer:
    """Of one server. `put`, `start` and `stop` are called from outside, everything else runs in its thread."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        eraser: Eraser,
        metrics: Metrics,
        *,
        host: str,
        run: str,
        keep_days: int,
        hooked: bool = False,
    ) -> None:
        """`hooked` is Store's."""
        self._database = database
        self._journal = journal
        self._eraser = eraser
        self._metrics = metrics
        self._host = host
        self._keep_days = keep_days
        lost = metrics.records_lost.inc
        self._intake = Intake(database, journal, host, run, hooked=hooked, written=self._written, lost=lost)
        self._waiting: dict[int, CallRecord] = {}  # the newest state of each call that is not in the journal
        self._lock = threading.Lock()
        self._late = False  # whether the database failed, and has not caught up since
        self._loop = asyncio.new_event_loop()
        self._news = asyncio.Event()  # there is something for the journal
        self._rows = asyncio.Event()  # there is something for the database
        self._ends = asyncio.Event()
        self._busy = asyncio.Lock()  # one at a time takes from the journal, or deletes
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)

    def start(self) -> None:
        """Start its thread."""
        self._thread.start()

    def put(self, record: CallRecord) -> None:
        """Keep a state of a call. Called on the audio's path: it touches neither disk nor database."""
        with self._lock:
            waiting = self._waiting.get(record.id)
            if waiting is None and len(self._waiting) >= MAX_WAITING:
                self._metrics.records_lost.inc()
                return
            first = not self._waiting
            if waiting is None or record.seq > waiting.seq:
                self._waiting[record.id] = record
        if first:
            self._tell(self._news)

    def stop(self) -> None:
        """Write what waits, as far as there is time, and end."""
        self._tell(self._ends)
        self._thread.join(STOP_S + 2 * CLOSE_S)

    async def ask(self, work: Callable[[Store], Coroutine[Any, Any, T]], limit_s: float = ASK_S) -> T:
        """Have something done with the store, and wait for it in any loop. Raises StoreError."""

        async def answer() -> T:
            try:
                async with asyncio.timeout(limit_s):
                    await self._intake.open()
                    return await work(self._intake.store)
            except TimeoutError:
                raise StoreError(f"the database has not answered for {limit_s:g} s") from None

        question = answer()
        try:
            answered: Future[T] = asyncio.run_coroutine_threadsafe(question, self._loop)
        except RuntimeError:
            question.close()
            raise StoreError("the server ends") from None
        return await asyncio.wrap_future(answered)

    async def delete(self, name: int | str) -> int:
        """Delete the calls with this id, or this id in the log, and all that is theirs; returns how many. Raises
        EraseError or StoreError."""

        async def erase(store: Store) -> int:
            async with self._busy:
                await self._take_everything()
                rows = await store.get(name)
                self._eraser.check(rows)
                if rows:
                    await self._eraser.erase(store, rows)
                await store.forget()
                return len(rows)

        return await self.ask(erase, CLEAN_S)

    # In its thread

    def _tell(self, event: asyncio.Event) -> None:
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(event.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        clean = False
        try:
            clean = self._loop.run_until_complete(self._main())
        except Exception:
            logger.exception("the writer of calls failed")
        finally:
            if clean:
                self._loop.close()
            else:
                _abandoned.append(self._loop)

    async def _main(self) -> bool:
        """Returns whether nothing of it is left: no thread of the database still works for this loop."""
        try:
            if taken := self._journal.take_over():
                logger.info("calls that earlier servers have not stored", extra={"journals": taken})
        except OSError as error:
            logger.error("journals of earlier servers cannot be read: %s", error.strerror or error)
        self._rows.set()
        tasks = [asyncio.create_task(work) for work in (self._to_disk(), self._to_database(), self._keep())]
        await self._ends.wait()
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(STOP_S), self._busy:  # a transaction that is broken off would keep its lock
                await self._take_everything()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._journal.waiting:
            logger.warning("calls wait on disk for the next start", extra={"bytes": self._journal.waiting})
        self._journal.close()
        return await self._close()

    async def _close(self) -> bool:
        """Let what was asked be answered, and close the connections, as far as there is time."""
        try:
            async with asyncio.timeout(CLOSE_S):
                if asked := asyncio.all_tasks() - {asyncio.current_task()}:
                    await asyncio.wait(asked)
                await self._database.close()
        except TimeoutError:
            return False
        return not asyncio.all_tasks() - {asyncio.current_task()}

    async def _to_disk(self) -> None:
        """Journal what is put, as it comes."""
        while True:
            await self._news.wait()
            self._news.clear()
            if not self._to_journal():
                await asyncio.sleep(FIRST_RETRY_S)
                self._news.set()
            self._rows.set()

    def _to_journal(self) -> bool:
        """False if the disk fails; what was put then waits in memory."""
        with self._lock:
            taken, self._waiting = self._waiting, {}
        try:
            if left_out := self._journal.append(taken.values()):
                self._metrics.records_lost.inc(left_out)
                logger.error("states of calls cannot be written", extra={"states": left_out})
        except OSError as error:
            self._failed("the journal of calls", error.strerror or str(error))
            with self._lock:
                self._waiting = taken | self._waiting
            return False
        self._metrics.records_waiting.set(self._journal.waiting)
        return True

    async def _to_database(self) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            await self._rows.wait()
            self._rows.clear()
            try:
                async with self._busy:
                    await self._intake.catch_up()
                if self._late:
                    logger.info("calls are stored again")
                retry_s, self._late = FIRST_RETRY_S, False
            except StoreError as error:
                self._failed("the database of calls", str(error))
                self._sync()
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, LONGEST_RETRY_S)
                self._rows.set()
            except Exception:
                logger.exception("calls cannot be stored")
                await asyncio.sleep(LONGEST_RETRY_S)
                self._rows.set()
            self._metrics.records_waiting.set(self._journal.waiting)

    def _failed(self, what: str, why: str) -> None:
        self._metrics.records_failures.inc()
        if not self._late:
            logger.error("%s fails, and is tried again: %s", what, why)
        self._late = True

    def _sync(self) -> None:
        with suppress(OSError):
            self._journal.sync()

    def _written(self, count: int) -> None:
        if self._late:
            self._metrics.records_late.inc(count)

    async def _take_everything(self) -> None:
        self._to_journal()
        await self._intake.catch_up()

    async def _keep(self) -> None:
        """Delete the calls that are older than `keep_days`, and what is left of those that were deleted before a
        crash."""
        while True:
            try:
                while self._keep_days and await self._delete_some():
                    pass
                async with self._busy:
                    await self._intake.open()
                    await self._intake.store.forget()
                await asyncio.sleep(KEEP_LOOK_S)
            except StoreError as error:
                logger.error("old calls cannot be deleted: %s", error)
                await asyncio.sleep(KEEP_RETRY_S)
            except Exception:
                logger.exception("old calls cannot be deleted")
                await asyncio.sleep(KEEP_LOOK_S)

    async def _delete_some(self) -> bool:
        """Delete the oldest ones; False if there are no more."""
        before = call_id.first_id(round(1000 * time.time()) - self._keep_days * DAY_MS)
        async with self._busy:
            await self._intake.catch_up()
            rows = await self._intake.store.older(self._host, before, KEEP_BATCH)
            if rows:
                await self._eraser.erase(self._intake.store, rows)
                logger.info("old calls are deleted", extra={"calls": len(rows)})
        return len(rows) == KEEP_BATCH
