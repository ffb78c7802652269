"""Urgent deliveries, second lives, standings of destinations, open incidents."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the lanes remember since then."""
    op.add_column("deliveries", sa.Column("urgent", sa.Integer, nullable=False, server_default="0"))
    op.add_column("deliveries", sa.Column("born_at", sa.Float, nullable=False, server_default="0"))
    op.execute("UPDATE deliveries SET born_at = (SELECT received_at FROM events WHERE events.seq = event_seq)")
    # What acts on an incident is urgent; before, nothing said so.
    op.execute("UPDATE deliveries SET urgent = 1 WHERE incident_action IS NOT NULL")
    urgent = sa.text("settled_at IS NULL AND urgent = 1")
    op.create_index("urgent", "deliveries", ["destination", "urgent", "seq"], sqlite_where=urgent)
    op.create_table(
        "standings",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("since", sa.Float, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "incidents",
        sa.Column("destination", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Float, nullable=False),
    )
