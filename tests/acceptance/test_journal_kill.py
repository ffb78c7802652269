"""A journal survives the death of its process, and lets nobody else in while it lives."""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import JournalError
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.worker import InlineWorker

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]


class JournalProcessTests(SynchronousTestCase):
    """With real processes, threads and signals."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "journal.sqlite3"

    def start(self, first: int = 0) -> "subprocess.Popen[bytes]":
        """A process that writes."""
        command = [sys.executable, "-B", "-m", "tests.acceptance.journal_writer", str(self.path), str(first)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def reopened(self) -> SqlJournal:
        """The journal, in this process."""
        journal = SqlJournal(self.path, InlineWorker(), Clock())
        self.successResultOf(journal.open())
        self.addCleanup(lambda: self.successResultOf(journal.close()))
        return journal

    def test_what_was_promised_is_there_after_every_kill_and_nothing_is_there_by_half(self) -> None:
        dice = random.Random(20150601)
        promised: set[int] = set()
        first = 0
        for _ in range(6):
            process = self.start(first)
            assert process.stdout is not None
            self.assertEqual(process.stdout.readline(), b"open\n")
            for _ in range(dice.randrange(1, 1500)):
                promised.add(int(process.stdout.readline()))
            process.kill()
            # Promises that were made before the kill reached it count too; the last line may be cut.
            promised.update(int(line) for line in process.stdout.read().split(b"\n")[:-1])
            process.wait()

            journal = self.reopened()
            told = self.successResultOf(journal.history(1_000_000))
            there = [int(each.event.id[1:]) for each in told]
            self.assertEqual(promised - set(there), set())
            self.assertEqual(len(there), len(set(there)))
            self.assertEqual({each.deliveries for each in told}, {2})
            for destination, ordinal in (("slack", 1), ("pagerduty", 2)):
                rows = self.successResultOf(journal.pending(destination, 0, 1_000_000))
                self.assertEqual([row.id for row in rows], [f"e{n}-{ordinal}" for n in reversed(there)])
            self.successResultOf(journal.close())
            first = max(there) + 1
        self.assertGreater(len(promised), 1000)

    def test_a_second_process_is_refused_until_the_first_is_dead(self) -> None:
        holder = self.start()
        assert holder.stdout is not None
        self.assertEqual(holder.stdout.readline(), b"open\n")
        second = self.start()
        _, words = second.communicate(timeout=30)
        self.assertEqual(second.returncode, 1)
        self.assertIn(f"in use by another tutumstream (process {holder.pid}): stop that one".encode(), words)
        refused = SqlJournal(self.path, InlineWorker(), Clock()).open()
        self.failureResultOf(refused, JournalError)
        holder.kill()
        holder.communicate()
        self.reopened()
