"""Calls of ours that are not answered."""

import pytest

from config.parties import Numbers
from telephony.lines.outbound_call import OutboundCall
from telephony.records.dialled import dialling, not_answered


@pytest.mark.parametrize(
    ("numbers", "called"),
    [("full", "sip:robert@example.com"), ("masked", "sip:******@example.com"), ("off", "")],
)
def test_the_number_is_kept_as_far_as_the_setting_allows(numbers: Numbers, called: str) -> None:
    call = OutboundCall("abc", "sip:robert@example.com", "desk", "acme")
    record = dialling(call, numbers, 1000, id=7, host="here", run="run")
    assert (record.called, record.call, record.trunk, record.direction) == (called, "abc", "acme", "outbound")


@pytest.mark.parametrize(
    ("state", "status", "reason", "ended_by", "why"),
    [
        ("busy", 486, "Busy \x00Here", "called", "486 Busy \ufffdHere"),
        ("cancelled", 0, "", "operator", "cancelled"),
        ("failed", 0, "no route", "line", "no route"),
    ],
)
def test_the_last_state_says_why(state: str, status: int, reason: str, ended_by: str, why: str) -> None:
    call = OutboundCall("abc", "sip:bob@example.com", "desk", "")
    begun = dialling(call, "full", 1000, id=7, host="here", run="run")
    call.state, call.status, call.reason = state, status, reason
    ended = not_answered(begun, call, 5000)
    assert (ended.seq, ended.status, ended.outcome, ended.ended_by) == (2, "ended", state, ended_by)
    assert (ended.reason, ended.started, ended.answered, ended.ended) == (why, 1000, None, 5000)
