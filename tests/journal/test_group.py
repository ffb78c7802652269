"""Group commit: who shares a transaction, who is told when, and what happens while the disk refuses."""

import sqlite3
from collections.abc import Sequence

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.journal.workers import HeldWorker
from tutumstream.errors import JournalError
from tutumstream.journal.group import GROUP_LIMIT, RETRY_PAUSE, GroupCommit
from tutumstream.journal.interface import Health
from tutumstream.journal.writes import Outcome


def disk_full() -> sqlite3.OperationalError:
    """What SQLite raises."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA max_page_count = 2")
    try:
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    except sqlite3.OperationalError as full:
        return full
    finally:
        connection.close()
    raise AssertionError("SQLite knows no limit")


class GroupCommitTests(SynchronousTestCase):
    """Writes are words; the disk is a list."""

    def setUp(self) -> None:
        self.disk: list[list[str]] = []
        self.trouble: Exception | None = None
        self.worker = HeldWorker()
        self.clock = Clock()
        self.group: GroupCommit[str] = GroupCommit("/j", self.commit, self.worker, self.clock)

    def commit(self, writes: Sequence[str]) -> list[Outcome]:
        """Refuses "bad" ones; raises while there is trouble."""
        if self.trouble is not None:
            raise self.trouble
        self.disk.append([write for write in writes if write != "bad"])
        return [ValueError("no such thing") if write == "bad" else None for write in writes]

    def test_a_write_is_told_only_after_it_is_committed(self) -> None:
        asked = self.group.ask("a")
        self.assertNoResult(asked)
        self.worker.release()
        self.successResultOf(asked)
        self.assertEqual(self.disk, [["a"]])

    def test_what_is_asked_while_one_runs_shares_the_next(self) -> None:
        first = self.group.ask("a")
        later = [self.group.ask(write) for write in "bcd"]
        self.worker.release()
        self.successResultOf(first)
        for each in later:
            self.assertNoResult(each)
        self.worker.release()
        for each in later:
            self.successResultOf(each)
        self.assertEqual(self.disk, [["a"], ["b", "c", "d"]])

    def test_what_is_asked_by_the_one_who_was_told_comes_next(self) -> None:
        self.group.ask("a").addCallback(lambda _: self.group.ask("b"))
        self.worker.release()
        self.worker.release()
        self.assertEqual(self.disk, [["a"], ["b"]])
        self.assertEqual(len(self.worker.held), 0)

    def test_a_group_has_a_limit(self) -> None:
        for n in range(GROUP_LIMIT + 2):
            self.group.ask(str(n))
        for _ in range(3):
            self.worker.release()
        self.assertEqual([len(group) for group in self.disk], [1, GROUP_LIMIT, 1])
        self.assertEqual([int(write) for group in self.disk for write in group], list(range(GROUP_LIMIT + 2)))

    def test_a_write_that_is_refused_fails_alone(self) -> None:
        self.group.ask("a")
        good, bad, good_too = (self.group.ask(write) for write in ("b", "bad", "c"))
        self.worker.release()
        self.worker.release()
        self.successResultOf(good)
        self.successResultOf(good_too)
        self.assertEqual(
            str(self.failureResultOf(bad, JournalError).value), "journal /j: does not work: ValueError: no such thing"
        )
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.disk, [["a"], ["b", "c"]])

    def test_what_is_asked_for_together_is_answered_together_without_what_was_refused(self) -> None:
        alone, together = self.group.ask("a"), self.group.ask_all(["b", "bad", "c"], [1, 2, 3])
        self.assertEqual(self.group.health, Health(waiting=4))
        self.worker.release()
        self.successResultOf(alone)
        self.assertNoResult(together)
        self.worker.release()
        self.assertEqual(self.successResultOf(together), [1, 3])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.disk, [["a"], ["b", "c"]])
        self.assertEqual(self.group.health, Health())

    def test_what_is_asked_for_together_fails_where_all_of_it_is_refused(self) -> None:
        together = self.group.ask_all(["bad", "bad"], [1, 2])
        self.worker.release()
        self.failureResultOf(together, JournalError)
        self.flushLoggedErrors(ValueError)

    def test_the_waiting_are_counted(self) -> None:
        self.assertEqual(self.group.health, Health())
        for write in "abc":
            self.group.ask(write)
        self.assertEqual(self.group.health, Health(waiting=3))
        self.worker.release()
        self.assertEqual(self.group.health, Health(waiting=2))
        self.worker.release()
        self.assertEqual(self.group.health, Health())

    def test_while_the_disk_refuses_it_tries_again_for_as_long_as_it_takes_and_keeps_the_order(self) -> None:
        self.trouble = disk_full()
        asked = [self.group.ask("a")]
        for n in range(30):
            self.worker.release()
            asked.append(self.group.ask(f"b{n}"))
            self.assertEqual(len(self.worker.held), 0)
            self.clock.advance(RETRY_PAUSE)
        self.assertEqual(self.group.health, Health("can't grow, the disk is full: free some space", 31))
        self.trouble = None
        self.worker.release()
        self.worker.release()
        for each in asked:
            self.successResultOf(each)
        self.assertEqual(self.disk, [["a"], [f"b{n}" for n in range(30)]])
        self.assertEqual(self.group.health, Health())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_trouble_is_logged_once_when_it_comes_and_once_when_it_goes(self) -> None:
        self.trouble = disk_full()
        with capturedLogs() as logged:
            self.group.ask("a")
            for _ in range(3):
                self.worker.release()
                self.clock.advance(RETRY_PAUSE)
            self.trouble = None
            self.worker.release()
            self.group.ask("b")
            self.worker.release()
        self.assertEqual([each["log_level"] for each in logged], [LogLevel.warn, LogLevel.info])

    def test_draining_when_nothing_waits_is_done_at_once(self) -> None:
        self.successResultOf(self.group.drain())

    def test_draining_waits_for_all_that_was_asked(self) -> None:
        asked = [self.group.ask(write) for write in "abc"]
        drained = self.group.drain()
        self.worker.release()
        self.assertNoResult(drained)
        self.worker.release()
        self.successResultOf(drained)
        for each in asked:
            self.successResultOf(each)

    def test_draining_tries_a_refusing_disk_once_more_and_at_once(self) -> None:
        self.trouble = disk_full()
        asked = [self.group.ask(write) for write in "ab"]
        self.worker.release()
        drained = self.group.drain()
        self.trouble = None
        self.worker.release()
        self.worker.release()
        self.successResultOf(drained)
        for each in asked:
            self.successResultOf(each)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_draining_ends_with_an_error_for_all_when_the_disk_still_refuses(self) -> None:
        self.trouble = disk_full()
        asked = [self.group.ask(write) for write in "abc"]
        self.worker.release()
        drained = self.group.drain()
        with capturedLogs() as logged:
            self.worker.release()
        self.successResultOf(drained)
        for each in asked:
            self.assertIn("the disk is full", str(self.failureResultOf(each, JournalError).value))
        self.assertEqual([(each["log_level"], each["count"]) for each in logged], [(LogLevel.error, 3)])
        self.assertEqual(self.disk, [])

    def test_a_bug_in_committing_does_not_keep_it_from_ending(self) -> None:
        group: GroupCommit[str] = GroupCommit("/j", lambda _writes: [], self.worker, self.clock)
        group.ask("a")
        drained = group.drain()
        self.worker.release()
        self.successResultOf(drained)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_one_who_waits_no_more_harms_nobody(self) -> None:
        gone = self.group.ask("a")
        gone.addErrback(lambda _: None)
        gone.cancel()
        other = self.group.ask("b")
        self.worker.release()
        self.worker.release()
        self.successResultOf(other)
        self.assertEqual(self.disk, [["a"], ["b"]])
