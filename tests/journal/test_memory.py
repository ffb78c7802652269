"""The journal in memory keeps the contract."""

from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_journal import JournalContract
from tutumstream.journal.memory import MemoryJournal


class MemoryJournalTests(JournalContract, SynchronousTestCase):
    """See the contract."""

    def setUp(self) -> None:
        self.journal = MemoryJournal()
        self.done(self.journal.open())
