"""What hooks.after_call is still to be told, and was told: one delivery a call, in the same database.

The delivery is written in the transaction of the call's state, so it is there exactly if the call's end is. It is sent
once or more often: whoever dies after sending, before the database knows, sends it again. Times are Unix time in ms.
"""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from telephony.records.call_record import CallRecord
from telephony.records.database import Database
from telephony.records.schema import calls, hook_deliveries

Status = Literal["open", "pending", "delivered", "failed"]  # open: the call is on
STATUSES: tuple[str, ...] = ("open", "pending", "delivered", "failed")
MAX_PAGE = 200
LEASE_MS = 60_000  # for which a delivery that is being sent is nobody else's

_deliveries = hook_deliveries.c


class Delivery(msgspec.Struct, frozen=True):
    """One delivery, as it is stored."""

    id: int  # the call's
    host: str
    status: str
    fields: dict[str, str]  # what the dialogue has filled
    created: int  # when the call ended, or the delivery was ordered again
    due: int
    attempts: int
    tried: int | None = None
    answer: int | None = None  # the HTTP status of the last attempt, if there was an answer
    error: str = ""  # of the last attempt


class Outbox:
    """The outbox of a database. Methods with a `connection` work in its transaction, the others in one of their own;
    those raise StoreError when the database fails."""

    def __init__(self, database: Database, insert: Any) -> None:
        """`insert` is SQLAlchemy's for this database, which knows on_conflict_do_update."""
        self._database = database
        self._insert = insert

    async def put(self, connection: AsyncConnection, records: Sequence[CallRecord]) -> None:
        """States of calls are stored: their deliveries are, too. One that was ready to go stays as it is."""
        if not records:
            return
        insert = self._insert(hook_deliveries)
        changed = ("status", "fields", "created", "due")
        newer = insert.on_conflict_do_update(
            index_elements=["id"],
            set_={name: insert.excluded[name] for name in changed},
            where=_deliveries.status == "open",
        )
        await connection.execute(newer, [_delivery(record) for record in records])

    async def end(self, connection: AsyncConnection, ids: Collection[int], now_ms: int) -> None:
        """These calls were broken off."""
        ready = sa.update(hook_deliveries).where(_deliveries.id.in_(ids), _deliveries.status == "open")
        await connection.execute(ready.values(status="pending", created=now_ms, due=now_ms))

    async def claim(self, host: str, now_ms: int, most: int) -> list[Delivery]:
        """This host's deliveries that are due, the first due first. They are the caller's for LEASE_MS."""
        due = (
            sa.select(hook_deliveries)
            .where(_deliveries.status == "pending", _deliveries.host == host, _deliveries.due <= now_ms)
            .order_by(_deliveries.due)
            .limit(most)
        )
        async with self._database.reading() as connection:  # mostly there is none, and nobody's write need wait
            if (await connection.execute(due.limit(1))).first() is None:
                return []
        async with self._database.transaction() as connection:
            rows = (await connection.execute(due.with_for_update(skip_locked=True))).mappings().all()
            lease = sa.update(hook_deliveries).where(_deliveries.id.in_([row["id"] for row in rows]))
            claimed = lease.values(due=now_ms + LEASE_MS, tried=now_ms, attempts=_deliveries.attempts + 1)
            await connection.execute(claimed)
        return [_read(dict(row) | {"attempts": row["attempts"] + 1}) for row in rows]

    async def settle(
        self, claimed: Delivery, status: Status, *, due: int, answer: int | None, error: str, costs: dict[str, Any]
    ) -> None:
        """What came of a delivery that was claimed; one that was ordered again meanwhile stays ordered. `costs` are
        fields of the call."""
        mine = _deliveries.id == claimed.id, _deliveries.status == "pending", _deliveries.attempts == claimed.attempts
        update = sa.update(hook_deliveries).where(*mine).values(status=status, due=due, answer=answer, error=error)
        async with self._database.transaction() as connection:
            await connection.execute(update)
            if costs:
                await connection.execute(sa.update(calls).where(calls.c.id == claimed.id).values(**costs))

    async def find(self, status: str, before: int | None, limit: int) -> list[Delivery]:
        """Deliveries, the latest calls first; one more than the limit if there are more. Empty `status`: all but those
        of calls that are on."""
        wanted = [_deliveries.status == status] if status else [_deliveries.status != "open"]
        wanted += [] if before is None else [_deliveries.id < before]
        query = sa.select(hook_deliveries).where(*wanted).order_by(_deliveries.id.desc()).limit(limit + 1)
        async with self._database.reading() as connection:
            return [_read(dict(row)) for row in (await connection.execute(query)).mappings()]

    async def resend(self, number: int, now_ms: int) -> bool:
        """Order a delivery again; False if there is none, or its call is on."""
        again = sa.update(hook_deliveries).where(_deliveries.id == number, _deliveries.status != "open")
        values = {"status": "pending", "created": now_ms, "due": now_ms, "attempts": 0}
        async with self._database.transaction() as connection:
            return bool((await connection.execute(again.values(**values))).rowcount)


def _delivery(record: CallRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "host": record.host,
        "status": "pending" if record.over else "open",
        "fields": record.fields,
        "created": record.updated,
        "due": record.updated,
        "attempts": 0,
        "error": "",
    }


def _read(row: dict[str, Any]) -> Delivery:
    return Delivery(*(row[name] for name in Delivery.__struct_fields__))
