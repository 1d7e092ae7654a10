"""Calls in a real SQLite and a real PostgreSQL: the same answers from both."""

import asyncio
import itertools
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.records.call_filter import parse
from telephony.records.call_id import show
from telephony.records.call_record import FIELDS, Act, CallRecord, ToolRun
from telephony.records.database import Database
from telephony.records.schema import call_acts, call_terms, call_texts, calls
from telephony.records.store import PROBE, Store
from telephony.records.terms import key
from telephony.records.text import clean
from tests.telephony.records.calls import NASTY, call, said, states


def _list(value: Any) -> Any:
    return list(msgspec.to_builtins(value))


async def found(store: Store, **query: str) -> list[str]:
    return [row["call"] for row in await store.find(parse(query))]


async def test_a_call_comes_back_as_it_was_written(store: Store) -> None:
    record = call(
        status="ended",
        transcript=said("Hello", "Grüße 日本"),
        tools=(ToolRun("book", 5, True, {"time": "noon"}, {"ok": True}),),
        loss=0.25,
        latency_max=900,
        ended=1,
    )
    await store.write([record])
    [row] = await store.get(record.id)
    assert {name: row[name] for name in FIELDS} == {name: getattr(record, name) for name in FIELDS}
    assert row["transcript"] == _list(record.transcript)
    assert row["tools"] == _list(record.tools)
    assert row["cost_micros"] is None
    assert await store.get("CA1") == [row]
    assert await store.get("CA2") == await store.get(5) == []


async def test_acts_come_back_in_their_order_and_are_only_added_to(store: Store) -> None:
    acts = tuple(Act(1000 + number, "Ann", "say", {"text": f"Grüße {number}"}) for number in range(12))
    for seq, count in ((1, 2), (3, 12), (2, 5)):
        await store.write([call(seq=seq, acts=acts[:count]), call(2, seq=seq)])
    [row] = await store.get("CA1")
    assert row["acts"] == _list(acts)
    [page, _] = await store.page(parse({"agent": "desk"}))
    assert page["acts"] == []
    assert "acts" not in (await store.find(parse({"agent": "desk"})))[0]


async def test_the_newest_state_counts_in_whatever_order_they_come(store: Store) -> None:
    states = [call(seq=seq, turns=seq, transcript=said(*map(str, range(seq)))) for seq in range(1, 6)]
    for chosen in ([2], [1], [4, 3], [5, 1, 2]):
        await store.write([states[seq - 1] for seq in chosen])
    [row] = await store.get("CA1")
    assert (row["seq"], row["turns"], len(row["transcript"])) == (5, 5, 5)


async def test_nobody_elses_fields_are_overwritten(store: Store, database: Database) -> None:
    await store.write([call()])
    async with database.transaction() as connection:
        await connection.execute(sa.update(calls).values(cost_micros=12_000, cost_currency="EUR"))
    await store.write([call(seq=2, status="ended")])
    [row] = await store.get("CA1")
    assert (row["status"], row["cost_micros"], row["cost_currency"]) == ("ended", 12_000, "EUR")


async def test_strangers_text_is_stored_and_found(store: Store) -> None:
    nasty = clean(NASTY)
    await store.write([call(caller=nasty, caller_name=nasty, call=nasty, transcript=said(nasty))])
    [row] = await store.get(nasty)
    assert row["caller_name"] == nasty
    assert row["transcript"][0]["text"] == nasty
    assert await found(store, q="drop script") == [nasty]
    assert await found(store, agent="' OR 1=1 --") == []


async def test_lists_are_the_latest_first_and_page_by_page(store: Store) -> None:
    await store.write([call(number) for number in range(1, 8)])
    assert await found(store) == [f"CA{number}" for number in range(7, 0, -1)]
    rows = await store.find(parse({"limit": "3"}))
    assert [row["call"] for row in rows] == ["CA7", "CA6", "CA5", "CA4"]  # one more: there is another page
    assert await found(store, limit="3", before=show(rows[2]["id"])) == ["CA4", "CA3", "CA2", "CA1"]
    assert "transcript" not in rows[0]
    [full, *_] = await store.page(parse({"limit": "1"}))
    assert full["transcript"] == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"agent": "night"}, ["CA2"]),
        ({"direction": "outbound"}, ["CA3"]),
        ({"status": "ended"}, ["CA3", "CA2"]),
        ({"outcome": "failed", "ended_by": "server"}, ["CA3"]),
        ({"caller": "+1555"}, ["CA1"]),
        ({"min_latency_ms": "900"}, ["CA2"]),
        ({"min_barge_ins": "1"}, ["CA3"]),
        ({"since": "2026-05-01T02:00:00.002Z"}, ["CA3", "CA2"]),
        ({"until": "2026-05-01T02:00:00.002Z"}, ["CA1"]),
        ({"q": "table"}, ["CA3", "CA2"]),
        ({"q": "table noon"}, ["CA2"]),
        ({"q": "table", "status": "active"}, []),
        ({"q": "table", "since": "2026-05-01T02:00:00.003Z"}, ["CA3"]),
        ({"q": "tab"}, []),
    ],
)
async def test_filters(store: Store, query: dict[str, str], expected: list[str]) -> None:
    await store.write(
        [
            call(1, caller="+1555"),
            call(2, agent="night", status="ended", latency_max=900, transcript=said("a TABLE at noon")),
            call(
                3,
                direction="outbound",
                status="ended",
                outcome="failed",
                ended_by="server",
                barge_ins=2,
                transcript=said("table"),
            ),
        ]
    )
    assert await found(store, **query) == expected


