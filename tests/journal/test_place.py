"""A journal whose files are taken away while it is open."""

import errno
import sqlite3
import stat
from pathlib import Path
from unittest import skipIf

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests import locks
from tests.contracts_journal import an_event, to
from tests.journal.places import a_folder, an_empty_journal, an_ordinary_user
from tutumstream.journal.place_watch import EVERY, PlaceWatch
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.worker import InlineWorker
from tutumstream.place import Place


class AJournalThatIsTakenAway(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = an_empty_journal(a_folder(self) / "state" / "journal.sqlite3")
        self.clock = Clock()
        self.journal = self.opened()
        self.successResultOf(self.journal.record(an_event("kept"), [to("slack")]))

    def opened(self) -> SqlJournal:
        journal = SqlJournal(self.path, InlineWorker(), self.clock)
        self.successResultOf(journal.open())
        self.addCleanup(journal.close)
        return journal

    def delete_all(self) -> None:
        for each in self.path.parent.iterdir():
            each.unlink()
        self.path.parent.rmdir()

    def left(self, journal: SqlJournal) -> list[str]:
        return [row.event.id for row in self.successResultOf(journal.pending("slack", 0, 10))]

    def test_is_no_trouble_while_all_is_as_it_was(self) -> None:
        with capturedLogs() as logs:
            self.clock.pump([EVERY] * 3)
        self.assertEqual((self.journal.health.problem, list(logs)), ("", []))

    def test_is_looked_for_only_while_it_is_open(self) -> None:
        self.successResultOf(self.journal.close())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @skipIf(not locks.are_shown(), "this system does not show its locks")
    def test_is_still_locked_after_a_look(self) -> None:
        self.assertTrue(locks.is_held(self.path))
        self.clock.pump([EVERY] * 2)
        self.assertTrue(locks.is_held(self.path))
        self.successResultOf(self.journal.close())
        self.assertFalse(locks.is_held(self.path))

    def test_is_noticed_told_once_and_shown(self) -> None:
        self.delete_all()
        with capturedLogs() as logs:
            self.clock.pump([EVERY] * 3)
        self.assertIn("was deleted while it is in use", self.journal.health.problem)
        self.assertIn("end this service with SIGTERM", self.journal.health.problem)
        (line,) = logs
        self.assertEqual(line["log_level"].name, "error")
        self.assertIn(str(self.path), formatEvent(line))

    def test_goes_on_remembering_and_writes_all_back_in_the_end(self) -> None:
        self.delete_all()
        self.successResultOf(self.journal.record(an_event("later"), [to("slack")]))
        with capturedLogs() as logs:
            self.successResultOf(self.journal.close())
        self.assertIn(f"{self.path} is what was in it", formatEvent(logs[-1]))
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(self.left(self.opened()), ["kept", "later"])

    def test_and_replaced_by_another_spares_that_one(self) -> None:
        self.delete_all()
        second = self.opened()
        self.successResultOf(second.record(an_event("second"), [to("slack")]))
        self.clock.advance(EVERY)
        self.assertIn("was replaced while it is in use", self.journal.health.problem)
        self.assertEqual(second.health.problem, "")
        self.successResultOf(self.journal.close())
        self.assertEqual(self.left(second), ["second"])
        rescued = sqlite3.connect(self.path.with_name("journal.sqlite3.rescued"))
        self.addCleanup(rescued.close)
        self.assertEqual(rescued.execute("SELECT id FROM events").fetchall(), [("kept",)])
        self.clock.advance(EVERY)
        self.assertEqual(second.health.problem, "")

    def test_is_whole_even_if_only_its_log_was_taken(self) -> None:
        self.path.with_name("journal.sqlite3-wal").unlink()
        self.clock.advance(EVERY)
        self.assertIn("(journal.sqlite3-wal is gone)", self.journal.health.problem)
        self.successResultOf(self.journal.close())
        self.assertEqual(self.left(self.opened()), ["kept"])

    def test_and_overwritten_is_noticed(self) -> None:
        self.path.write_bytes(b"something else")
        self.clock.advance(EVERY)
        self.assertIn("was overwritten while it is in use", self.journal.health.problem)

    def test_and_put_back_is_well_again(self) -> None:
        away = self.path.parent.with_name("away")
        self.path.parent.rename(away)
        self.clock.advance(EVERY)
        self.assertNotEqual(self.journal.health.problem, "")
        away.rename(self.path.parent)
        with capturedLogs() as logs:
            self.clock.advance(EVERY)
        self.assertEqual(self.journal.health.problem, "")
        self.assertEqual(formatEvent(logs[-1]), f"Journal {self.path} is where it was again")

    def test_or_only_out_of_reach_is_told_as_that_and_is_not_lost(self) -> None:
        self.addCleanup(self.path.parent.chmod, 0o700)
        self.path.parent.chmod(0)
        with an_ordinary_user(), capturedLogs() as logs:
            self.clock.advance(EVERY)
            self.successResultOf(self.journal.record(an_event("later"), [to("slack")]))
            self.successResultOf(self.journal.close())
        self.assertEqual(len(logs), 1)
        self.assertIn("is out of reach (Permission denied): make its folder", formatEvent(logs[0]))
        self.path.parent.chmod(0o700)
        self.assertEqual(self.left(self.opened()), ["kept", "later"])

    def test_or_on_a_disk_that_can_not_be_read_is_told_as_that(self) -> None:
        class Broken(Place):
            def problem(self) -> str:
                """No way to know."""
                raise OSError(errno.EIO, "Input/output error")

        place = Broken(self.path)
        self.addCleanup(place.close)
        watch = PlaceWatch(place, InlineWorker(), self.clock)
        self.addCleanup(watch.stop)
        with capturedLogs() as logs:
            self.clock.pump([EVERY] * 2)
        self.assertIn("can't be looked for (Input/output error): check the disk", watch.problem)
        self.assertEqual(len(logs), 1)

    def test_first_out_of_reach_and_then_gone_is_told_as_both(self) -> None:
        self.path.parent.chmod(0)
        with an_ordinary_user(), capturedLogs() as logs:
            self.clock.pump([EVERY] * 2)
        self.path.parent.chmod(0o700)
        self.delete_all()
        with capturedLogs() as later:
            self.clock.pump([EVERY] * 2)
        (first,), (second,) = logs, later
        self.assertIn("is out of reach", formatEvent(first))
        self.assertIn("was deleted while it is in use", formatEvent(second))

    def test_and_can_not_be_written_back_is_told_to_be_lost(self) -> None:
        self.delete_all()
        self.path.parent.write_bytes(b"a file where the folder was")
        with capturedLogs() as logs:
            self.successResultOf(self.journal.close())
        self.assertIn("it is lost", formatEvent(logs[-1]))
        self.assertTrue(Path(self.path.parent).is_file())
