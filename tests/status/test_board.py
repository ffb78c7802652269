from twisted.trial.unittest import SynchronousTestCase

from tutumstream.delivery.state import Failing, Ok
from tutumstream.status.board import Board, Snapshot
from tutumstream.stream.connection import Connected, Stopped, Waiting


class TheBoard(SynchronousTestCase):
    def setUp(self) -> None:
        self.problem = ""
        self.shown: list[Snapshot] = []
        self.board = Board(lambda: self.problem, self.shown.append)

    def test_begins_with_nothing_ready(self) -> None:
        self.assertEqual(self.board.snapshot().reasons, ("stream: not begun yet", "journal: not open yet"))

    def test_is_ready_when_the_stream_is_connected_and_the_journal_works(self) -> None:
        self.board.stream_is(Connected(1.0))
        self.board.journal_is_open()
        self.assertEqual(self.board.snapshot().reasons, ())

    def test_says_why_it_is_not(self) -> None:
        self.board.journal_is_open()
        self.board.stream_is(Waiting(1.0, 2.0, "it refused the connection"))
        self.problem = "the disk is full"
        self.assertEqual(
            self.board.snapshot().reasons,
            ("stream: lost: it refused the connection", "journal: the disk is full"),
        )
        self.board.stream_is(Stopped())
        self.assertEqual(self.board.snapshot().reasons[0], "stream: stopped")

    def test_is_ready_even_if_a_destination_is_not(self) -> None:
        self.board.stream_is(Connected(1.0))
        self.board.journal_is_open()
        self.board.destination_is("slack", Failing(1.0, "500"))
        self.assertEqual(self.board.snapshot().reasons, ())

    def test_shows_each_change_once(self) -> None:
        self.board.destination_is("slack", Ok())
        self.board.destination_is("slack", Ok())
        self.board.destination_is("slack", Failing(1.0, "500"))
        self.assertEqual([str(each.destinations["slack"]) for each in self.shown], ["ok", "failing: 500"])

    def test_gives_snapshots_that_do_not_change(self) -> None:
        before = self.board.snapshot()
        self.board.destination_is("slack", Ok())
        self.board.counted("events")
        self.assertEqual((dict(before.destinations), before.counts["events"]), ({}, 0))
