"""The tables of the first version."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "calls",
        sa.Column("id", ID, primary_key=True, autoincrement=False),
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
    )
    op.create_table(
        "call_texts",
        sa.Column("id", ID, primary_key=True, autoincrement=False),
        sa.Column("transcript", sa.JSON, nullable=False),
        sa.Column("tools", sa.JSON, nullable=False),
    )
    op.create_table(
        "call_terms",
        sa.Column("term", ID, primary_key=True, autoincrement=False),
        sa.Column("id", ID, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("calls_call", "calls", ["call", "id"])
    op.create_index("calls_carrier_id", "calls", ["carrier_id", "id"])
    op.create_index("calls_status", "calls", ["status", "id"])
    op.create_index("calls_agent", "calls", ["agent", "id"])
    op.create_index("calls_outcome", "calls", ["outcome", "id"])
    op.create_index("calls_ended_by", "calls", ["ended_by", "id"])
    op.create_index("calls_caller", "calls", ["caller", "id"])
    op.create_index("calls_called", "calls", ["called", "id"])
    op.create_index("call_terms_id", "call_terms", ["id"])


def downgrade() -> None:
    """Drop them, and every call on record with them."""
    for table in ("call_terms", "call_texts", "calls"):
        op.drop_table(table)
