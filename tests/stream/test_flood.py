"""What comes in floods gets so many lines a minute, and none is forgotten."""

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.stream.flood import LINES, MINUTE, Flood


class AFlood(SynchronousTestCase):
    def setUp(self) -> None:
        self.flood = Flood()

    def lines(self, count: int, now: float) -> int:
        return sum(self.flood.admits(now) for _ in range(count))

    def test_gets_so_many_lines_a_minute(self) -> None:
        self.assertEqual(self.lines(3 * LINES, 100.0), LINES)
        self.assertEqual(self.lines(LINES, 99.0 + MINUTE), 0)
        self.assertEqual(self.lines(3 * LINES, 100.0 + MINUTE), LINES)

    def test_counts_what_got_none_until_it_is_asked(self) -> None:
        self.lines(LINES + 7, 100.0)
        self.assertEqual((self.flood.take_left_out(), self.flood.take_left_out()), (7, 0))

    def test_that_is_none_gets_a_line_for_each(self) -> None:
        for minute in range(5):
            self.assertEqual(self.lines(LINES, minute * MINUTE), LINES)
        self.assertEqual(self.flood.take_left_out(), 0)

    def test_does_not_wait_for_a_clock_that_was_set_back(self) -> None:
        self.lines(LINES, 10_000.0)
        self.assertEqual(self.lines(1, 50.0), 1)
