"""The journal on disk: SQLite through SQLAlchemy, one connection in one thread.

One connection, because SQLite before 3.51.3 can damage a write-ahead log that two of them write
(https://www.sqlite.org/wal.html#walresetbug); so every change has its place in one order, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike, fspath
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from tutumstream.errors import JournalError
from tutumstream.event import Event, Malformed
from tutumstream.journal import reads, recording, watching, writes
from tutumstream.journal.interface import (
    OPENS_SECONDS,
    DeadLetter,
    Health,
    IJournal,
    Limits,
    Opened,
    OpenIncident,
    Pending,
    Postponement,
    Pruned,
    Standing,
    Told,
)
from tutumstream.journal.objects import ObjectState, Watch
from tutumstream.journal.opening import OpenFile, file_of, open_file
from tutumstream.journal.pruning import bury_overflow, forget_history, give_back
from tutumstream.journal.session import Happened, Session
from tutumstream.journal.trouble import in_words
from tutumstream.journal.worker import Worker
from tutumstream.journal.writes import Write
from tutumstream.routing.delivery import Delivery

T = TypeVar("T")

_NOT_OPEN: Final = "is not open"


@implementer(IJournal)
class SqlJournal:
    """Remembers across restarts, kills and power cuts.

    Args:
        place: path of the file, or `sqlite:///FILE`; its folder is made where it is missing. A lock and SQLite's own
            files live beside it, and copies of older forms.
        worker: runs all SQL; a `ThreadWorker` in the service.
        clock: for the pause between tries while the disk refuses.
    """

    log = Logger()

    def __init__(self, place: str | PathLike[str], worker: Worker, clock: IReactorTime) -> None:
        self._place = fspath(place)
        self._worker = worker
        self._clock = clock
        self._session: Session | None = None

    @property
    def health(self) -> Health:
        """How it is right now."""
        if self._session is None:
            return Health(_NOT_OPEN)
        health = self._session.group.health
        return health if not health.ok else replace(health, problem=self._session.watch.problem)

    def open(self) -> Deferred[None]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._open())

    def close(self) -> Deferred[None]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._close())

    def record(self, event: Event, deliveries: Sequence[Delivery]) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        return self._recording(lambda session: session.record(event, deliveries))

    def record_all(self, happened: Sequence[Happened]) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        return self._recording(lambda session: session.record_all(happened))

    def watch(self, source: str) -> Deferred[Watch]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._in_turn(partial(watching.begin, source=source)))

    def watched(self, until: float) -> Deferred[None]:
        """See `IJournal`."""
        return self._ask(recording.completing(until))

    def states(self) -> Deferred[list[ObjectState]]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._in_turn(watching.known))

    def catch_up(self, told: Sequence[Happened], found: Sequence[ObjectState], until: float) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        return self._recording(lambda session: session.catch_up(told, found, until))

    def keep(self, malformed: Malformed) -> Deferred[None]:
        """See `IJournal`."""
        return self._ask(writes.keeping(malformed))

    def settle(self, rows: Sequence[Pending], at: float) -> Deferred[None]:
        """See `IJournal`."""
        return self._ask(writes.settling(rows, at))

    def drop(self, rows: Sequence[Pending], note: str, at: float) -> Deferred[None]:
        """See `IJournal`."""
        return self._ask(writes.dropping(rows, note, at))

    def postpone(self, postponements: Sequence[Postponement]) -> Deferred[None]:
        """See `IJournal`."""
        return self._ask(writes.postponing(postponements))

    def bury(self, dead: Sequence[DeadLetter]) -> Deferred[None]:
        """See `IJournal`."""
        return self._ask(writes.burying(dead))

    def pending(self, destination: str, after: int, limit: int, urgent: bool = False) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._pending(destination, after, limit, urgent))

    def dead_letters(self, limit: int, before: int | None = None) -> Deferred[list[DeadLetter]]:
        """See `IJournal`. The event of one whose body can't be read is of type `unreadable`."""
        return Deferred.fromCoroutine(self._read(partial(reads.newest_dead_letters, limit=limit, before=before)))

    def dead_letters_named(self, ids: Sequence[str]) -> Deferred[list[DeadLetter]]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._read(partial(reads.dead_letters_named, ids=ids)))

    def revive(self, seqs: Sequence[int], at: float) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._revive(seqs, at))

    def forget(self, seqs: Sequence[int]) -> Deferred[int]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._forget(seqs))

    def stand(self, destination: str, standing: Standing) -> Deferred[None]:
        """See `IJournal`."""
        return self._ask(writes.standing(destination, standing))

    def standings(self) -> Deferred[dict[str, Standing]]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._read(reads.how_they_stood))

    def open_incidents(self) -> Deferred[list[OpenIncident]]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._read(reads.still_open))

    def recent_opens(self) -> Deferred[list[Opened]]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._read(reads.opened_lately))

    def prune(self, now: float, limits: Limits) -> Deferred[Pruned]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._prune(now, limits))

    def malformed(self, limit: int) -> Deferred[list[Malformed]]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._read(partial(reads.newest_malformed, limit=limit)))

    def history(self, limit: int) -> Deferred[list[Told]]:
        """See `IJournal`. An event whose body can't be read is of type `unreadable`."""
        return Deferred.fromCoroutine(self._read(partial(reads.newest_events, limit=limit)))

    def destinations(self) -> Deferred[dict[str, int]]:
        """See `IJournal`."""
        return Deferred.fromCoroutine(self._read(reads.backlogs))

    async def _open(self) -> None:
        if self._session is not None:
            return
        url = file_of(self._place)
        self._worker.start()
        try:
            file = await self._worker.run(partial(open_file, url))
        except BaseException:
            self._worker.stop()
            raise
        self._session = Session(file, self._worker, self._clock)

    async def _close(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        session.watch.stop()
        await session.group.drain()
        try:
            await self._rescue(session.file)
            await self._worker.run(session.file.close)
        finally:
            self._worker.stop()

    async def _rescue(self, file: OpenFile) -> None:
        """Where somebody took the file away, not all is lost as long as we have it."""
        try:
            copy = await self._worker.run(file.rescue)
        except Exception as problem:
            words = in_words(problem)
            self.log.error("Journal {place} was taken away and {problem}: it is lost", place=file.path, problem=words)
        else:
            if copy is not None:
                self.log.error("Journal {place} was taken away; {copy} is what was in it", place=file.path, copy=copy)

    def _recording(self, record: Callable[[Session], Deferred[list[Pending]]]) -> Deferred[list[Pending]]:
        if self._session is None:
            return self._refuse(_NOT_OPEN)
        try:
            return record(self._session)
        except ValueError as problem:
            return self._refuse(str(problem))

    def _ask(self, write: Write) -> Deferred[None]:
        if self._session is None:
            return self._refuse(_NOT_OPEN)
        return self._session.group.ask(write)

    async def _read(self, read: Callable[[Connection], T]) -> T:
        return await self._run(partial(_in_transaction, read=read))

    async def _in_turn(self, read: Callable[[Connection], T]) -> T:
        """After all that was asked for before, as a change would be."""
        answers: list[T] = []
        await self._ask(recording.asking(read, answers))
        return answers[0]

    async def _run(self, work: Callable[[Connection], T]) -> T:
        """In the worker, between two groups."""
        if self._session is None:
            raise JournalError(self._place, _NOT_OPEN)
        connection = self._session.file.connection
        try:
            return await self._worker.run(partial(work, connection))
        except CancelledError:
            raise
        except Exception as problem:
            raise JournalError(self._place, in_words(problem)) from problem

    async def _revive(self, seqs: Sequence[int], at: float) -> list[Pending]:
        revived: list[int] = []
        await self._ask(writes.reviving(seqs, at, revived))
        if self._session is not None:
            self._session.pending_again(len(revived))
        return await self._read(partial(reads.revived, seqs=revived))

    async def _forget(self, seqs: Sequence[int]) -> int:
        forgotten: list[int] = []
        await self._ask(writes.forgetting(seqs, forgotten))
        return sum(forgotten)

    async def _prune(self, now: float, limits: Limits) -> Pruned:
        await self._ask(writes.forgetting_opens(now - OPENS_SECONDS))
        forgotten = await forget_history(self._ask, now, limits)
        await self._ask(Write(act=partial(watching.forget_terminated, before=now - limits.history_seconds)))
        while await self._run(partial(give_back, room=limits.room)):
            pass
        session = self._session
        if session is None or session.most_pending <= limits.pending_rows:
            return Pruned(forgotten, 0)
        asked_at = session.delivery_seq
        backlogs = await self._read(reads.backlogs)
        session.counted(sum(backlogs.values()), asked_at)
        return Pruned(forgotten, await bury_overflow(self._ask, backlogs, now, limits))

    async def _pending(self, destination: str, after: int, limit: int, urgent: bool) -> list[Pending]:
        """Read a window. Rows that can't be read are buried first, so that there is no more where fewer come."""
        read = partial(reads.pending, destination=destination, after=after, limit=limit, urgent=urgent)
        while True:
            rows, damaged = await self._read(read)
            if not damaged:
                return rows
            for row in damaged:
                self.log.error("Delivery {id} is given up: its event {why}", id=row.id, why=row.event.message)
            now = self._clock.seconds()
            await self.bury([DeadLetter(row, "bug", f"its event {row.event.message}", "", now) for row in damaged])

    def _refuse(self, problem: str) -> Deferred[Any]:
        return fail(JournalError(self._place, problem))


def _in_transaction(connection: Connection, read: Callable[[Connection], T]) -> T:
    with connection.begin():
        return read(connection)
