from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_journal import an_event, to
from tutumstream.journal.housekeeping import INTERVAL, Housekeeping
from tutumstream.journal.interface import Limits
from tutumstream.journal.memory import MemoryJournal


class HousekeepingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.journal = MemoryJournal()
        self.journal.open()
        limits = Limits(history_seconds=100.0, pending_rows=2, in_hand=0)
        self.housekeeping = Housekeeping(self.journal, limits, self.clock, self.clock.seconds)

    def history(self) -> list[Any]:
        return self.successResultOf(self.journal.history(10))

    def test_what_is_too_old_goes_within_a_minute(self) -> None:
        self.journal.record(an_event(received_at=0.0), [])
        self.housekeeping.start()
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.history()), 1)
        self.clock.advance(INTERVAL)
        self.assertEqual(self.history(), [])

    def test_an_overflow_is_an_error_in_the_log(self) -> None:
        self.journal.record(an_event(received_at=50.0), [to("slack")] * 5)
        self.housekeeping.start()
        with capturedLogs() as logs:
            self.clock.advance(INTERVAL)
        (told,) = [event for event in logs if event["log_level"].name == "error"]
        self.assertEqual((told["limit"], told["count"]), (2, 3))

    def test_a_journal_that_refuses_is_asked_again_the_next_minute(self) -> None:
        self.journal.record(an_event(received_at=0.0), [])
        self.journal.close()
        self.housekeeping.start()
        self.clock.advance(INTERVAL)
        self.journal.open()
        self.clock.advance(INTERVAL)
        self.assertEqual(self.history(), [])

    def test_that_it_can_not_be_done_is_told_once_and_so_is_the_end_of_that(self) -> None:
        self.journal.close()
        self.housekeeping.start()
        with capturedLogs() as logs:
            self.clock.pump([INTERVAL] * 3)
            self.journal.open()
            self.clock.pump([INTERVAL] * 2)
        told = [(event["log_level"].name, formatEvent(event)) for event in logs]
        self.assertEqual(
            told,
            [
                ("warn", "the journal can't be pruned, so it grows: journal in memory: is not open"),
                ("info", "the journal is pruned again"),
            ],
        )

    def test_nothing_is_pruned_once_it_is_stopped(self) -> None:
        self.journal.record(an_event(received_at=0.0), [])
        self.housekeeping.stop()
        self.housekeeping.start()
        self.housekeeping.stop()
        self.clock.advance(1000.0)
        self.assertEqual(len(self.history()), 1)
