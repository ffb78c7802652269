"""One process from its start to its end: the real journal and the real lanes, and destinations that follow a script.

Whatever it does, it does one piece at a time, and it may die at any of them: then the files of that moment are all that
is left, and nothing of what the old objects still do is seen by anybody.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from sqlite3 import SQLITE_FULL, OperationalError
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.components import proxyForInterface

from tests.delivery.ledger import Ledger, Look
from tests.delivery.moods import DigestWitness, Outlet, ScriptedBugError
from tests.journal.workers import HeldWorker
from tutumstream.delivery.incidents import Incidents
from tutumstream.delivery.lane import Lane
from tutumstream.delivery.manners import Manners
from tutumstream.delivery.rate import Rate
from tutumstream.delivery.service import GRACE, Lanes
from tutumstream.event import Event
from tutumstream.journal.interface import DeadLetter, IJournal, Limits, Pending
from tutumstream.journal.sql import SqlJournal
from tutumstream.routing.delivery import Delivery
from tutumstream.routing.route import Route

NAME: Final = "journal.sqlite3"

MANNERS: Final = {
    "pager": Manners(at_once=3, in_memory=8),
    "chat": Manners(rate=Rate(0.1, burst=3), digests=True, in_memory=8),
    "index": Manners(at_once=2, in_memory=8),
}
"""The destinations, each in another shape; their lanes fall behind early."""

BATCHES: Final = {"pager": (1, 0.0), "chat": (1, 0.0), "index": (2, 0.5)}

ALL: Final = 100_000

Happened = Sequence[tuple[Event, Sequence[Delivery]]]


class Life:
    """Begins where the last one ended.

    Args:
        folder: of the journal.
        at: seconds since 1970.
        ledger: hears of everything that can be seen from outside.
        moods: of the destinations.

    Attributes:
        alive: until it dies.
        stopped: it was not killed.
        dies_in: so many moments before and after statements; 0 for never.
        left: the files at its death.
        look: what was on disk when it began.
    """

    def __init__(self, folder: Path, at: float, ledger: Ledger, moods: dict[str, str]) -> None:
        self.folder, self.ledger = folder, ledger
        self.alive, self.stopped = True, False
        self.left: dict[str, bytes] = {}
        self.dies_in = self._dies_at_try = self._fine = self._refused = 0
        self._taken_at_death = False
        self.clock = Clock()
        self.clock.advance(at)
        self.worker = HeldWorker()
        self.journal = SqlJournal(folder / NAME, self.worker, self.clock)
        self.outlets = {name: Outlet(name, moods, ledger, *BATCHES[name]) for name in MANNERS}
        self.lanes = self._make_lanes()

    def begin(self) -> None:
        """Start, as the service does. It may die on the way."""
        globalLogPublisher.addObserver(self._logged)
        self._answer(self.journal.open())
        self.look = self._look()
        starting = self.lanes.start()
        while not starting.called:
            self.worker.release()

    def _make_lanes(self) -> Lanes:
        incidents, lanes = Incidents(), []
        for name, outlet in self.outlets.items():
            outlet.hook = self._tries
            outlet.composer = DigestWitness(
                [Route("r", "true", (name,), "text")], name, outlet, lambda _: succeed(None)
            )
            lane = Lane(
                name,
                outlet,
                MANNERS[name],
                cast(IJournal, Witness(self)),
                outlet.composer,
                incidents,
                lambda *_: None,
                lambda *_: None,
                self.clock,
                self.clock.seconds,
                lambda: 0.5,
            )
            lanes.append(lane)
        return Lanes(lanes, self.journal, incidents, self.clock)

    def _answer(self, asked: Deferred[Any]) -> Any:
        """Let the worker work until it is there."""
        answers: list[Any] = []
        asked.addCallback(answers.append)
        self.worker.release_all()
        assert len(answers) == 1, asked
        return answers[0]

    def _look(self) -> Look:
        pending = [row.id for name in MANNERS for row in self._answer(self.journal.pending(name, 0, ALL))]
        dead = [letter.pending.id for letter in self._answer(self.journal.dead_letters(ALL))]
        events = [told.event.id for told in self._answer(self.journal.history(ALL))]
        incidents = [(each.destination, each.key) for each in self._answer(self.journal.open_incidents())]
        return Look(frozenset(events), frozenset(pending), frozenset(dead), frozenset(incidents))

    def _logged(self, event: LogEvent) -> None:
        """Failures that are logged are bugs."""
        failure = event.get("log_failure")
        if self.alive and failure is not None and not failure.check(ScriptedBugError):
            self.ledger.problems.append(failure.getTraceback())

    def record(self, happened: Happened) -> None:
        """These come in together."""
        for event, deliveries in happened:
            self.ledger.ask(event, deliveries)

        def recorded(rows: Sequence[Pending]) -> None:
            if self.alive:
                expected = [f"{event.id}-{n + 1}" for event, causes in happened for n in range(len(causes))]
                names = [row.id for row in rows]
                self.ledger.expect(names == expected, f"of {expected} were kept {names}")
                self.ledger.acknowledge(names)
                self.lanes.offer(rows)

        self.journal.record_all(happened).addCallbacks(recorded, lambda _: None)

    def revive(self, number: int) -> None:
        """An operator takes so many of the newest dead letters back."""

        def chosen(letters: Sequence[DeadLetter]) -> Deferred[list[Pending]]:
            if self.alive:
                self.ledger.revive(each.pending.id for each in letters)
            return self.journal.revive(sorted(each.pending.seq for each in letters), self.clock.seconds())

        revived = self.journal.dead_letters(number).addCallback(chosen).addCallback(self.lanes.offer)
        revived.addErrback(lambda _: None)

    def prune(self, rows: int) -> None:
        """Old history is cut."""
        self.ledger.prune()
        self.journal.prune(self.clock.seconds(), Limits(history_rows=rows)).addErrback(lambda _: None)

    def die_in(self, moments: int) -> None:
        """Die before or after one of the next statements."""
        self.dies_in = moments

    def die_at_try(self, number: int, taken: bool) -> None:
        """Die when one of the next messages is sent: just before the destination takes it, or just after."""
        self._dies_at_try, self._taken_at_death = number, taken

    def refuse(self, fine: int, refused: int) -> None:
        """The disk is fine for so many statements, and refuses so many after them."""
        self._fine, self._refused = fine, refused

    def moment(self, before: bool) -> None:
        """The SQL of this process is before or after a statement."""
        if not self.alive:
            return
        if self.dies_in == 1:
            self.die()
        self.dies_in = max(0, self.dies_in - 1)
        if self._fine:
            self._fine -= 1
        elif self._refused and before and self.alive:
            self._refused -= 1
            problem = OperationalError("database or disk is full")
            problem.sqlite_errorcode = SQLITE_FULL
            raise problem

    def _tries(self, take: Callable[[], object]) -> bool:
        if self._dies_at_try == 1 and self.alive:
            if self._taken_at_death:
                take()
            self.die()
        self._dies_at_try = max(0, self._dies_at_try - 1)
        return self.alive

    def die(self) -> None:
        """A kill. SQLite's third file, `-shm`, means nothing to the next process, which makes it anew."""
        self.alive = False
        files = (self.folder / NAME, self.folder / f"{NAME}-wal")
        self.left = {file.name: file.read_bytes() for file in files if file.exists()}

    def bury(self) -> None:
        """Let go of what a dead one still has open."""
        globalLogPublisher.removeObserver(self._logged)
        self._answer(self.journal.close())

    def stop(self) -> None:
        """End politely, as the service does. It may die on the way."""
        self.refuse(0, 0)
        stopping = self.lanes.stop()
        for seconds in (0.0, 1.0, GRACE):
            self.clock.advance(seconds)
            self.worker.release_all()
        self.ledger.expect(stopping.called or not self.alive, "the lanes do not stop")
        if self.alive:
            self._answer(self.journal.close())
        self.stopped = self.alive
        if self.stopped:
            globalLogPublisher.removeObserver(self._logged)

    @property
    def is_idle(self) -> bool:
        """Nothing is pending."""
        return not self._answer(self.journal.destinations())

    def flow(self, seconds: float) -> None:
        """All that can be done is done, then time passes, and again."""
        self.worker.release_all()
        self.clock.advance(seconds)
        self.worker.release_all()


