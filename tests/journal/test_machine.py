"""The journal on disk against the one in memory: the same requests, in groups, with restarts and crashes between."""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.journal.places import an_empty_journal
from tests.journal.workers import HeldWorker
from tests.searching import searching
from tutumstream.event import Event, Malformed
from tutumstream.journal.interface import DeadLetter, IJournal, Limits, Pending, Postponement, Standing
from tutumstream.journal.memory import MemoryJournal
from tutumstream.journal.objects import ObjectState
from tutumstream.journal.sql import SqlJournal
from tutumstream.routing.delivery import Delivery, Incident

DESTINATIONS = ("slack", "pagerduty", "ünïcode")
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
TIME = st.floats(0, 4e9)

EVENTS = st.builds(
    Event,
    id=st.sampled_from(["a", "b", "01JZ0000000000000000000000"]),
    received_at=TIME,
    type=TEXT,
    action=TEXT,
    state=TEXT,
    resource_uri=TEXT,
    parents=st.lists(TEXT, max_size=2).map(tuple),
    message=TEXT,
)
INCIDENTS = st.none() | st.builds(
    Incident, st.sampled_from(["trigger", "acknowledge", "resolve"]), st.sampled_from("kl")
)
DELIVERIES = st.builds(
    Delivery, st.sampled_from(DESTINATIONS), TEXT, TEXT, TEXT, INCIDENTS, st.booleans(), st.sampled_from([0.0, 30.0])
)
KINDS = st.sampled_from(["ok", "limited", "held", "failing"])
STANDINGS = st.builds(Standing, KINDS, TIME, TIME, TEXT, st.booleans())
# Few objects, so that they change again and again.
CHANGES = st.builds(
    Event,
    id=st.just("c"),
    received_at=TIME,
    type=st.sampled_from(["container", "stack", "action"]),
    action=st.sampled_from(["create", "update", "delete"]),
    state=st.sampled_from(["Running", "Terminated", "ünïcode"]),
    resource_uri=st.sampled_from("xyz"),
    parents=st.lists(TEXT, max_size=2).map(tuple),
    synthetic=st.booleans(),
)
STATES = st.builds(ObjectState, st.sampled_from("xyz"), TEXT, TEXT, st.lists(TEXT, max_size=2).map(tuple), TIME)
# Which of the rows that are known, whatever became of them since: lanes may ask twice.
CHOICES = st.lists(st.integers(0, 9), min_size=1, max_size=4)

LAST = Event(id="last", received_at=4e9, type="container")


