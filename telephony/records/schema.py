"""The tables. `migrations/` makes them; a test holds the two equal."""

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

# SQLite's key of a table without an index of its own is an INTEGER, which has 64 bits there.
Id: TypeEngine[int] = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

metadata = sa.MetaData()

calls = sa.Table(
    "calls",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("call", sa.Text, nullable=False),
    sa.Column("carrier_id", sa.Text, nullable=False),
    sa.Column("line", sa.Text, nullable=False),
    sa.Column("trunk", sa.Text, nullable=False),
    sa.Column("direction", sa.Text, nullable=False),
    sa.Column("caller", sa.Text, nullable=False),
    sa.Column("called", sa.Text, nullable=False),
    sa.Column("caller_name", sa.Text, nullable=False),
    sa.Column("forwarded_from", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("answered", sa.BigInteger),
    sa.Column("ended", sa.BigInteger),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("ended_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("transfer", sa.Text, nullable=False),
    sa.Column("turns", sa.Integer, nullable=False),
    sa.Column("barge_ins", sa.Integer, nullable=False),
    sa.Column("resumes", sa.Integer, nullable=False),
    sa.Column("replies_failed", sa.Integer, nullable=False),
    sa.Column("latency_p50", sa.Integer),
    sa.Column("latency_p95", sa.Integer),
    sa.Column("latency_max", sa.Integer),
    sa.Column("latency_worst_turn", sa.Integer),
    sa.Column("media_ms", sa.BigInteger, nullable=False),
    sa.Column("frames", sa.BigInteger, nullable=False),
    sa.Column("frames_late", sa.BigInteger, nullable=False),
    sa.Column("frames_damaged", sa.BigInteger, nullable=False),
    sa.Column("gaps", sa.BigInteger, nullable=False),
    sa.Column("gap_ms", sa.BigInteger, nullable=False),
    sa.Column("loss", sa.Float, nullable=False),
    sa.Column("underruns", sa.BigInteger, nullable=False),
    sa.Column("tape", sa.Text, nullable=False),
    sa.Column("recording", sa.Text, nullable=False),
    sa.Column("cost_micros", sa.BigInteger),
    sa.Column("cost_currency", sa.Text),
    sa.Index("calls_call", "call", "id"),
    sa.Index("calls_carrier_id", "carrier_id", "id"),
    sa.Index("calls_status", "status", "id"),
    sa.Index("calls_agent", "agent", "id"),
    sa.Index("calls_outcome", "outcome", "id"),
    sa.Index("calls_ended_by", "ended_by", "id"),
    sa.Index("calls_caller", "caller", "id"),
    sa.Index("calls_called", "called", "id"),
)

# What people said is long: apart from the rest, it is not read where calls are only listed.
call_texts = sa.Table(
    "call_texts",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=False),
    sa.Column("transcript", sa.JSON, nullable=False),
    sa.Column("tools", sa.JSON, nullable=False),
)

# What hooks.after_call is to be told of calls, and was told: see outbox.py.
hook_deliveries = sa.Table(
    "hook_deliveries",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("fields", sa.JSON, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("tried", sa.BigInteger),
    sa.Column("answer", sa.Integer),
    sa.Column("error", sa.Text, nullable=False),
    sa.Index("hook_deliveries_due", "status", "host", "due"),
)

# A row for each act of an operator, in the order of `seq`.
call_acts = sa.Table(
    "call_acts",
    metadata,
    sa.Column("id", Id, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("act", sa.Text, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
)

# An index of words that both databases have alike, and that forgets a call at once: full-text indices of SQLite keep
# deleted words until they are merged. See terms.py.
call_terms = sa.Table(
    "call_terms",
    metadata,
    sa.Column("term", Id, primary_key=True, autoincrement=False),
    sa.Column("id", Id, primary_key=True, autoincrement=False),
    sa.Index("call_terms_id", "id"),
    sqlite_with_rowid=False,
)
