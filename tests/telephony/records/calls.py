"""Calls on record for tests."""

from typing import Any

from hypothesis import strategies as st

from telephony.records.call_id import first_id
from telephony.records.call_record import CallRecord, Turn
from telephony.records.text import clean

DAY_MS = 86_400_000
MORNING_MS = 1_777_600_800_000  # 2026-05-01, 02:00 UTC
# What strangers may send: control characters, NULs, lone surrogates, formulas, markup, quotes, text from right to left.
NASTY = (
    "\x00\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\t'\"; DROP TABLE calls; --<script>alert(1)</script>=1+1 %s {0} "
    "\ud800\udfff\u202e\u2028../../etc/passwd"
)

any_text = st.text(st.characters(exclude_categories=()), max_size=40)
clean_text = any_text.map(clean)


def call(number: int = 1, seq: int = 1, **fields: Any) -> CallRecord:
    """The call that began `number` ms after the morning."""
    at_ms = MORNING_MS + number
    usual = {"host": "here", "run": "run", "call": f"CA{number}", "line": "twilio", "agent": "desk", "started": at_ms}
    return CallRecord(**({"id": first_id(at_ms), "seq": seq} | usual | fields))


def said(*texts: str) -> tuple[Turn, ...]:
    """The caller's turns."""
    return tuple(Turn("caller", text, 1000 * at) for at, text in enumerate(texts))


states = st.builds(
    call,
    st.integers(1, 5),
    st.integers(1, 9),
    status=st.sampled_from(["active", "ended"]),
    reason=clean_text,
    caller_name=clean_text,
    transcript=st.lists(clean_text, max_size=3).map(lambda texts: said(*texts)),
)