async def test_two_common_words_are_found_together(database: Database) -> None:
    """More calls have them than are counted."""
    store = Store(database)
    async with database.transaction() as connection:
        one = msgspec.structs.asdict(call())
        rows = [
            {name: one[name] for name in FIELDS} | {"id": number, "call": f"CA{number}"} for number in range(PROBE + 9)
        ]
        await connection.execute(sa.insert(calls), rows)
        words = [{"term": key(word), "id": number} for number in range(PROBE + 9) for word in ("red", "blue")]
        await connection.execute(sa.insert(call_terms), [*words, {"term": key("rare"), "id": 7}])
    assert len(await found(store, q="red blue", limit="5")) == 6
    assert await found(store, q="red rare blue") == ["CA7"]


async def test_calls_of_earlier_runs_of_this_host_are_marked(store: Store) -> None:
    await store.write(
        [
            call(1, run="old"),
            call(2, run="old", status="ended"),
            call(3, run="living"),
            call(4, run="old", host="elsewhere"),
        ]
    )
    assert await store.mark_broken_off("here", ["living"]) == 1
    assert await found(store, status="broken_off") == ["CA1"]
    await store.write([call(1, seq=2, run="old", status="ended")])  # its last state had waited
    assert await found(store, status="broken_off") == []


async def test_what_is_deleted_is_nowhere(store: Store, database: Database) -> None:
    told = Act(1, "Ann", "say", {"text": "Rumpelstiltskin"})
    await store.write([call(number, transcript=said("Rumpelstiltskin"), acts=(told,)) for number in (1, 2)])
    [row] = await store.get("CA1")
    await store.delete([row["id"]])
    assert await found(store, q="rumpelstiltskin") == ["CA2"]
    await store.delete([(await store.get("CA2"))[0]["id"]])
    await store.forget()
    async with database.reading() as connection:
        for table in (calls, call_texts, call_terms, call_acts):
            assert (await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar() == 0
    if database.path:
        for path in database.path.parent.iterdir():
            assert b"umpelstiltskin" not in path.read_bytes(), path


async def test_of_many_deleted_calls_nothing_is_left_in_the_file(database: Database) -> None:
    """Pages are split, merged and freed on the way."""
    if not database.path:
        pytest.skip("PostgreSQL's files are its own")
    store, chosen = Store(database), random.Random(5)
    words = [f"word{number:04d}" for number in range(300)]
    kept = said("kept " * 30)
    secret = [
        call(number, transcript=said("topsecret " + " ".join(chosen.choices(words, k=60))))
        for number in range(0, 200, 2)
    ]
    await store.write([*secret, *(call(number, transcript=kept) for number in range(1, 200, 2))])
    for record in secret:
        await store.delete([record.id])
    await store.forget()
    for path in database.path.parent.iterdir():
        data = path.read_bytes()
        assert b"topsecret" not in data, path
        assert b"word0" not in data, path
    assert len(await found(store, q="kept", limit="200")) == 100


async def test_old_calls_are_found_the_oldest_first(store: Store) -> None:
    await store.write([call(number, status="ended") for number in (3, 1, 2)] + [call(4), call(5, host="elsewhere")])
    limit = call(9).id
    assert [row["call"] for row in await store.older("here", limit, 2)] == ["CA1", "CA2"]
    assert [row["call"] for row in await store.older("here", call(2).id, 9)] == ["CA1"]


def test_any_order_and_any_batches_of_states_end_in_the_newest(tmp_path: Path) -> None:
    """On one SQLite; both databases are given the same statement."""
    rounds = itertools.count()

    @settings(max_examples=40)
    @given(st.lists(states, min_size=1, max_size=12, unique_by=lambda state: (state.id, state.seq)), st.data())
    def example(written: list[CallRecord], data: st.DataObject) -> None:
        own = next(rounds) * 100 * 2**21  # so that examples have no call in common
        shuffled = [
            msgspec.structs.replace(record, id=record.id + own) for record in data.draw(st.permutations(written))
        ]
        newest: dict[int, CallRecord] = {}
        for record in sorted(shuffled, key=lambda record: record.seq):
            newest[record.id] = record
        while shuffled:
            count = data.draw(st.integers(1, len(shuffled)))
            batch, shuffled = shuffled[:count], shuffled[count:]
            runner.run(store.write(batch))
        for number, record in newest.items():
            [row] = runner.run(store.get(number))
            assert {name: row[name] for name in FIELDS} == {name: getattr(record, name) for name in FIELDS}
            assert row["transcript"] == _list(record.transcript)

    with asyncio.Runner() as runner:
        database = Database("", tmp_path)
        store = Store(database)
        runner.run(database.migrate())
        try:
            example()
        finally:
            runner.run(database.close())
