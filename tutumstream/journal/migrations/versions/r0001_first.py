"""Events, deliveries, dead letters, and messages that are no events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first form of the journal."""
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("caused", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("event_seq", sa.Integer, sa.ForeignKey("events.seq"), nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("route", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("ordering_key", sa.Text, nullable=False),
        sa.Column("incident_action", sa.Text),
        sa.Column("incident_key", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due", sa.Float, nullable=False, server_default="0"),
        sa.Column("last_reason", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("last_answer", sa.Text, nullable=False, server_default=sa.text("''")),
        sa.Column("settled_at", sa.Float),
    )
    op.create_index("ix_deliveries_event_seq", "deliveries", ["event_seq"])
    backlog = sa.text("settled_at IS NULL")
    op.create_index("pending", "deliveries", ["destination", "seq", "settled_at"], sqlite_where=backlog)
    op.create_table(
        "dead_letters",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("delivery_seq", sa.Integer, sa.ForeignKey("deliveries.seq"), nullable=False, unique=True),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("died_at", sa.Float, nullable=False),
    )
    op.create_table(
        "malformed",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("received_at", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
    )