class JournalMachine(RuleBasedStateMachine):
    """Asks both for the same, and lets the one on disk do it whenever it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.lives = 0
        self.memory = MemoryJournal()
        self.answer(self.memory.open())
        self.known: dict[int, Pending] = {}
        self.asked: list[Deferred[Any]] = []
        self.open(an_empty_journal(Path(self.folder.name) / "0" / "journal.sqlite3"))

    def open(self, path: Path) -> None:
        """Begin a life."""
        self.path = path
        self.worker = HeldWorker()
        self.disk = SqlJournal(path, self.worker, Clock())
        self.answer(self.disk.open())

    def answer(self, asked: Deferred[Any]) -> Any:
        """Let the worker work until it is there; an error is an error."""
        answers: list[Any] = []
        asked.addCallback(answers.append)
        if hasattr(self, "worker"):
            self.worker.release_all()
        failures: list[Any] = []
        asked.addErrback(failures.append)
        assert not failures, failures[0].getTraceback()
        assert len(answers) == 1, "no answer"
        return answers[0]

    def both(self, ask: Callable[[IJournal], Deferred[Any]]) -> None:
        """Ask both; what waits at the one on disk becomes a group."""
        self.answer_of_memory(ask(self.memory))
        self.asked.append(ask(self.disk))

    def answer_of_memory(self, asked: Deferred[Any]) -> None:
        """Memory answers at once."""
        assert asked.called

    @rule(event=EVENTS, deliveries=st.lists(DELIVERIES, max_size=3))
    def record(self, event: Event, deliveries: list[Delivery]) -> None:
        """Something happens."""
        self.both(lambda journal: journal.record(event, deliveries))
        for destination in DESTINATIONS:
            rows: list[Pending] = []
            self.memory.pending(destination, 0, 100).addCallback(rows.extend)
            self.known.update({row.seq: row for row in rows})

    @rule(event=CHANGES)
    def change(self, event: Event) -> None:
        """An object changes."""
        self.record(event, [])

    @rule(source=st.sampled_from(["here", "there"]))
    def watch(self, source: str) -> None:
        """A start, perhaps with another source."""
        self.same("watch", source)

    @rule(
        told=st.lists(st.tuples(CHANGES, st.lists(DELIVERIES, max_size=2)), max_size=2),
        found=st.lists(STATES, max_size=2, unique_by=lambda each: each.uri),
        until=TIME,
    )
    def catch_up(self, told: list[tuple[Event, list[Delivery]]], found: list[ObjectState], until: float) -> None:
        """A gap is over."""
        self.both(lambda journal: journal.catch_up(told, found, until))

    @rule(until=TIME)
    def watched(self, until: float) -> None:
        """Time goes by."""
        self.both(lambda journal: journal.watched(until))

    @rule(reason=TEXT, raw=st.binary(max_size=10))
    def keep(self, reason: str, raw: bytes) -> None:
        """Something comes that is no event."""
        self.both(lambda journal: journal.keep(Malformed(received_at=1.0, reason=reason, raw=raw)))

    @rule(choices=CHOICES, at=TIME)
    def settle(self, choices: list[int], at: float) -> None:
        """Some arrive."""
        rows = self.chosen(choices)
        self.both(lambda journal: journal.settle(rows, at))

    @rule(choices=CHOICES, attempts=st.integers(0, 9), due=TIME, words=TEXT)
    def postpone(self, choices: list[int], attempts: int, due: float, words: str) -> None:
        """Some fail."""
        rows = list({row.seq: row for row in self.chosen(choices)}.values())
        tried = [Postponement(row.seq, attempts + n, due, words, words[::-1]) for n, row in enumerate(rows)]
        self.both(lambda journal: journal.postpone(tried))

    @rule(choices=CHOICES, cause=st.sampled_from(["rejected", "expired", "bug"]), words=TEXT, died_at=TIME)
    def bury(self, choices: list[int], cause: Any, words: str, died_at: float) -> None:
        """Some are given up."""
        dead = [DeadLetter(row, cause, f"{n}{words}", words, died_at) for n, row in enumerate(self.chosen(choices))]
        self.both(lambda journal: journal.bury(dead))

    @rule(choices=CHOICES, note=TEXT, at=TIME)
    def drop(self, choices: list[int], note: str, at: float) -> None:
        """Some need not be told."""
        rows = self.chosen(choices)
        self.both(lambda journal: journal.drop(rows, note, at))

    @rule(choices=CHOICES, at=TIME)
    def revive(self, choices: list[int], at: float) -> None:
        """An operator takes some back."""
        seqs = [row.seq for row in self.chosen(choices)]
        self.settle_down()
        ours, theirs = (self.answer(journal.revive(seqs, at)) for journal in (self.disk, self.memory))
        assert ours == _as_stored(theirs), (ours, theirs)

    @rule(choices=CHOICES)
    def forget(self, choices: list[int]) -> None:
        """An operator drops some."""
        self.same("forget", [row.seq for row in self.chosen(choices)])

    @rule(destination=st.sampled_from(DESTINATIONS), standing=STANDINGS)
    def stand(self, destination: str, standing: Standing) -> None:
        """A destination is in trouble, or out of it."""
        self.both(lambda journal: journal.stand(destination, standing))

    @rule(seconds=TIME, rows=st.integers(1, 20))
    def prune(self, seconds: float, rows: int) -> None:
        """The history is cut. What comes last stays, so that both go on with the same numbers after a restart."""
        self.record(LAST, [Delivery("elsewhere", "", "", "")])
        self.settle_down()
        self.same("prune", LAST.received_at, Limits(history_seconds=seconds, history_rows=rows))

    @rule()
    def work(self) -> None:
        """The disk does one piece of what is asked of it."""
        if self.worker.held:
            self.worker.release()

    @rule()
    def compare(self) -> None:
        """Both show the same, in every view."""
        self.settle_down()
        for destination in DESTINATIONS:
            for after, limit in ((0, 100), (2, 3), (0, 0)):
                self.same("pending", destination, after, limit)
            self.same("pending", destination, 0, 100, True)
        for limit in (1, 100):
            self.same("dead_letters", limit)
            self.same("history", limit)
            self.same("malformed", limit)
        self.same("dead_letters", 2, 3)
        self.same("destinations")
        self.same("standings")
        self.same("open_incidents")
        self.same("recent_opens")
        self.same("dead_letters_named", ["a-1", "b-2", "01JZ0000000000000000000000-1", "nobody"])
        self.same("states")

    @rule()
    def restart(self) -> None:
        """Close it politely, whatever waits, and open it again."""
        self.answer(self.disk.close())
        self.settle_down()
        self.open(self.path)

    @rule()
    def crash(self) -> None:
        """Leave it as it lies: the files of this moment are all that a killed process leaves behind."""
        self.settle_down()
        self.lives += 1
        left_behind = Path(self.folder.name) / str(self.lives)
        shutil.copytree(self.path.parent, left_behind)
        self.answer(self.disk.close())
        self.open(left_behind / self.path.name)

    @invariant()
    def nothing_is_wrong(self) -> None:
        """The disk is fine all the time."""
        assert self.disk.health.ok, self.disk.health

    def chosen(self, choices: list[int]) -> list[Pending]:
        """Rows that were seen once, as they were then."""
        rows = list(self.known.values())
        return [rows[choice % len(rows)] for choice in choices if rows]

    def same(self, view: str, *args: object) -> None:
        """Both answer the same."""
        ours = self.answer(getattr(self.disk, view)(*args))
        theirs = _as_stored(self.answer(getattr(self.memory, view)(*args)))
        assert ours == theirs, (ours, theirs)

    def settle_down(self) -> None:
        """Everything that was asked for has been done."""
        for each in self.asked:
            self.answer(each)
        self.asked = []

    def teardown(self) -> None:
        """Leave nothing."""
        self.compare()
        self.answer(self.disk.close())
        self.folder.cleanup()


def _as_stored(answer: Any) -> Any:
    """On disk a grace is known by the time when it is over, only."""
    if isinstance(answer, list):
        return [_as_stored(each) for each in answer]
    if isinstance(answer, DeadLetter):
        return replace(answer, pending=_as_stored(answer.pending))
    if isinstance(answer, Pending):
        return replace(answer, delivery=replace(answer.delivery, grace=0.0))
    return answer


JournalMachine.TestCase.settings = searching(2, steps=15)
JournalMachineTests = JournalMachine.TestCase
