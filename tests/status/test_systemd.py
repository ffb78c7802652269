from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.delivery.state import Failing, Ok
from tutumstream.status.board import Board
from tutumstream.status.systemd import Systemd
from tutumstream.stream.connection import Connected, Waiting


class Systemds(SynchronousTestCase):
    running = True

    def make(self, **environment: str) -> Systemd:
        self.clock = Clock()
        self.sent: list[str] = []
        self.waiting: list[Callable[[], object]] = []
        return Systemd(self.sent.append, self.clock, environment, self.when_running)

    def when_running(self, call: Callable[[], object]) -> None:
        if self.running:
            call()
        else:
            self.waiting.append(call)

    def test_is_told_when_we_are_ready_and_when_we_stop(self) -> None:
        systemd = self.make()
        systemd.ready()
        self.clock.advance(3600)
        systemd.stopping()
        self.assertEqual(self.sent, ["READY=1", "STOPPING=1"])

    def test_hears_that_we_are_ready_once_we_take_signals(self) -> None:
        self.running = False
        systemd = self.make()
        systemd.ready()
        systemd.say("well")
        self.assertEqual(self.sent, [])
        for call in self.waiting:
            call()
        self.assertEqual(self.sent, ["READY=1", "STATUS=well"])

    def test_watchdog_is_fed_twice_in_its_time(self) -> None:
        systemd = self.make(WATCHDOG_USEC="30000000")
        systemd.ready()
        self.clock.pump([15.0, 15.0])
        self.assertEqual(self.sent, ["READY=1", *["WATCHDOG=1"] * 3])

    def test_watchdog_is_fed_no_more_once_we_stop(self) -> None:
        systemd = self.make(WATCHDOG_USEC="30000000")
        systemd.ready()
        systemd.stopping()
        self.clock.advance(60)
        self.assertEqual(self.sent, ["READY=1", "WATCHDOG=1", "STOPPING=1"])

    def test_watchdog_that_makes_no_sense_is_none(self) -> None:
        for sense in ("soon", "-1", "²", "9" * 21, "9" * 5000):
            self.make(WATCHDOG_USEC=sense).ready()
            self.assertEqual(self.sent, ["READY=1"])

    def test_status_is_one_line_and_sent_once_per_change(self) -> None:
        systemd = self.make()
        board = Board(lambda: "", lambda snapshot: systemd.say(str(snapshot)))
        board.stream_is(Connected(1.0))
        board.destination_is("slack", Ok())
        board.destination_is("slack", Failing(1.0, "500\noops"))
        board.stream_is(Waiting(1.0, 2.0, "gone"))
        self.assertEqual(
            self.sent,
            [
                "STATUS=stream connected",
                "STATUS=stream connected; slack failing: 500 oops",
                "STATUS=stream lost: gone; slack failing: 500 oops",
            ],
        )
