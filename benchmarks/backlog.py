"""What a long backlog costs: `python benchmarks/backlog.py [--rows N] [--drain N]`.

A journal with `--rows` deliveries to a webhook that wait, as a long outage leaves it. The service as a user starts it
opens it and drains it into the sink of `service.py`. Printed: seconds from the start of the process to its connection
to the stream, and to the first POST; deliveries a second from the first POST on, over the first `--drain` of them and
over the last; CPU time a delivery; and the most memory that the process ever had.
"""

import argparse
import sqlite3
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from parts import Part, cpu, peak
from service import running, service
from twisted.internet.task import Clock

from tutumstream.event import Event
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.worker import InlineWorker
from tutumstream.routing.delivery import Delivery

ZERO = f"{0:08x}-0000-0000-0000-{0:012x}"

PATIENCE = 3600
"""Seconds that the whole may last."""

COPY = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows - 1)
INSERT INTO {table} ({names}) SELECT {values} FROM numbers, {table} WHERE {table}.seq = 1
"""


def fill(file: Path, rows: int) -> None:
    """So many events of as many containers, with one delivery each: one as it is recorded, and copies of it."""
    journal = SqlJournal(file, InlineWorker(), Clock())
    journal.open()
    uri = f"/api/v1/container/{ZERO}/"
    parents = tuple(f"/api/v1/{kind}/{ZERO}/" for kind in ("service", "node", "stack", "nodecluster"))
    event = Event(
        id="01JZ0000000000000000000000",
        received_at=time.time(),
        type="container",
        action="update",
        state="Running",
        resource_uri=uri,
        parents=parents,
    )
    journal.record(event, [Delivery("webhook", "webhook", "every event", uri)])
    journal.close()
    with sqlite3.connect(file) as disk:
        disk.execute("PRAGMA synchronous=OFF")
        another = {
            "seq": "n + 1",
            "event_seq": "n + 1",
            "id": "printf('01JZ%022d', n)",
            "body": f"replace(replace(body, '{event.id}', printf('01JZ%022d', n)), '{uri}', {_uri('n')})",
            "ordering_key": _uri("n"),
        }
        for table in ("events", "deliveries"):
            names = [row[1] for row in disk.execute(f"PRAGMA table_info({table})")]
            values = [another.get(name, name) for name in names]
            disk.execute(COPY.format(table=table, names=", ".join(names), values=", ".join(values)), {"rows": rows})
    disk.close()


def _uri(number: str) -> str:
    """The URI of the container with this number, in SQL; `sink.py` reads the number from it."""
    return f"printf('/api/v1/container/00000000-0000-0000-0000-%012x/', {number})"


def main() -> None:
    """See above."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--drain", type=int, default=20_000)
    asked.add_argument("--part", action="store_true", help="stop when the first --drain of them have arrived")
    asked.add_argument("--folder", help="where the journal is made; its disk counts")
    given = asked.parse_args()
    with TemporaryDirectory(dir=given.folder) as state:
        file = Path(state) / "journal.sqlite3"
        fill(file, given.rows)
        print(f"{given.rows:,} deliveries wait in {file.stat().st_size / 2**20:,.0f} MiB")
        drain(state, given)


def drain(state: str, given: argparse.Namespace) -> None:
    """Start the service on it, and print."""
    source, sink = Part("source.py"), Part("sink.py")
    begun = time.monotonic()
    with running(service(), state, source, sink) as process:
        first = sink.ask("wait", 1, 60)["last"]
        source.ask("connected")
        connected = time.monotonic()
        print(f"start: {first - begun:.2f} s to the first POST, {connected - begun:.2f} s until connected")
        at = sink.ask("wait", given.drain, PATIENCE)
        used = cpu(process.pid)
        print(f"the first {given.drain:,}: {given.drain / (at['last'] - first):,.0f}/s, {peak(process.pid):.0f} MiB")
        if given.part:
            return
        sink.ask("wait", given.rows - given.drain, PATIENCE)
        middle = sink.ask("wait", given.rows - given.drain, 1)["last"]
        end = sink.ask("wait", given.rows, PATIENCE)["last"]
        used = (cpu(process.pid) - used) / (given.rows - given.drain) * 1e6
        print(f"the last {given.drain:,}: {given.drain / max(end - middle, 1e-3):,.0f}/s, {peak(process.pid):.0f} MiB")
        print(f"all: {given.rows / (end - first):,.0f}/s, {used:.0f} µs CPU a delivery, {sink.ask('again')} twice")


if __name__ == "__main__":
    main()
