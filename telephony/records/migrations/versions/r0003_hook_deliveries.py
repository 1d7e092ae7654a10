"""The outbox of hooks.after_call."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "hook_deliveries",
        sa.Column("id", ID, primary_key=True, autoincrement=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("tried", sa.BigInteger),
        sa.Column("answer", sa.Integer),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_index("hook_deliveries_due", "hook_deliveries", ["status", "host", "due"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("hook_deliveries")
