"""What a clock that is set, and a process that is stopped, cost those who wait."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.base import ReactorBase
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.steady import BELIEVED_AFTER, DOUBTED, STOPPED, keep_steady, looking_twice, steady_clock


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


class ALookAtTheSockets(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 50.0
        self.stop = 0.0
        self.looks: list[float | None] = []
        self.look = looking_twice(self.take, lambda: self.now)

    def take(self, seconds: float | None) -> None:
        """Waits for as long as it may, and for as long as the process is stopped."""
        self.looks.append(seconds)
        self.now += (seconds or 0.0) + self.stop

    def test_is_enough_where_it_takes_the_time_it_was_given(self) -> None:
        self.look(20.0)
        self.assertEqual(self.looks, [20.0])

    def test_is_enough_where_it_takes_little_longer(self) -> None:
        self.stop = STOPPED
        self.look(0.5)
        self.assertEqual(self.looks, [0.5])

    def test_is_repeated_without_a_wait_after_a_stop_so_that_what_came_meanwhile_came_in_time(self) -> None:
        self.stop = 600.0
        self.look(20.0)
        self.assertEqual(self.looks, [20.0, 0])

    def test_is_enough_however_long_it_takes_where_no_timer_waits(self) -> None:
        self.stop = 600.0
        self.look(None)
        self.assertEqual(self.looks, [None])
