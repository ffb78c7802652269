"""Last known states of the platform's objects, and until when they are complete."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what a gap is compared with. What was told before is not looked at again: the next listing is the first."""
    op.create_table(
        "states",
        sa.Column("uri", sa.Text, primary_key=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("parents", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "watches",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("complete_until", sa.Float),
    )
