"""Last known health of containers."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it. What is unhealthy after the next gap is told once more, as nobody knows whether it was told before."""
    op.add_column("states", sa.Column("health", sa.Text, nullable=False, server_default=""))
