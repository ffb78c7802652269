"""When incidents were opened lately, dead letters by id, standings that others were told of, one form of an index."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is remembered since then."""
    op.create_table(
        "opens",
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.add_column("standings", sa.Column("told", sa.Integer, nullable=False, server_default="0"))
    op.execute("UPDATE standings SET told = 1 WHERE kind = 'held'")
    op.add_column("dead_letters", sa.Column("id", sa.Text, nullable=False, server_default=sa.text("''")))
    op.execute(
        "UPDATE dead_letters SET id = (SELECT events.id || '-' || deliveries.ordinal FROM deliveries"
        " JOIN events ON events.seq = deliveries.event_seq WHERE deliveries.seq = delivery_seq)"
    )
    op.create_index("ix_dead_letters_id", "dead_letters", ["id"])
    # The first journals of revision 0002 have it without `urgent`, and SQLite passes it over then.
    op.drop_index("urgent", "deliveries")
    urgent = sa.text("settled_at IS NULL AND urgent = 1")
    op.create_index("urgent", "deliveries", ["destination", "urgent", "seq"], sqlite_where=urgent)
