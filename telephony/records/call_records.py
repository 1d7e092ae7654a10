"""Calls on record, as a server has them: opens a log for each call, and answers for what is stored."""

import asyncio
import secrets
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from config.settings import Settings
from telephony.lines.line import Line
from telephony.lines.metrics import Metrics
from telephony.lines.outbound_call import OutboundCall
from telephony.recordings.recordings import Recordings
from telephony.records.call_filter import CallFilter
from telephony.records.call_id import CallIds
from telephony.records.call_log import CallLog, first_state
from telephony.records.call_record import CallRecord
from telephony.records.database import Database
from telephony.records.dialled import dialling, not_answered
from telephony.records.eraser import Erase, Eraser
from telephony.records.journal import Journal
from telephony.records.outbox import Delivery, Status
from telephony.records.store import Row
from telephony.records.summary import Problem, Summary
from telephony.records.text import clean
from telephony.records.writer import Writer
from telephony.tapes.tapes import Tapes

FOLDER = "records"  # in server.data
ERASE_S = 10.0  # for deleting one tape or recording


class CallRecords:
    """Of one server. Its methods that await run in any loop, and raise StoreError when the database fails."""

    def __init__(
        self, settings: Settings, metrics: Metrics, tapes: Tapes | None, recordings: Recordings | None
    ) -> None:
        """Raises SettingsError if `records.url` cannot be used, OSError if the folder cannot be written."""
        self._settings = settings
        self._ids = CallIds()
        self._host = host_name(settings.server.data)
        self._run = secrets.token_hex(8)
        self._dialled: dict[str, CallRecord] = {}  # by their id in the log: calls of ours that may still be answered
        folder = settings.server.data / FOLDER
        database = Database(settings.records.url.get_secret_value(), folder)
        journal = Journal(folder, self._run)

        self._writer = Writer(
            database,
            journal,
            Eraser(
                settings.server.data,
                self._host,
                _erases(tapes.delete) if tapes else None,
                _erases(recordings.delete) if recordings else None,
            ),
            metrics,
            host=self._host,
            run=self._run,
            keep_days=settings.records.keep_days,
            hooked=settings.hooks.tells_after,
        )
        self._writer.start()

    def open(self, line: Line, agent: str, at_ms: int, tape: str = "") -> CallLog:
        """The log of a call that begins at this Unix time in ms, or of one that we dialled and that is answered now.
        `tape` is the name of its file, if any. Its first state is on record."""
        log, dialled = self._settings.log, self._dialled.pop(line.call_id, None)
        record = first_state(line, agent, log.numbers, at_ms, tape=tape, **self._own(at_ms))
        if dialled:
            kept = {"id": dialled.id, "called": dialled.called, "started": dialled.started}
            record = msgspec.structs.replace(record, seq=dialled.seq + 1, **kept)
        hooked = self._settings.hooks.tells_after
        call = CallLog(record, self._writer.put, words=log.words, numbers=log.numbers, hooked=hooked)
        call.begun()
        return call

    def dialled(self, call: OutboundCall, at_ms: int) -> None:
        """A call of ours begins at this Unix time in ms, or is over without an answer."""
        if not call.over:
            self._dialled[call.id] = begun = dialling(call, self._settings.log.numbers, at_ms, **self._own(at_ms))
            self._writer.put(begun)
        elif known := self._dialled.pop(call.id, None):
            self._writer.put(not_answered(known, call, at_ms))

    def _own(self, at_ms: int) -> dict[str, Any]:
        return {"id": self._ids.new(at_ms), "host": self._host, "run": self._run}

    async def find(self, wanted: CallFilter) -> list[Row]:
        """See Store."""
        return await self._writer.ask(lambda store: store.find(wanted))

    async def get(self, name: int | str) -> list[Row]:
        """See Store."""
        return await self._writer.ask(lambda store: store.get(name))

    async def page(self, wanted: CallFilter) -> list[Row]:
        """See Store."""
        return await self._writer.ask(lambda store: store.page(wanted))

    async def summary(self, since_ms: int, until_ms: int) -> Summary:
        """See summary.py."""
        return await self._writer.ask(lambda store: store.summary(since_ms, until_ms))

    async def problems(self, since_ms: int, most: int) -> list[Problem]:
        """See summary.py."""
        return await self._writer.ask(lambda store: store.problems(since_ms, most))

    async def delete(self, name: int | str) -> int:
        """See Writer."""
        return await self._writer.delete(name)

    async def claim_deliveries(self, most: int) -> list[Delivery]:
        """This host's deliveries that are due, see Outbox."""
        now_ms = round(1000 * time.time())
        return await self._writer.ask(lambda store: store.outbox.claim(self._host, now_ms, most))

    async def settle(self, claimed: Delivery, status: Status, **result: Any) -> None:
        """See Outbox."""
        await self._writer.ask(lambda store: store.outbox.settle(claimed, status, **result))

    async def deliveries(self, status: str, before: int | None, limit: int) -> list[Delivery]:
        """See Outbox."""
        return await self._writer.ask(lambda store: store.outbox.find(status, before, limit))

    async def resend(self, number: int) -> bool:
        """See Outbox."""
        now_ms = round(1000 * time.time())
        return await self._writer.ask(lambda store: store.outbox.resend(number, now_ms))

    def stop(self) -> None:
        """Write what waits and end; blocks for some seconds at most."""
        self._writer.stop()


def _erases(delete: Callable[[str], Future[Any]]) -> Erase:
    """Has the writer of the files delete one: it may still be writing it."""

    async def erase(name: str) -> None:
        async with asyncio.timeout(ERASE_S):
            await asyncio.wrap_future(delete(name))

    return erase


def host_name(data: Path) -> str:
    """The server's own name among those that share a database: its machine and its data folder."""
    return clean(f"{socket.gethostname()}:{data.resolve()}")
