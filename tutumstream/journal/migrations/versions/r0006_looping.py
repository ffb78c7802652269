"""Which containers were last known to be in a crash loop."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it. The end of a loop that was told before is found by the next change of its container, as until now."""
    op.add_column("states", sa.Column("looping", sa.Integer, nullable=False, server_default="0"))
