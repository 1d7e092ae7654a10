"""Calls in a database, SQLite or PostgreSQL alike. Every method raises StoreError when the database fails."""

import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from telephony.records.call_filter import MAX_PAGE, CallFilter
from telephony.records.call_record import COSTS, FIELDS, TEXTS, Act, CallRecord
from telephony.records.database import Database
from telephony.records.outbox import Outbox
from telephony.records.schema import call_acts, call_terms, call_texts, calls, hook_deliveries
from telephony.records.summary import Problem, Summary, problems, summary
from telephony.records.terms import key, terms

PROBE = 2000  # rows of a word that are counted to find the rarest of several

# A call: the fields of CallRecord and COSTS; without TEXTS and acts where it comes from a list.
Row = dict[str, Any]

_BRIEF = [calls.c[name] for name in (*FIELDS, *COSTS)]
_NEWER = {name: value for name, value in calls.c.items() if name not in ("id", *COSTS)}


class Store:
    """The calls of a database."""

    def __init__(self, database: Database, *, hooked: bool = False) -> None:
        """`hooked`: the calls are to be told to hooks.after_call."""
        self._database = database
        self._hooked = hooked
        self._insert: Any = sqlite.insert if database.path else postgresql.insert
        self.outbox = Outbox(database, self._insert)

    async def write(self, records: Iterable[CallRecord]) -> None:
        """Store these states of calls: all, or none. A state that is older than the stored one changes nothing."""
        newest: dict[int, CallRecord] = {}
        for record in records:
            if record.id not in newest or record.seq > newest[record.id].seq:
                newest[record.id] = record
        async with self._database.transaction() as connection:
            stored = await connection.execute(sa.select(calls.c.id, calls.c.seq).where(calls.c.id.in_(newest)))
            for number, seq in stored:
                if newest[number].seq <= seq:
                    del newest[number]
            await self._upsert(connection, list(newest.values()))
            if self._hooked:
                await self.outbox.put(connection, list(newest.values()))

    async def _upsert(self, connection: AsyncConnection, records: list[CallRecord]) -> None:
        if not records:
            return
        insert = self._insert(calls)
        newer = insert.on_conflict_do_update(
            index_elements=["id"],
            set_={name: insert.excluded[name] for name in _NEWER},
            where=calls.c.seq < insert.excluded.seq,
        )
        await connection.execute(newer, [{name: getattr(record, name) for name in FIELDS} for record in records])
        insert = self._insert(call_texts)
        newer = insert.on_conflict_do_update(
            index_elements=["id"], set_={name: insert.excluded[name] for name in TEXTS}
        )
        texts = [{"id": record.id} | {name: _plain(getattr(record, name)) for name in TEXTS} for record in records]
        await connection.execute(newer, texts)
        found_by = [{"term": key(term), "id": record.id} for record in records for term in terms(record)]
        if found_by:  # a call only gains words
            await connection.execute(self._insert(call_terms).on_conflict_do_nothing(), found_by)
        acts = [
            {"id": record.id, "seq": seq} | _plain(act) for record in records for seq, act in enumerate(record.acts)
        ]
        if acts:  # and acts
            await connection.execute(self._insert(call_acts).on_conflict_do_nothing(), acts)

    async def mark_broken_off(self, host: str, living: Collection[str]) -> int:
        """The active calls of this host's earlier runs will never end: mark them. Returns how many."""
        left = calls.c.status == "active", calls.c.host == host, calls.c.run.not_in(living)
        async with self._database.transaction() as connection:
            if self._hooked:
                ids = (await connection.execute(sa.select(calls.c.id).where(*left))).scalars().all()
                await self.outbox.end(connection, ids, round(1000 * time.time()))
            marked = sa.update(calls).where(*left).values(status="broken_off")
            return (await connection.execute(marked)).rowcount

    async def find(self, wanted: CallFilter) -> list[Row]:
        """Calls that meet the filter, the latest first; one more than its limit if there are more."""
        async with self._database.reading() as connection:
            query = sa.select(*_BRIEF).where(*await self._conditions(connection, wanted))
            rows = await connection.execute(query.order_by(calls.c.id.desc()).limit(wanted.limit + 1))
            return [dict(row) for row in rows.mappings()]

    async def _conditions(self, connection: AsyncConnection, wanted: CallFilter) -> list[sa.ColumnElement[bool]]:
        conditions: list[sa.ColumnElement[bool]] = [calls.c[key] == value for key, value in wanted.equal.items()]
        if wanted.min_latency_ms:
            conditions.append(calls.c.latency_max >= wanted.min_latency_ms)
        if wanted.min_barge_ins:
            conditions.append(calls.c.barge_ins >= wanted.min_barge_ins)
        if wanted.words:
            conditions.append(await self._found(connection, wanted))
        return conditions + _span(calls.c.id, wanted)

    async def _found(self, connection: AsyncConnection, wanted: CallFilter) -> sa.ColumnElement[bool]:
        """The calls with all of the words: those with the rarest, of which each is looked up for the others."""
        counts = {word: await self._count(connection, word) for word in wanted.words}
        rarest = min(counts, key=lambda word: counts[word])
        if counts[rarest] == PROBE:  # all are common: the latest calls have them, one by one
            return sa.and_(*(_has(word, calls.c.id) for word in wanted.words))
        ids = sa.select(call_terms.c.id).where(call_terms.c.term == key(rarest), *_span(call_terms.c.id, wanted))
        return sa.and_(calls.c.id.in_(ids), *(_has(word, calls.c.id) for word in wanted.words if word != rarest))

    async def _count(self, connection: AsyncConnection, word: str) -> int:
        some = sa.select(call_terms.c.id).where(call_terms.c.term == key(word)).limit(PROBE).subquery()
        return (await connection.execute(sa.select(sa.func.count()).select_from(some))).scalar_one()

    async def page(self, wanted: CallFilter) -> list[Row]:
        """The same with their texts and acts."""
        return await self._with_texts(await self.find(wanted))

    async def get(self, name: int | str) -> list[Row]:
        """The calls with this id, or with this id in the log, with their texts and acts; the latest first."""
        condition = calls.c.id == name if isinstance(name, int) else calls.c.call == name
        async with self._database.reading() as connection:
            query = sa.select(*_BRIEF).where(condition).order_by(calls.c.id.desc()).limit(MAX_PAGE)
            rows = [dict(row) for row in (await connection.execute(query)).mappings()]
        return await self._with_texts(rows)

    async def _with_texts(self, rows: list[Row]) -> list[Row]:
        async with self._database.reading() as connection:
            query = sa.select(call_texts).where(call_texts.c.id.in_([row["id"] for row in rows]))
            texts = {row["id"]: dict(row) for row in (await connection.execute(query)).mappings()}
            acts = await self._acts(connection, [row["id"] for row in rows])
        return [row | texts.get(row["id"], {key: [] for key in TEXTS}) | {"acts": acts[row["id"]]} for row in rows]

    async def _acts(self, connection: AsyncConnection, ids: list[int]) -> dict[int, list[Row]]:
        found: dict[int, list[Row]] = {number: [] for number in ids}
        query = sa.select(call_acts).where(call_acts.c.id.in_(ids)).order_by(call_acts.c.id, call_acts.c.seq)
        for row in (await connection.execute(query)).mappings():
            found[row["id"]].append({name: row[name] for name in Act.__struct_fields__})
        return found

    async def summary(self, since_ms: int, until_ms: int) -> Summary:
        """See summary.py."""
        return await summary(self._database, since_ms, until_ms)

    async def problems(self, since_ms: int, most: int) -> list[Problem]:
        """See summary.py."""
        return await problems(self._database, since_ms, most)

    async def older(self, host: str, before: int, most: int) -> list[Row]:
        """Calls of this host with ids below `before`, the oldest first; none that is on."""
        query = sa.select(*_BRIEF).where(calls.c.id < before, calls.c.host == host, calls.c.status != "active")
        async with self._database.reading() as connection:
            return [dict(row) for row in (await connection.execute(query.order_by(calls.c.id).limit(most))).mappings()]

    async def delete(self, ids: Sequence[int]) -> None:
        """Delete these calls' rows. `forget` then leaves nothing of them in the file."""
        async with self._database.transaction() as connection:
            await self._database.owe(connection)
            for table in (hook_deliveries, call_terms, call_texts, call_acts, calls):
                await connection.execute(sa.delete(table).where(table.c.id.in_(ids)))

    async def forget(self) -> None:
        """See Database."""
        await self._database.forget()


def _has(word: str, number: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    one = call_terms.alias()
    return sa.exists().where(one.c.term == key(word), one.c.id == number)


def _span(number: sa.ColumnElement[int], wanted: CallFilter) -> list[sa.ColumnElement[bool]]:
    after = [] if wanted.since is None else [number >= wanted.since]
    return after if wanted.until is None else [*after, number < wanted.until]


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)
