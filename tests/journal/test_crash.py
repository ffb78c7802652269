"""A process may die between any two statements: what it leaves behind holds whole groups, and all that was promised."""

from collections.abc import Callable
from itertools import chain
from typing import Any

from sqlalchemy import Engine, event
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_journal import a_state, an_event, letter, to
from tests.journal.places import a_folder
from tests.journal.workers import HeldWorker
from tutumstream.journal.interface import IJournal, Limits, Pending, Postponement, Standing
from tutumstream.journal.memory import MemoryJournal
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.worker import InlineWorker
from tutumstream.routing.delivery import Delivery, Incident

MOMENTS = ("before_cursor_execute", "after_cursor_execute", "commit")

NAMES = ("journal.sqlite3", "journal.sqlite3-wal")

Files = tuple[bytes, ...]

Ask = Callable[[IJournal], Deferred[Any]]


def story(rows: list[Pending]) -> list[list[Ask]]:
    """Everything that changes a journal; what stands in one list is asked for at once.

    Args:
        rows: takes what is recorded, in order.
    """

    def record(name: str, *causes: Delivery, at: float = 500.0) -> Ask:
        return lambda journal: journal.record(an_event(name, received_at=at), causes).addCallback(rows.extend)

    trigger, resolve = to("pagerduty", Incident("trigger", "k")), to("pagerduty", Incident("resolve", "k"))
    return [
        [lambda journal: journal.watch("here")],
        [record("old", to("slack"), at=1.0), record("a", trigger, to("slack")), record("b", resolve, to("slack"))],
        [
            lambda journal: journal.settle([rows[1]], 6.0),
            lambda journal: journal.settle([rows[2]], 6.0),
            record("c", to("slack"), to("slack")),
        ],
        [
            lambda journal: journal.settle([rows[3]], 7.0),
            lambda journal: journal.stand("slack", Standing("failing", since=7.0, reason="500")),
        ],
        [
            lambda journal: journal.postpone([Postponement(rows[4].seq, 1, 9.0, "HTTP 500")]),
            lambda journal: journal.drop([rows[5]], "over", 8.0),
        ],
        [
            lambda journal: journal.bury([letter(rows[0]), letter(rows[4]), letter(rows[6])]),
            record("d", to("slack")),
        ],
        [lambda journal: journal.revive([rows[4].seq], 77.0)],
        [lambda journal: journal.forget([rows[6].seq])],
        [
            record("e"),
            lambda journal: journal.catch_up(
                [(an_event("e", action="delete"), [to("slack")]), (an_event("f"), [])], [a_state("g")], 550.0
            ),
            record("f", to("slack")),
        ],
        [lambda journal: journal.watched(560.0)],
        [lambda journal: journal.prune(600.0, Limits(history_seconds=200.0))],
    ]


def views(journal: IJournal) -> list[Any]:
    """All that a journal shows."""
    shown: list[Any] = []
    asked: list[Deferred[Any]] = [
        journal.pending("slack", 0, 100),
        journal.pending("pagerduty", 0, 100),
        journal.dead_letters(100),
        journal.history(100),
        journal.destinations(),
        journal.standings(),
        journal.open_incidents(),
        journal.recent_opens(),
        journal.dead_letters_named(["d-1", "old-1"]),
        journal.states(),
        journal.watch("here"),
    ]
    for each in asked:
        each.addCallback(shown.append)
    assert len(shown) == len(asked), "not answered"
    return shown


class CrashTests(SynchronousTestCase):
    """The files as they lie at each statement are what a killed process leaves behind."""

    def setUp(self) -> None:
        self.folder = a_folder(self)
        self.asked = self.promised = 0
        # The files of a moment, how much had been promised by then, and how much had been asked for.
        self.moments: list[tuple[Files, int, int]] = []

    def states(self) -> list[list[Any]]:
        """What a journal shows after each change."""
        journal = MemoryJournal()
        journal.open()
        states = [views(journal)]
        for ask in chain.from_iterable(story([])):
            ask(journal)
            states.append(views(journal))
        return states

    def promise(self, answer: Any) -> Any:
        """One more is on disk."""
        self.promised += 1
        return answer

    def crash(self, *_: object) -> None:
        """Keep the files as they are. The third, `-shm`, means nothing to the next process, which makes it anew."""
        files = tuple((self.folder / "life" / name).read_bytes() for name in NAMES)
        self.moments.append((files, self.promised, self.asked))

    def live(self) -> None:
        """Let a journal do it all, with a crash wherever there can be one."""
        worker = HeldWorker()
        journal = SqlJournal(self.folder / "life" / "journal.sqlite3", worker, Clock())
        opened = journal.open()
        worker.release_all()
        self.successResultOf(opened)
        for name in MOMENTS:
            event.listen(Engine, name, self.crash)
        try:
            for step in story([]):
                asked = [ask(journal).addCallback(self.promise) for ask in step]
                self.asked += len(asked)
                worker.release_all()
                for each in asked:
                    self.successResultOf(each)
        finally:
            for name in MOMENTS:
                event.remove(Engine, name, self.crash)
        self.crash()
        closed = journal.close()
        worker.release_all()
        self.successResultOf(closed)

    def left_behind(self, files: Files) -> list[Any]:
        """What a new process finds in these files."""
        folder = a_folder(self)
        for name, content in zip(NAMES, files, strict=True):
            (folder / name).write_bytes(content)
        journal = SqlJournal(folder / NAMES[0], InlineWorker(), Clock())
        self.successResultOf(journal.open())
        shown = views(journal)
        self.successResultOf(journal.close())
        return shown

    def test_between_any_two_statements(self) -> None:
        self.live()
        states = self.states()
        self.assertGreater(len(self.moments), 40)
        # Most statements change nothing on disk before the transaction ends.
        found = {files: self.left_behind(files) for files in {files for files, _, _ in self.moments}}
        self.assertGreater(len(found), len(story([])))
        for number, (files, promised, asked) in enumerate(self.moments):
            self.assertIn(found[files], states[promised : asked + 1], f"{number}: {promised} to {asked}")
        self.assertEqual(found[self.moments[-1][0]], states[-1])
