"""The service with a journal that writes nothing down in a storm, to tell what the journal costs.

Everything else is as it is: events wait for their group, and deliveries are settled. Groups of up to `SMALL` rows are
written, or the service would not start. `service.py --peer 'python benchmarks/volatile.py'` runs it.
"""

import os
import sys
from collections.abc import Sequence
from tempfile import mkdtemp

from sqlalchemy import Connection
from twisted.scripts import twistd

from tutumstream.journal import writes

SMALL = 3

written = writes.commit


def commit(connection: Connection, group: Sequence[writes.Write]) -> list[writes.Outcome]:
    """Say that it is done."""
    if sum(len(write.events) + len(write.rows) for write in group) <= SMALL:
        return written(connection, group)
    return [None] * len(group)


def main() -> None:
    """Run it as `service.py` runs the service."""
    writes.commit = commit
    os.environ.update(
        TUTUM_USERNAME="benchmark",
        TUTUM_TOKEN="benchmark",
        TUTUM_STREAM_HOST=os.environ["STREAM"],
        TUTUM_REST_HOST="http://127.0.0.1:9",
        WEBHOOK_URL=os.environ["SINK"],
        TUTUMSTREAM_STATE_DIR=mkdtemp(),
        TUTUMSTREAM_LISTEN="none",
    )
    sys.argv = ["twistd", "-n", "--pidfile=", "tutumstream"]
    twistd.run()


if __name__ == "__main__":
    main()
