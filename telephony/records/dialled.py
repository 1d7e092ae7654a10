"""The states of a call of ours until it is answered, which it may never be."""

from typing import Any

import msgspec

from config.parties import Numbers, Parties
from telephony.lines.outbound_call import OutboundCall
from telephony.records.call_record import CallRecord
from telephony.records.text import clean

# By an unanswered call's last state: who ended it.
ENDED_BY = {"busy": "called", "declined": "called", "unanswered": "called", "cancelled": "operator"}


def dialling(call: OutboundCall, numbers: Numbers, at_ms: int, **own: Any) -> CallRecord:
    """The first state of a call that begins at this Unix time in ms; `own` are its id, host and run."""
    return CallRecord(
        seq=1,
        call=call.id,
        carrier_id=call.id,
        line="sip",
        trunk=clean(call.trunk),
        direction="outbound",
        called=clean(Parties(called=call.to).known(numbers).called),
        agent=clean(call.agent),
        started=at_ms,
        updated=at_ms,
        **own,
    )


def not_answered(record: CallRecord, call: OutboundCall, at_ms: int) -> CallRecord:
    """The last state of one that nobody has answered."""
    status = f"{call.status} " if call.status else ""
    return msgspec.structs.replace(
        record,
        seq=record.seq + 1,
        status="ended",
        ended=at_ms,
        updated=at_ms,
        ended_by=ENDED_BY.get(call.state, "line"),
        reason=clean(f"{status}{call.reason}".strip() or call.state),
        outcome=call.state,
    )
