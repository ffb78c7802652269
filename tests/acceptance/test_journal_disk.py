"""A journal on a disk that is really full, or really read-only."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import JournalError
from tutumstream.event import Event
from tutumstream.journal.group import RETRY_PAUSE
from tutumstream.journal.interface import Health, Pending
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.worker import InlineWorker
from tutumstream.routing.delivery import Delivery

pytestmark = pytest.mark.acceptance

SLACK = Delivery("slack", "r", "", "k")
FULL = "can't grow, the disk is full: free some space"


def event(n: int) -> Event:
    """One that takes some room."""
    return Event(id=f"e{n}", received_at=float(n), type="container", message="x" * 5000)


class DiskTests(SynchronousTestCase):
    """On a file system of 1 MiB."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(self.folder.rmdir)
        self.mount("tmpfs", "size=1m,mode=700")
        self.addCleanup(lambda: subprocess.run(["umount", "--lazy", self.folder], check=True))
        self.clock = Clock()
        self.journal = SqlJournal(self.folder / "journal.sqlite3", InlineWorker(), self.clock)

    def mount(self, what: str, options: str) -> None:
        """Mount it there; only the superuser may, and not in every container."""
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, what, self.folder], capture_output=True, text=True, check=False
        )
        if done.returncode:
            self.skipTest(f"a small file system can't be mounted here: {done.stderr.strip()}")

    def opened(self) -> None:
        """Open it."""
        self.successResultOf(self.journal.open())
        self.addCleanup(lambda: self.successResultOf(self.journal.close()))

    def filled(self, left: int = 0) -> Path:
        """A file that takes all the room there is, but for this many bytes."""
        rest = self.folder / "somebody-elses"
        free = os.statvfs(self.folder)
        rest.write_bytes(bytes(free.f_bavail * free.f_frsize - left))
        return rest

    def test_on_a_full_disk_events_wait_and_all_are_there_once_there_is_room(self) -> None:
        self.opened()
        asked: list[Deferred[list[Pending]]] = []
        while self.journal.health.ok:
            asked.append(self.journal.record(event(len(asked)), [SLACK]))
        promised = len(asked) - 1
        asked += [self.journal.record(event(n), [SLACK]) for n in range(len(asked), len(asked) + 50)]
        self.assertEqual(self.journal.health, Health(FULL, waiting=51))
        for _ in range(3):
            self.clock.advance(RETRY_PAUSE)
        self.assertEqual(self.journal.health, Health(FULL, waiting=51))
        rows = self.successResultOf(self.journal.pending("slack", 0, 10_000))
        self.assertEqual([row.event.id for row in rows], [f"e{n}" for n in range(promised)])

        self.mount("tmpfs", "remount,size=16m")
        self.clock.advance(RETRY_PAUSE)
        self.assertEqual(self.journal.health, Health())
        for each in asked:
            self.successResultOf(each)
        rows = self.successResultOf(self.journal.pending("slack", 0, 10_000))
        self.assertEqual([row.event.id for row in rows], [f"e{n}" for n in range(len(asked))])

    def test_killed_on_a_full_disk_it_has_all_that_was_promised_and_stopped_it_says_what_is_lost(self) -> None:
        self.opened()
        asked: list[Deferred[list[Pending]]] = []
        while self.journal.health.ok:
            asked.append(self.journal.record(event(len(asked)), [SLACK]))
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        copy = Path(folder.name)
        for each in self.folder.glob("journal.sqlite3*"):
            shutil.copy(each, copy)
        survivor = SqlJournal(copy / "journal.sqlite3", InlineWorker(), Clock())
        self.successResultOf(survivor.open())
        self.addCleanup(lambda: self.successResultOf(survivor.close()))
        told = self.successResultOf(survivor.history(10_000))
        self.assertEqual([each.event.id for each in told], [f"e{n}" for n in reversed(range(len(asked) - 1))])
        self.successResultOf(self.journal.close())
        self.assertIn(FULL, str(self.failureResultOf(asked[-1], JournalError).value))

    def test_on_a_full_disk_it_is_not_opened_and_says_what_to_do(self) -> None:
        for left in (0, 4096, 20_000, 60_000):
            rest = self.filled(left)
            words = str(self.failureResultOf(self.journal.open(), JournalError).value)
            self.assertIn("free some space", words)
            rest.unlink()
        self.opened()
        self.successResultOf(self.journal.record(event(1), [SLACK]))

    def test_without_an_inode_left_it_is_not_opened_and_says_what_to_do(self) -> None:
        # The folder itself has one, the lock, the journal, its log and the log's index have the others.
        for inodes in range(1, 5):
            self.mount("tmpfs", f"remount,nr_inodes={inodes}")
            words = str(self.failureResultOf(self.journal.open(), JournalError).value)
            self.assertIn("(No space left on device): delete some files, as the file system has no inode left", words)
        self.mount("tmpfs", "remount,nr_inodes=5")
        self.opened()
        self.successResultOf(self.journal.record(event(1), [SLACK]))

    def test_on_a_read_only_disk_it_is_not_opened_and_says_what_to_do(self) -> None:
        self.opened()
        self.successResultOf(self.journal.record(event(1), [SLACK]))
        self.successResultOf(self.journal.close())
        self.mount("tmpfs", "remount,ro")
        words = str(self.failureResultOf(self.journal.open(), JournalError).value)
        self.assertIn("(Read-only file system): make it writable, or choose another state folder", words)
        self.mount("tmpfs", "remount,rw")
        self.successResultOf(self.journal.open())
        self.assertEqual(len(self.successResultOf(self.journal.history(9))), 1)
