"""What an open journal counts and holds: seqs are given out here, in the order in which changes are asked for."""

from collections.abc import Sequence
from functools import partial
from itertools import chain

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tutumstream.event import Event
from tutumstream.journal import recording, writes
from tutumstream.journal.group import GroupCommit
from tutumstream.journal.interface import Pending, recorded
from tutumstream.journal.objects import ObjectState
from tutumstream.journal.opening import OpenFile
from tutumstream.journal.place_watch import PlaceWatch
from tutumstream.journal.worker import Worker
from tutumstream.journal.writes import Write
from tutumstream.routing.delivery import Delivery

Happened = tuple[Event, Sequence[Delivery]]
"""An event with everything it causes."""


class Session:
    """From one `open` to its `close`.

    Attributes:
        event_seq, delivery_seq: the last that were given out; nobody else writes, so they are counted here.
    """

    log = Logger()

    def __init__(self, file: OpenFile, worker: Worker, clock: IReactorTime) -> None:
        self.file = file
        self.event_seq = file.event_seq
        self.delivery_seq = file.delivery_seq
        self.group = GroupCommit[Write](str(file.path), partial(writes.commit, file.connection), worker, clock)
        self.watch = PlaceWatch(file.place, worker, clock)
        # Counting takes a walk over the backlog, so it is done only when so many might be pending.
        self._settled_at_least = 0

    @property
    def most_pending(self) -> int:
        """No more than these are pending; settled ones are only seen by the next count."""
        return self.delivery_seq - self._settled_at_least

    def counted(self, pending: int, delivery_seq: int) -> None:
        """So many were pending when the last delivery given out was at least this one."""
        self._settled_at_least = delivery_seq - pending

    def pending_again(self, revived: int) -> None:
        """So many were taken back from the dead letters."""
        self._settled_at_least -= revived

    def record(self, event: Event, deliveries: Sequence[Delivery]) -> Deferred[list[Pending]]:
        """Raises `ValueError` where the event can't be kept for what it is."""
        write, rows = self._recorded(event, deliveries)
        return self.group.ask(write, rows)

    def record_all(self, happened: Sequence[Happened]) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        writes, rows = list[Write](), list[list[Pending]]()
        for event, deliveries in happened:
            try:
                write, its = self._recorded(event, deliveries)
            except ValueError as problem:
                self.log.error("{problem}", problem=problem)
                continue
            writes.append(write)
            rows.append(its)
        return self.group.ask_all(writes, rows).addCallback(lambda kept: list(chain.from_iterable(kept)))

    def catch_up(self, told: Sequence[Happened], found: Sequence[ObjectState], until: float) -> Deferred[list[Pending]]:
        """Raises `ValueError` where one of the events can't be kept for what it is."""
        try:
            write = recording.catching_up(told, found, until, self.event_seq + 1, self.delivery_seq + 1)
        except ValueError as problem:
            raise ValueError(f"can't keep what was missed: {problem}") from problem
        rows: list[Pending] = []
        for event, deliveries in told:
            rows += recorded(event, deliveries, self.delivery_seq + len(rows) + 1)
        self.event_seq += len(told)
        self.delivery_seq += len(rows)
        return self.group.ask(write, rows)

    def _recorded(self, event: Event, deliveries: Sequence[Delivery]) -> tuple[Write, list[Pending]]:
        first = self.delivery_seq + 1
        try:
            write = recording.recording(event, deliveries, self.event_seq + 1, first)
        except ValueError as problem:
            raise ValueError(f"can't keep event {event.id}: {problem}") from problem
        self.event_seq += 1
        self.delivery_seq += len(deliveries)
        return write, recorded(event, deliveries, first)
