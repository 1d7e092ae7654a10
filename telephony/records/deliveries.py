"""Deliveries as they are shown and named: `after-` and the call's id."""

from datetime import UTC, datetime
from typing import Any

from telephony.records import call_id
from telephony.records.outbox import Delivery

PREFIX = "after-"


def delivery_id(number: int) -> str:
    """The id of the delivery of this call; the same however often it is sent."""
    return f"{PREFIX}{call_id.show(number)}"


def call_of(text: str) -> int | None:
    """The call of a delivery's id, or of its own; None if it is none of these."""
    return call_id.parse(text.removeprefix(PREFIX))


def shown(delivery: Delivery) -> dict[str, Any]:
    """A delivery for an operator: times in ISO 8601, UTC. What the caller has said is not among it."""
    return {
        "id": delivery_id(delivery.id),
        "call": call_id.show(delivery.id),
        "event": "after_call",
        "status": delivery.status,
        "attempts": delivery.attempts,
        "created": _iso(delivery.created),
        "tried": _iso(delivery.tried),
        "due": _iso(delivery.due) if delivery.status == "pending" else None,
        "answer": delivery.answer,
        "error": delivery.error,
    }


def _iso(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
