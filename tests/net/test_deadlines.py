from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.net.deadlines import Deadlines


class Guest:
    """Notes when it expired."""

    def __init__(self, deadline: float, expire: Callable[[], None]) -> None:
        self.deadline = deadline
        self.expire = expire


class DeadlinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock)
        self.expired: list[tuple[float, float]] = []

    def hold(self, deadline: float) -> Guest:
        guest = Guest(deadline, lambda: self.expired.append((deadline, self.clock.seconds())))
        self.deadlines.add(guest)
        return guest

    def test_each_expires_in_its_time_whatever_the_order(self) -> None:
        for deadline in (5.0, 2.0, 9.0, 2.0):
            self.hold(deadline)
        self.clock.pump([1.0] * 10)
        self.assertEqual(self.expired, [(2.0, 2.0), (2.0, 2.0), (5.0, 5.0), (9.0, 9.0)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_is_discarded_does_not_expire(self) -> None:
        kept, gone = self.hold(2.0), self.hold(1.0)
        self.deadlines.discard(gone)
        self.deadlines.discard(gone)
        self.clock.pump([1.0] * 3)
        self.assertEqual(self.expired, [(kept.deadline, 2.0)])

    def test_a_flow_of_them_sets_a_timer_only_now_and_then(self) -> None:
        set_before = len(self.clock.calls)
        fired = []
        for _ in range(1000):
            guest = self.hold(self.clock.seconds() + 10.0)
            fired.append(self.clock.getDelayedCalls()[0].getTime())
            self.clock.advance(0.1)
            self.deadlines.discard(guest)
        self.assertEqual(set_before, 0)
        self.assertLess(len(set(fired)), 15)
        self.assertEqual(self.expired, [])

    def test_a_time_that_has_passed_expires_in_the_next_turn(self) -> None:
        self.clock.advance(10.0)
        self.hold(9.0)
        self.assertEqual(self.expired, [])
        self.clock.advance(0.0)
        self.assertEqual(self.expired, [(9.0, 10.0)])

    def test_one_that_expires_may_discard_another_and_bring_a_new_one(self) -> None:
        both: list[Guest] = []

        def expires() -> None:
            for guest in both:
                self.deadlines.discard(guest)
            self.hold(3.0)

        both += [Guest(1.0, expires), Guest(1.0, expires)]
        for guest in both:
            self.deadlines.add(guest)
        self.hold(5.0)
        self.clock.pump([1.0] * 5)
        self.assertEqual(self.expired, [(3.0, 3.0), (5.0, 5.0)])
