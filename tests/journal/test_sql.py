"""The journal on disk keeps the contract, and what only a disk can break."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_journal import JournalContract
from tests.journal.places import a_folder
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.worker import InlineWorker


class SqlJournalTests(JournalContract, SynchronousTestCase):
    """See the contract."""

    def setUp(self) -> None:
        self.journal = SqlJournal(a_folder(self) / "journal.sqlite3", InlineWorker(), Clock())
        self.done(self.journal.open())
        self.addCleanup(lambda: self.done(self.journal.close()))
