"""Deliveries in a real SQLite and a real PostgreSQL: there exactly if the call's end is, claimed once, never lost."""

import time
from typing import Any

import pytest

from telephony.records.call_id import first_id
from telephony.records.database import Database
from telephony.records.outbox import LEASE_MS
from telephony.records.store import Store
from tests.telephony.records.calls import MORNING_MS, call

NOW = MORNING_MS + 1000


def over(number: int = 1, **fields: Any) -> Any:
    return call(number, **({"seq": 9, "status": "ended", "updated": MORNING_MS + number} | fields))


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database, hooked=True)


async def states(store: Store) -> list[tuple[str, int]]:
    found = [*await store.outbox.find("", None, 50), *await store.outbox.find("open", None, 50)]
    return [(each.status, each.attempts) for each in found]


async def test_a_delivery_is_ready_when_its_call_is_over(store: Store) -> None:
    await store.write([call(1, fields={"day": "Monday"})])
    assert await states(store) == [("open", 0)]
    assert await store.outbox.claim("here", NOW, 5) == []
    await store.write([over(fields={"day": "Friday"})])
    [claimed] = await store.outbox.claim("here", NOW, 5)
    assert (claimed.id, claimed.fields, claimed.attempts) == (first_id(MORNING_MS + 1), {"day": "Friday"}, 1)
    assert await store.get("CA1")


async def test_without_hooks_there_is_none(database: Database) -> None:
    store = Store(database)
    await store.write([call(1), over(2)])
    assert await states(store) == []


async def test_a_state_that_comes_again_changes_no_delivery(store: Store) -> None:
    await store.write([over()])
    [claimed] = await store.outbox.claim("here", NOW, 5)
    await store.outbox.settle(claimed, "delivered", due=NOW, answer=200, error="", costs={})
    await store.write([over(), call(1), over(seq=10)])
    assert await states(store) == [("delivered", 1)]


async def test_what_is_claimed_is_nobody_elses_until_its_lease_ends(store: Store) -> None:
    await store.write([over(number) for number in range(1, 5)])
    assert [each.created for each in await store.outbox.claim("here", NOW, 3)] == [MORNING_MS + n for n in (1, 2, 3)]
    assert len(await store.outbox.claim("here", NOW, 3)) == 1
    assert await store.outbox.claim("here", NOW + LEASE_MS - 1, 9) == []
    assert await store.outbox.claim("there", NOW + LEASE_MS, 9) == []
    assert [each.attempts for each in await store.outbox.claim("here", NOW + LEASE_MS, 9)] == [2, 2, 2, 2]


async def test_one_that_was_ordered_again_meanwhile_stays_ordered(store: Store) -> None:
    await store.write([over()])
    [claimed] = await store.outbox.claim("here", NOW, 5)
    assert await store.outbox.resend(claimed.id, NOW)
    await store.outbox.settle(claimed, "delivered", due=NOW, answer=200, error="", costs={})
    [again] = await store.outbox.claim("here", NOW, 5)
    assert again.status == "pending"


async def test_what_failed_says_why_and_comes_again(store: Store) -> None:
    await store.write([over()])
    [claimed] = await store.outbox.claim("here", NOW, 5)
    await store.outbox.settle(claimed, "pending", due=NOW + 5, answer=503, error="503: an error", costs={})
    assert await store.outbox.claim("here", NOW + 4, 5) == []
    [again] = await store.outbox.claim("here", NOW + 5, 5)
    assert (again.answer, again.error, again.attempts) == (503, "503: an error", 2)
    await store.outbox.settle(again, "failed", due=NOW, answer=None, error="gone", costs={})
    assert await store.outbox.claim("here", NOW + 10**12, 5) == []
    assert [each.error for each in await store.outbox.find("failed", None, 5)] == ["gone"]


async def test_costs_are_the_calls(store: Store) -> None:
    await store.write([over()])
    [claimed] = await store.outbox.claim("here", NOW, 5)
    costs = {"cost_micros": 5, "cost_currency": "EUR"}
    await store.outbox.settle(claimed, "delivered", due=NOW, answer=200, error="", costs=costs)
    [row] = await store.get("CA1")
    assert (row["cost_micros"], row["cost_currency"], row["status"]) == (5, "EUR", "ended")


async def test_calls_that_were_broken_off_are_told_too(store: Store) -> None:
    await store.write([call(1, fields={"day": "Monday"}), call(2, run="living"), over(3)])
    assert await store.mark_broken_off("here", ["living"]) == 1
    now_ms = round(1000 * time.time())
    claimed = await store.outbox.claim("here", now_ms + 1000, 9)
    assert [(each.id, each.fields) for each in claimed] == [
        (over(3).id, {}),
        (call(1).id, {"day": "Monday"}),
    ]


async def test_a_deleted_call_has_no_delivery(store: Store) -> None:
    await store.write([over(1), over(2)])
    [claimed] = await store.outbox.claim("here", NOW, 1)
    await store.delete([claimed.id])
    await store.outbox.settle(claimed, "delivered", due=NOW, answer=200, error="", costs={"cost_micros": 1})
    assert await states(store) == [("pending", 0)]
    assert not await store.outbox.resend(claimed.id, NOW)


async def test_pages(store: Store) -> None:
    await store.write([over(number) for number in range(1, 6)])
    page = await store.outbox.find("", None, 2)
    assert [each.created - MORNING_MS for each in page] == [5, 4, 3]
    assert [each.created - MORNING_MS for each in await store.outbox.find("pending", page[1].id, 9)] == [3, 2, 1]
    assert await store.outbox.find("failed", None, 9) == []
    assert not await store.outbox.resend(5, NOW)
