"""The service with another journal, to tell what the journal costs: `python benchmarks/variants.py NAME`.

* `volatile`: it writes nothing down. Events wait for their group all the same, and deliveries are settled.
* `apart`: its large groups are written by a process of its own, which shares no interpreter lock with the reactor.
* `inline`: it works in the reactor's own thread, between two turns, where a slow disk would hold up everything.

None of them is fit for use. `service.py --peer 'python benchmarks/variants.py NAME'` compares one with the service.
"""

import gc
import os
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from tempfile import mkdtemp
from typing import Any, Final, NoReturn, TypeVar

import msgspec
from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.scripts import twistd

from tutumstream import assembly
from tutumstream.event import Event
from tutumstream.journal import opening, writes
from tutumstream.journal.worker import InlineWorker
from tutumstream.journal.writes import Write

T = TypeVar("T")

SMALL: Final = 3
"""Rows in a group that is written as ever, or the service would not start."""

Sent = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], list[Event], list[tuple[int, list[tuple[Any, ...]]]]]
"""A group on its way to the other process: new events, deliveries, facts, and changes with their rows."""

written = writes.commit


def is_small(group: Sequence[Write]) -> bool:
    """Whether it is part of the start or the end, and no storm."""
    return sum(len(write.events) + len(write.rows) for write in group) <= SMALL


def volatile(_state: str) -> None:
    """Say that it is done."""

    def commit(connection: Connection, group: Sequence[Write]) -> list[writes.Outcome]:
        return written(connection, group) if is_small(group) else [None] * len(group)

    writes.commit = commit


def apart(state: str) -> None:
    """Let another process do it."""
    ours, theirs = socket.socketpair()
    encode = msgspec.msgpack.Encoder().encode
    changes = (writes._SETTLE, writes._SETTLE_INCIDENTS, writes._DROP, writes._POSTPONE, writes._BURY)
    if os.fork() == 0:
        ours.close()
        serve(theirs, f"{state}/journal.sqlite3", changes)
    theirs.close()

    def commit(connection: Connection, group: Sequence[Write]) -> list[writes.Outcome]:
        if is_small(group) or any(write.act or write.malformed for write in group):
            return written(connection, group)
        data = encode(
            (
                [row for write in group for row in write.events],
                [row for write in group for row in write.deliveries],
                [fact for write in group for fact in write.facts],
                [(changes.index(write.change), write.rows) for write in group if write.change],
            )
        )
        ours.sendall(struct.pack("!I", len(data)) + data)
        ours.recv(1)
        return [None] * len(group)

    writes.commit = commit


def serve(reactor: socket.socket, place: str, changes: Sequence[Any]) -> NoReturn:
    """Write groups down until nobody sends any more: into the journal's own file, which the service reads from."""
    gc.freeze()
    decode = msgspec.msgpack.Decoder(Sent).decode
    connection: Connection | None = None
    with reactor.makefile("rb") as stream:
        while head := stream.read(4):
            events, deliveries, facts, changed = decode(stream.read(*struct.unpack("!I", head)))
            if connection is None:
                connection = opening._engine(opening.file_of(place)).connect()
                for pragma in opening._PRAGMAS:
                    opening.driver(connection).execute(f"PRAGMA {pragma}")
            group = [Write(events=events, deliveries=deliveries, facts=facts)]
            group += [Write(change=changes[number], rows=rows) for number, rows in changed]
            written(connection, group)
            reactor.send(b"+")
    os._exit(0)


def inline(_state: str) -> None:
    """Do it in the reactor's thread."""

    class Worker(InlineWorker):
        def run(self, work: Callable[[], T]) -> Deferred[T]:
            from twisted.internet import reactor

            return deferLater(reactor, 0.0, work)  # type: ignore[arg-type]

    assembly.ThreadWorker = lambda _reactor: Worker()  # type: ignore[assignment, misc]


VARIANTS: Final = {"volatile": volatile, "apart": apart, "inline": inline}


def main() -> None:
    """Run it as `service.py` runs the service."""
    state = mkdtemp()
    VARIANTS[sys.argv[1]](state)
    os.environ.update(
        TUTUM_USERNAME="benchmark",
        TUTUM_TOKEN="benchmark",
        TUTUM_STREAM_HOST=os.environ["STREAM"],
        TUTUM_REST_HOST="http://127.0.0.1:9",
        WEBHOOK_URL=os.environ["SINK"],
        TUTUMSTREAM_STATE_DIR=state,
        TUTUMSTREAM_LISTEN="none",
    )
    sys.argv = ["twistd", "-n", "--pidfile=", "tutumstream"]
    twistd.run()


if __name__ == "__main__":
    main()
