from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.delivery.rows import row
from tutumstream.delivery.unwritten import Unwritten
from tutumstream.errors import JournalError
from tutumstream.journal.interface import Pending


class WhatIsNotWrittenYet(SynchronousTestCase):
    """At most two rows of it."""

    def setUp(self) -> None:
        self.settling: list[tuple[list[int], Deferred[None]]] = []
        self.rooms: list[int] = []
        self.unwritten = Unwritten(self.settle, 2, lambda: self.rooms.append(self.unwritten.rows))

    def settle(self, rows: Sequence[Pending]) -> Deferred[None]:
        self.settling.append(([each.seq for each in rows], Deferred()))
        return self.settling[-1][1]

    def test_makes_room_where_there_was_none_and_when_it_is_all_written(self) -> None:
        writes: list[Deferred[None]] = [Deferred() for _ in range(4)]
        for write in writes:
            self.unwritten.own(write, 1, "x")
        self.assertTrue(self.unwritten.full)
        for write, rooms in zip(writes, ([], [], [1], [1, 0]), strict=True):
            write.callback(None)
            self.assertEqual(self.rooms, rooms)

    def test_has_room_again_where_it_can_not_be_written_and_says_so(self) -> None:
        with capturedLogs() as logs:
            for number in (1, 2):
                write: Deferred[None] = Deferred()
                self.unwritten.own(write, 1, f"do {number}")
                write.errback(JournalError("j", "the disk is full"))
            self.unwritten.arrived([row(1)])
            self.settling[0][1].errback(JournalError("j", "the disk is full"))
        self.assertEqual(self.unwritten.rows, 0)
        found = [formatEvent(log) for log in logs]
        for line, what in zip(found, ("do 1", "do 2", "write down what was delivered"), strict=True):
            self.assertIn(what, line)

    def test_is_settled_when_all_of_it_is_written_for_all_who_wait_for_that(self) -> None:
        self.successResultOf(self.unwritten.settled())
        self.unwritten.arrived([row(1)])
        self.unwritten.arrived([row(2), row(3)])
        self.assertEqual([seqs for seqs, _ in self.settling], [[1]])
        impatient, first, second = (self.unwritten.settled() for _ in range(3))
        impatient.cancel()
        self.successResultOf(impatient)
        self.settling[0][1].callback(None)
        self.assertEqual([seqs for seqs, _ in self.settling], [[1], [2, 3]])
        self.assertNoResult(first)
        self.settling[1][1].callback(None)
        self.successResultOf(first)
        self.successResultOf(second)
        self.unwritten.arrived([row(4)])
        self.assertEqual(self.settling[2][0], [4])