class Witness(proxyForInterface(IJournal, "journal")):  # type: ignore[misc]  # made at run time
    """The journal, as lanes see it; the ledger hears what they ask for, and what the journal promises."""

    def __init__(self, life: Life) -> None:
        super().__init__(life.journal)
        self._life = life

    def settle(self, rows: Sequence[Pending], at: float) -> Deferred[None]:
        """See `IJournal`."""
        if self._life.alive:
            self._life.ledger.settle([row.id for row in rows])
        return self._promised(self.journal.settle(rows, at), self._life.ledger.settled, rows)

    def bury(self, dead: Sequence[DeadLetter]) -> Deferred[None]:
        """See `IJournal`."""
        rows = [each.pending for each in dead]
        if self._life.alive:
            self._life.ledger.bury(row.id for row in rows)
        return self._promised(self.journal.bury(dead), self._life.ledger.buried, rows)

    def drop(self, rows: Sequence[Pending], note: str, at: float) -> Deferred[None]:
        """See `IJournal`."""
        if self._life.alive:
            self._life.ledger.drop([row.id for row in rows], note)
        return cast(Deferred[None], self.journal.drop(rows, note, at))

    def _promised(
        self, asked: Deferred[None], kept: Callable[[list[str]], None], rows: Sequence[Pending]
    ) -> Deferred[None]:
        def promised(answer: None) -> None:
            if self._life.alive:
                kept([row.id for row in rows])

        return asked.addCallback(promised)
