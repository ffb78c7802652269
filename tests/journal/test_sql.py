"""The journal on disk keeps the contract, and what only a disk can break."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_journal import JournalContract, a_state, an_event, letter, to
from tests.journal.places import a_folder, an_empty_journal
from tests.journal.workers import HeldWorker
from tutumstream.errors import JournalError
from tutumstream.event import Malformed
from tutumstream.journal.group import RETRY_PAUSE
from tutumstream.journal.interface import DeadLetter, Health, IJournal, Limits, Pending, Postponement, Pruned
from tutumstream.journal.pruning import PAGES
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.worker import InlineWorker

SMALL_PAGES = "page_size=512"
"""So that thousands of them are soon written."""


class SqlJournalTests(JournalContract, SynchronousTestCase):
    """See the contract."""

    def setUp(self) -> None:
        self.path = an_empty_journal(a_folder(self) / "journal.sqlite3")
        self.clock = Clock()
        # Others who hold the file are not waited for: there is no real time here.
        self.journal: IJournal = SqlJournal(f"sqlite:///{self.path}?timeout=0", InlineWorker(), self.clock)
        self.done(self.journal.open())
        self.addCleanup(lambda: self.done(self.journal.close()))

    @contextmanager
    def together(self) -> Iterator[None]:
        """One group."""
        worker = self.held()
        yield
        closed = self.journal.close()
        worker.release_all()
        self.done(closed)
        self.journal = SqlJournal(self.path, InlineWorker(), self.clock)
        self.done(self.journal.open())

    def other(self) -> sqlite3.Connection:
        """Somebody else who has the file open."""
        other = sqlite3.connect(self.path, isolation_level=None, timeout=0)
        self.addCleanup(other.close)
        return other

    def test_a_row_that_cannot_be_read_is_buried_and_blocks_nobody(self) -> None:
        for name in "abcde":
            self.done(self.journal.record(an_event(name), [to("slack")]))
        for name, body in (("a", b"\xff\xfe"), ("b", "[" * 100_000), ("d", '{"id":1}')):
            self.other().execute("UPDATE events SET body = ? WHERE id = ?", (body, name))
        self.clock.advance(77.0)
        with capturedLogs() as logged:
            # Fewer than asked for would mean that there are no more.
            self.assertEqual([row.id for row in self.window(limit=2)], ["c-1", "e-1"])
        self.assertEqual(
            [(each["log_level"], each["id"]) for each in logged], [(LogLevel.error, n) for n in ("a-1", "b-1", "d-1")]
        )
        dead = self.done(self.journal.dead_letters(10))
        self.assertEqual(
            [(each.pending.id, each.cause, each.died_at) for each in dead], [(f"{n}-1", "bug", 77.0) for n in "dba"]
        )
        self.assertTrue(all(each.reason.startswith("its event can't be read: ") for each in dead), dead)
        told = self.done(self.journal.history(10))
        self.assertEqual([each.event.id for each in told], list("edcba"))
        self.assertEqual({each.event.id for each in told if each.event.type == "unreadable"}, set("abd"))

    def test_a_refused_write_takes_no_other_with_it(self) -> None:
        worker = self.held()
        asked = [
            self.journal.record(an_event("a"), [to("slack")]),
            self.journal.record(an_event("b"), [to("slack")]),
            self.journal.record(an_event("c"), [to("slack"), to("\ud800")]),
            self.journal.record(an_event("d"), [to("slack")]),
        ]
        worker.release_all()
        for good in (asked[0], asked[1], asked[3]):
            self.done(good)
        self.failureResultOf(asked[2], JournalError)
        self.assertEqual(len(self.flushLoggedErrors(UnicodeEncodeError)), 1)
        told = self.journal.history(10)
        worker.release_all()
        self.assertEqual([each.event.id for each in self.done(told)], ["d", "b", "a"])

    def test_whoever_waits_no_longer_hears_of_no_trouble(self) -> None:
        worker = self.held()
        for asked in (self.journal.standings(), self.journal.pending("slack", 0, 10)):
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
        worker.release_all()

    def test_an_event_that_cannot_be_stored_is_refused_at_once(self) -> None:
        refused = self.failureResultOf(
            self.journal.record(an_event("a", message="\ud800"), [to("slack")]), JournalError
        )
        self.assertIn("can't keep event a", str(refused.value))
        self.done(self.journal.record(an_event("b"), [to("slack")]))
        self.assertEqual([row.id for row in self.window()], ["b-1"])

    def test_an_event_that_can_not_be_kept_does_not_take_those_with_it_that_came_together(self) -> None:
        with capturedLogs() as logs:
            happened = [an_event("a"), an_event("b", message="\ud800"), an_event("c")]
            rows = self.done(self.journal.record_all([(event, [to("slack")]) for event in happened]))
        self.assertEqual([row.id for row in rows], ["a-1", "c-1"])
        self.assertEqual(self.window(), rows)
        (problem,) = [str(each["problem"]) for each in logs if each["log_level"] is LogLevel.error]
        self.assertIn("can't keep event b", problem)

    def test_no_answer_of_a_destination_can_keep_a_row_from_changing(self) -> None:
        self.done(self.journal.record(an_event("a"), [to("slack")]))
        [row] = self.window()
        self.done(self.journal.postpone([Postponement(row.seq, 1, 2.0, "r\ud800", "☃\udcff\x00")]))
        [row] = self.window()
        self.assertEqual((row.reason, row.answer), ("r?", "☃?\x00"))
        self.done(self.journal.bury([DeadLetter(row, "expired", "r\ud800", "", 9.0)]))
        self.assertEqual(self.done(self.journal.dead_letters(1))[0].reason, "r?")
        self.done(self.journal.keep(Malformed(received_at=1.0, reason="r\ud800", raw=b"")))
        self.assertEqual(self.done(self.journal.malformed(1))[0].reason, "r?")

    def test_while_another_program_holds_the_file_changes_wait_and_reading_goes_on(self) -> None:
        self.done(self.journal.record(an_event("a"), [to("slack")]))
        other = self.other()
        other.execute("BEGIN IMMEDIATE")
        settled = self.journal.settle(self.window()[:1], 5.0)
        recorded = self.journal.record(an_event("b"), [to("slack")])
        self.assertNoResult(settled)
        problem = "is locked by another program: end what has it open"
        self.assertEqual(self.journal.health, Health(problem, waiting=2))
        self.assertEqual([row.id for row in self.window()], ["a-1"])
        other.execute("ROLLBACK")
        self.clock.advance(RETRY_PAUSE)
        self.done(settled)
        self.done(recorded)
        self.assertEqual([row.id for row in self.window()], ["b-1"])
        self.assertEqual(self.journal.health, Health())

    def test_while_the_disk_refuses_changes_wait(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, before)
        resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{self.path}-wal").stat().st_size, before[1]))
        asked = [self.journal.record(an_event(name), [to("slack")]) for name in "abc"]
        problem = self.journal.health.problem
        self.assertEqual(self.window(), [])
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        self.assertEqual(problem, "can't be read or written: check the disk and the system's log")
        self.clock.advance(RETRY_PAUSE)
        for each in asked:
            self.done(each)
        self.assertEqual([row.id for row in self.window()], ["a-1", "b-1", "c-1"])

    def test_closing_while_the_disk_refuses_fails_what_waits_and_lets_go(self) -> None:
        other = self.other()
        other.execute("BEGIN IMMEDIATE")
        asked = [self.journal.record(an_event(name), []) for name in "ab"]
        self.done(self.journal.close())
        for each in asked:
            self.assertIn("is locked by another program", str(self.failureResultOf(each, JournalError).value))
        other.execute("ROLLBACK")
        self.done(self.journal.open())
        self.assertEqual(self.done(self.journal.history(10)), [])

    def test_a_view_that_cannot_be_read_fails_with_words(self) -> None:
        self.other().execute("ALTER TABLE malformed RENAME TO elsewhere")
        words = str(self.failureResultOf(self.journal.malformed(1), JournalError).value)
        self.assertIn("does not work: no such table: malformed", words)

    def test_a_failed_opening_holds_nothing(self) -> None:
        second = SqlJournal(self.path, InlineWorker(), self.clock)
        self.assertIn("in use", str(self.failureResultOf(second.open(), JournalError).value))
        self.assertEqual(second.health, Health("is not open"))
        self.done(self.journal.close())
        self.done(second.open())
        self.done(second.close())

    def test_everything_asked_for_before_closing_gets_done(self) -> None:
        worker = self.held()
        asked = [self.journal.record(an_event(name), [to("slack")]) for name in "abc"]
        closed = self.journal.close()
        self.failureResultOf(self.journal.record(an_event("late"), []), JournalError)
        worker.release_all()
        self.done(closed)
        for each in asked:
            self.done(each)
        self.journal.open()
        worker.release_all()
        rows = self.journal.pending("slack", 0, 10)
        worker.release_all()
        self.assertEqual([row.id for row in self.done(rows)], ["a-1", "b-1", "c-1"])

    def test_a_group_does_what_its_writes_would_do_one_by_one(self) -> None:
        for name in "abcd":
            self.done(self.journal.record(an_event(name), [to("slack")]))
        a, b, c, d = self.window()
        worker = self.held()
        self.journal.settle([], 1.0)
        self.journal.settle([a], 1.0)
        self.journal.bury([letter(a), letter(b, "first")])
        self.journal.bury([letter(b, "second")])
        self.journal.settle([b], 2.0)
        self.journal.postpone([Postponement(c.seq, 1, 9.0, "one")])
        self.journal.postpone([Postponement(c.seq, 2, 9.5, "two")])
        self.journal.postpone([Postponement(d.seq, 1, 9.0, "one")])
        self.journal.settle([d], 3.0)
        worker.release_all()
        rows, dead = self.journal.pending("slack", 0, 10), self.journal.dead_letters(10)
        worker.release_all()
        self.assertEqual([self.summary(row) for row in self.done(rows)], [("c-1", 2, "two")])
        self.assertEqual(self.done(dead), [letter(b, "first")])

    def test_a_group_leaves_the_last_state_of_an_object_behind_however_it_was_learned(self) -> None:
        worker = self.held()
        self.journal.record(an_event("a"), [])
        self.journal.catch_up([(an_event("b"), [])], [a_state("a", "found"), a_state("c", "found")], 5.0)
        self.journal.record(an_event("c", state="Stopped"), [])
        self.journal.catch_up([(an_event("b", action="delete"), [])], [], 6.0)
        states = self.journal.states()
        worker.release_all()
        self.assertEqual(self.done(states), [a_state("a", "found"), a_state("c", "Stopped")])

    def summary(self, row: Pending) -> tuple[str, int, str]:
        """What postponing changes."""
        return row.id, row.attempts, row.reason

    def held(self) -> HeldWorker:
        """The same journal, now with a worker that is held."""
        self.done(self.journal.close())
        worker = HeldWorker()
        self.journal = SqlJournal(self.path, worker, self.clock)
        opened = self.journal.open()
        worker.release_all()
        self.done(opened)
        self.addCleanup(worker.release_all)
        self.addCleanup(self.journal.close)
        return worker

    def test_a_long_history_is_forgotten_step_by_step(self) -> None:
        self.done(self.journal.record_all([(an_event(received_at=1.0), [])] * 25))
        self.done(self.journal.record(an_event("last", received_at=99.0), []))
        limits = Limits(history_seconds=50.0, at_once=10)
        self.assertEqual(self.done(self.journal.prune(100.0, limits)), Pruned(25, 0))
        self.assertEqual([told.event.id for told in self.done(self.journal.history(9))], ["last"])

    def rebuilt(self, *pragmas: str) -> None:
        """The file as if it had been made with these."""
        self.done(self.journal.close())
        other = self.other()
        for pragma in ("journal_mode=DELETE", *pragmas):
            other.execute(f"PRAGMA {pragma}")
        other.execute("VACUUM")
        other.close()
        self.done(self.journal.open())

    def fill(self, number: int) -> None:
        """So many events of about 25 pages, one a second."""
        events = [an_event(message="x" * 12_500, received_at=float(n)) for n in range(number)]
        self.done(self.journal.record_all([(event, []) for event in events]))

    def test_the_file_shrinks_when_most_of_it_is_empty(self) -> None:
        self.rebuilt(SMALL_PAGES)
        self.fill(120)
        other = self.other()
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = self.path.stat().st_size
        self.done(self.journal.prune(1100.0, Limits(history_seconds=990.0, room=1200)))
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.assertLess(self.path.stat().st_size, before - 2 * PAGES * 512)
        (empty,) = other.execute("PRAGMA freelist_count").fetchone()
        self.assertGreater(empty, 1200 - PAGES, "what is needed next is kept")
        self.assertEqual(len(self.done(self.journal.history(999))), 10)

    def test_the_file_stays_as_it_is_while_less_than_a_quarter_of_it_is_empty(self) -> None:
        self.rebuilt(SMALL_PAGES)
        self.fill(40)
        self.done(self.journal.prune(1000.0, Limits(history_seconds=1000.0 - 8.5, room=10)))
        other = self.other()
        (pages,), (empty,) = (other.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count"))
        self.assertEqual(len(self.done(self.journal.history(999))), 31)
        self.assertTrue(0.2 * pages < empty < 0.25 * pages, (pages, empty))

    def test_a_file_that_cannot_shrink_is_pruned_all_the_same(self) -> None:
        self.rebuilt(SMALL_PAGES, "auto_vacuum=NONE")
        self.assertEqual(self.other().execute("PRAGMA auto_vacuum").fetchone(), (0,))
        self.fill(10)
        self.assertEqual(self.done(self.journal.prune(1e9, Limits(history_rows=1, room=100))), Pruned(10, 0))
        (empty,) = self.other().execute("PRAGMA freelist_count").fetchone()
        self.assertGreater(empty, 100, "there was something to give back")
