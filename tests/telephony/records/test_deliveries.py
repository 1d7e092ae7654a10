"""Deliveries as they are named and shown."""

from hypothesis import given
from hypothesis import strategies as st

from telephony.records.call_id import show
from telephony.records.deliveries import call_of, delivery_id, shown
from telephony.records.outbox import Delivery


@given(st.integers(0, 2**63 - 1))
def test_ids_of_deliveries_lead_to_their_calls(number: int) -> None:
    assert call_of(delivery_id(number)) == call_of(show(number)) == number


@given(st.text())
def test_anything_else_leads_nowhere(text: str) -> None:
    number = call_of(text)
    assert number is None or show(number) in text


def test_what_is_shown_holds_nothing_that_was_said() -> None:
    delivery = Delivery(5, "here", "pending", {"day": "Monday"}, 0, 1000, 1, 500, 503, "503: an error")
    assert shown(delivery) == {
        "id": "after-0000000000000005",
        "call": "0000000000000005",
        "event": "after_call",
        "status": "pending",
        "attempts": 1,
        "created": "1970-01-01T00:00:00.000+00:00",
        "tried": "1970-01-01T00:00:00.500+00:00",
        "due": "1970-01-01T00:00:01.000+00:00",
        "answer": 503,
        "error": "503: an error",
    }
