"""What a clock that is set costs those who wait."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.base import ReactorBase
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.steady import BELIEVED_AFTER, DOUBTED, keep_steady, steady_clock


class World:
    """The machine's two clocks."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_000_000.0, 50.0
        self.clock = steady_clock(lambda: self.wall, lambda: self.steady)

    def pass_by(self, seconds: float) -> None:
        """Time goes on."""
        self.wall += seconds
        self.steady += seconds


class ASteadyClock(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.clock = self.world.clock

    def test_shows_the_machines_time(self) -> None:
        for _ in range(3):
            self.world.pass_by(2.5)
            self.assertEqual(self.clock(), self.world.wall)

    def test_takes_a_small_step_forward_as_it_comes(self) -> None:
        self.world.wall += DOUBTED
        self.assertEqual(self.clock(), self.world.wall)

    def test_believes_in_a_large_step_forward_once_it_has_lasted(self) -> None:
        self.world.wall += 7200.0
        self.assertEqual(self.clock(), 1_000_000.0)
        self.world.pass_by(BELIEVED_AFTER - 1.0)
        self.assertEqual(self.clock(), 1_000_000.0 + BELIEVED_AFTER - 1.0)
        self.world.pass_by(1.0)
        self.assertEqual(self.clock(), self.world.wall)

    def test_knows_nothing_of_a_step_forward_that_was_taken_back_at_once(self) -> None:
        for _ in range(3):
            self.world.wall += 30 * 86400.0
            self.clock()
            self.world.pass_by(BELIEVED_AFTER - 10.0)
            self.clock()
            self.world.wall -= 30 * 86400.0
            self.assertEqual(self.clock(), self.world.wall)

    def test_counts_the_time_that_the_machine_slept(self) -> None:
        self.world.pass_by(8 * 3600.0)
        self.assertEqual(self.clock(), self.world.wall)

    def test_goes_on_at_half_the_speed_after_a_step_back_until_the_two_agree(self) -> None:
        self.world.wall -= 7200.0
        self.assertEqual(self.clock(), 1_000_000.0)
        self.world.pass_by(60.0)
        self.assertEqual(self.clock(), 1_000_030.0)
        self.world.pass_by(4 * 3600.0 - 60.0)
        self.assertEqual(self.clock(), self.world.wall)
        self.world.pass_by(60.0)
        self.assertEqual(self.clock(), self.world.wall)

    @given(st.lists(st.tuples(st.floats(0.0, 1e5), st.floats(-1e6, 1e6))))
    def test_never_goes_back_and_never_slower_than_half_the_time(self, steps: list[tuple[float, float]]) -> None:
        world = World()
        before = world.clock()
        for passed, step in steps:
            world.pass_by(passed)
            world.wall += step
            now = world.clock()
            self.assertGreaterEqual(now, before + passed / 2 - 1e-6)
            before = now

    def test_rules_the_timers_of_a_reactor(self) -> None:
        class Reactor(ReactorBase):
            def installWaker(self) -> None:
                """Nobody wakes it."""

        reactor = Reactor()
        keep_steady(reactor)
        reactor.seconds = steady_clock(lambda: self.world.wall, lambda: self.world.steady)  # type: ignore[method-assign]
        fired: list[str] = []
        reactor.callLater(10.0, fired.append, "late")
        self.world.wall -= 7200.0
        self.world.pass_by(19.0)
        reactor.runUntilCurrent()
        self.assertEqual(fired, [])
        self.world.pass_by(1.5)
        reactor.runUntilCurrent()
        self.assertEqual(fired, ["late"])
