"""Calls on record for the console's tests."""

import time
from typing import Any

from telephony.records.call_id import first_id, show
from telephony.records.call_record import CallRecord
from telephony.server.app import App
from tests.telephony.records.calls import call
from tests.telephony.server.test_api import put

MINUTE_MS = 60_000


def lately(number: int = 1, **fields: Any) -> CallRecord:
    """A call of some minutes ago, each number another."""
    at_ms = round(1000 * time.time()) - number * 100
    return call(number, **({"id": first_id(at_ms), "started": at_ms, "status": "ended", "updated": at_ms} | fields))


async def store(app: App, *records: CallRecord) -> list[str]:
    """Have the server store them; returns their ids as they are shown."""
    await put(app, *records)
    return [show(record.id) for record in records]
