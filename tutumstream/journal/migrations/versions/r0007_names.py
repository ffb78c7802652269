"""What people call each object."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them. They are learned when the objects are next listed, at the start."""
    for name in ("name", "stack", "node"):
        op.add_column("states", sa.Column(name, sa.Text, nullable=False, server_default=""))
