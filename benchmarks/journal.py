"""How fast events are recorded and settled, on disk and synced: `python benchmarks/journal.py [FOLDER]`.

In a steady storm each transaction holds n new events with one delivery each, and settles the n before; the events are
about 10,000 objects. Beside it, in the same run, a peer: Python's own sqlite3 making rows like these by `executemany`,
without any of the journal's promises and without the objects' last states.
The busy line has a second thread that computes without a pause, as a reactor does in the worst of storms; it varies
from run to run with how fast the system wakes a thread.
"""

import gc
import random
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event as Flag
from threading import Thread
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tutumstream.event import Event
from tutumstream.journal.interface import Pending
from tutumstream.journal.sql import SqlJournal
from tutumstream.routing.delivery import Delivery
from tutumstream.tap import YOUNG_OBJECTS

T = TypeVar("T")

OBJECTS = 10_000
"""Containers that the events are about, none again before all others: their last states fill a whole table."""

EVENTS = [
    Event(
        id="01JZ0000000000000000000000",
        received_at=1_700_000_000.123456,
        type="container",
        action="update",
        state="Running",
        resource_uri=f"/api/v1/container/{UUID(int=random.getrandbits(128), version=4)}/",
        parents=("/api/v1/service/5b8e6d6f-88f0-4d41-b2d2-fb2ad0de8e5b/",),
    )
    for _ in range(OBJECTS)
]
EVENT = EVENTS[0]
DELIVERY = Delivery("slack", "containers", 'event.type == "container"', EVENT.resource_uri)


class HeldWorker:
    """Runs what was asked for only when told to, so that groups have the size that is to be measured."""

    def __init__(self) -> None:
        self._held: deque[Callable[[], None]] = deque()

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Hold it."""
        done: Deferred[T] = Deferred()
        self._held.append(lambda: done.callback(work()))
        return done

    def release(self) -> None:
        """Run what is held now."""
        for run in [self._held.popleft() for _ in range(len(self._held))]:
            run()


def journal_of_ours(folder: Path, size: int) -> Iterator[None]:
    """Each step is one transaction with `size` new events and `size` settled."""
    worker = HeldWorker()
    journal = SqlJournal(folder / "ours.sqlite3", worker, Clock())
    journal.open()
    worker.release()
    for n, event in enumerate(EVENTS, 1):
        journal.record(event, [])
        if n % 100 == 0:
            worker.release()
    worker.release()
    waiting: deque[Pending] = deque()
    happens = cycle(EVENTS)
    while True:
        settled = [waiting.popleft() for _ in range(min(size, len(waiting)))]
        for n in range(size):
            journal.record(next(happens), [DELIVERY]).addCallback(waiting.extend)
            journal.settle(settled[n : n + 1], 1_700_000_001.5)
        worker.release()
        if journal.health.problem:
            raise SystemExit(journal.health.problem)
        if len(waiting) > 3 * size:
            raise SystemExit("less is settled than recorded")
        yield


def plain_sqlite(folder: Path, size: int) -> Iterator[None]:
    """The same rows, by hand."""
    connection = sqlite3.connect(folder / "peer.sqlite3", isolation_level=None, check_same_thread=False)
    connection.executescript(
        """
        PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;
        CREATE TABLE events (seq INTEGER PRIMARY KEY, id TEXT, received_at REAL, caused INTEGER, body TEXT);
        CREATE TABLE deliveries (seq INTEGER PRIMARY KEY, event_seq INTEGER REFERENCES events (seq), ordinal INTEGER,
            destination TEXT, route TEXT, reason TEXT, ordering_key TEXT, incident_action TEXT, incident_key TEXT,
            attempts INTEGER DEFAULT 0, due REAL DEFAULT 0, last_reason TEXT DEFAULT '', last_answer TEXT DEFAULT '',
            settled_at REAL);
        CREATE INDEX by_event ON deliveries (event_seq);
        CREATE INDEX pending ON deliveries (destination, seq) WHERE settled_at IS NULL;
        """
    )
    seq = 0
    told = (DELIVERY.destination, DELIVERY.route, DELIVERY.reason, DELIVERY.ordering_key, None, None)
    while True:
        seqs = range(seq + 1, seq + size + 1)
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
            [(n, EVENT.id, EVENT.received_at, 1, msgspec.json.encode(EVENT).decode()) for n in seqs],
        )
        connection.executemany(
            "INSERT INTO deliveries (seq, event_seq, ordinal, destination, route, reason, ordering_key,"
            " incident_action, incident_key) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?)",
            [(n, n, *told) for n in seqs],
        )
        connection.executemany(
            "UPDATE deliveries SET settled_at = ? WHERE seq = ? AND settled_at IS NULL",
            [(1_700_000_001.5, n - size) for n in seqs],
        )
        connection.execute("COMMIT")
        seq += size
        yield


@contextmanager
def busy_thread() -> Iterator[None]:
    """Somebody else who wants the interpreter all the time."""
    over = Flag()

    def compute() -> None:
        while not over.is_set():
            for _ in range(10_000):
                pass

    thread = Thread(target=compute, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def measure(make: Callable[[Path, int], Iterator[None]], size: int, steps: int) -> tuple[float, float]:
    """Events a second, and microseconds of CPU time an event."""
    with TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        run: Any = make(Path(folder), size)
        for _ in range(3):
            next(run)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            next(run)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        run.close()
    return size * steps / wall, cpu / (size * steps) * 1e6


def main() -> None:
    """Print the table."""
    # As in the service.
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 50, 50)
    print(f"SQLite {sqlite3.sqlite_version}, Python {sys.version.split()[0]}; an event is recorded and settled")
    print("group   ours: events/s  µs CPU   plain sqlite3: events/s  µs CPU   ratio")
    for size, steps in ((1, 500), (50, 200), (500, 60)):
        ours, ours_cpu = measure(journal_of_ours, size, steps)
        peer, peer_cpu = measure(plain_sqlite, size, steps)
        print(f"{size:5}   {ours:14,.0f}  {ours_cpu:6.1f}   {peer:23,.0f}  {peer_cpu:6.1f}   {ours / peer:5.2f}")
    with busy_thread():
        ours, _ = measure(journal_of_ours, 50, 20)
        peer, _ = measure(plain_sqlite, 50, 5)
    print(f" busy   {ours:14,.0f}           {peer:23,.0f}           {ours / peer:5.2f}   (groups of 50)")


if __name__ == "__main__":
    main()
