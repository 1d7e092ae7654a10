"""From the journal into the database: whole batches, in order, and what another run has left."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from telephony.records import call_id
from telephony.records.call_record import CallRecord
from telephony.records.database import Database, StoreError
from telephony.records.journal import Journal
from telephony.records.store import Store

logger = logging.getLogger("voxline.records")


class Intake:
    """One server's. `hooked` is Store's; `written` and `lost` are told of states that the database has taken, or
    refused for good."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        host: str,
        run: str,
        *,
        hooked: bool = False,
        written: Callable[[int], None] = lambda _: None,
        lost: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.store = Store(database, hooked=hooked)
        self._database = database
        self._journal = journal
        self._host = host
        self._run = run
        self._written = written
        self._lost = lost
        self._opening = asyncio.Lock()
        self._is_open = False

    async def open(self) -> None:
        """Once, before anything else: make the tables, and mark the calls that earlier runs have left. Raises
        StoreError."""
        async with self._opening:
            if self._is_open:
                return
            await self._database.migrate()
            if marked := await self.store.mark_broken_off(self._host, self._journal.living()):
                logger.warning("calls were broken off: their server has ended", extra={"calls": marked})
            self._is_open = True

    async def catch_up(self) -> None:
        """Store everything that waits in the journal. Raises StoreError; what is not stored then waits on."""
        await self.open()
        while self._journal.waiting:
            batch = [self._as_it_is(record) for record in self._journal.batch()]
            await self._store(batch)
            self._journal.done()
            self._written(len(batch))

    def _as_it_is(self, record: CallRecord) -> CallRecord:
        """An active call of another run, whose journal was left, was broken off."""
        if record.over or record.run == self._run:
            return record
        return msgspec.structs.replace(record, status="broken_off")

    async def _store(self, batch: list[CallRecord]) -> None:
        try:
            await self.store.write(batch)
        except StoreError as error:
            if not error.refused:
                raise
        else:
            return
        for record in batch:  # one of them is at fault
            try:
                await self.store.write([record])
            except StoreError as error:
                if not error.refused:
                    raise
                self._lost(1)
                logger.error("a call cannot be stored: %s", error, extra={"record": call_id.show(record.id)})
