from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import CLUSTER, NODE
from tutumstream.errors import DockerError
from tutumstream.gateway.docker.facts import Engine, Membership
from tutumstream.gateway.docker.swarm.facts import Swarm
from tutumstream.gateway.docker.swarm.watch import AT_REST, BUSY_FOR, FOLLOWED, SOON, STRANGER, SwarmWatch

MANAGER = Engine(swarm=Membership(state="active", node=NODE, manager=True, cluster=CLUSTER))
WORKER = Engine(swarm=Membership(state="active", node=NODE))
STARTING = Engine(swarm=Membership(state="pending", node=NODE))


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.engine = MANAGER
        self.moving = False
        self.described: list[Engine] = []
        self.asked: list[float] = []
        self.answer: Callable[[], Deferred[Swarm]] = lambda: succeed(Swarm())
        self.watch = SwarmWatch(self.clock, self.info, self.swarm, self.described.append, self.counted)
        self.addCleanup(self.watch.stop)

    def info(self) -> Deferred[Engine]:
        return succeed(self.engine)

    def swarm(self) -> Deferred[Swarm]:
        self.asked.append(self.clock.seconds())
        return self.answer()

    def counted(self, swarm: Swarm, asked: float) -> bool:
        self.assertEqual(asked, self.asked[-1])
        return self.moving

    def look(self) -> None:
        self.successResultOf(self.watch.look(self.engine))

    def times(self, seconds: float, step: float = 0.01) -> int:
        """How often it asks in this time."""
        self.asked.clear()
        self.clock.pump([step] * round(seconds / step))
        return len(self.asked)

    def test_at_rest_it_asks_rarely(self) -> None:
        self.look()
        self.assertEqual(self.times(AT_REST * 3 + 0.1), 3)

    def test_a_burst_of_hints_is_one_question_soon(self) -> None:
        self.look()
        self.asked.clear()
        for _ in range(100):
            self.watch.hint()
        self.clock.advance(SOON)
        self.assertEqual(len(self.asked), 1)

    def test_after_a_hint_it_asks_often_for_a_while_and_while_something_moves_for_longer(self) -> None:
        self.look()
        self.watch.hint()
        self.assertIn(self.times(FOLLOWED), range(5, 8))
        self.assertLess(self.times(FOLLOWED), 3)
        self.moving = True
        self.watch.hint()
        self.assertIn(self.times(BUSY_FOR, 0.1), range(100, 125))
        self.assertEqual(self.times(AT_REST * 2), 2)

    def test_a_hint_while_it_asks_is_not_lost(self) -> None:
        self.look()
        gate: Deferred[Swarm] = Deferred()
        self.answer = lambda: gate
        self.watch.hint()
        self.clock.advance(SOON)
        self.watch.hint()
        self.answer = lambda: succeed(Swarm())
        before = len(self.asked)
        gate.callback(Swarm())
        self.clock.advance(SOON)
        self.assertEqual(len(self.asked), before + 1)

    def test_an_engine_without_a_swarm_is_not_asked_until_there_is_a_hint(self) -> None:
        self.engine = Engine()
        self.look()
        self.assertEqual((self.times(100, 1.0), self.clock.getDelayedCalls()), (0, []))
        self.engine = MANAGER
        self.watch.hint()
        self.clock.advance(SOON)
        self.assertEqual((self.described, len(self.asked)), ([MANAGER], 1))

    def test_a_worker_that_is_promoted_is_noticed(self) -> None:
        self.engine = WORKER
        self.look()
        self.engine = MANAGER
        self.assertEqual(self.times(STRANGER - 1, 1.0), 0)
        self.assertEqual(self.times(2, 1.0), 1)

    def test_an_engine_that_is_just_starting_is_asked_again(self) -> None:
        self.engine = STARTING
        self.look()
        self.engine = MANAGER
        self.assertEqual(self.times(AT_REST + 0.1), 1)
        self.assertEqual(self.described, [MANAGER])

    def test_managers_that_do_not_answer_are_asked_again_and_so_is_the_engine(self) -> None:
        self.answer = lambda: fail(DockerError("unix:///test.sock", "503: no leader"))
        self.look()
        self.answer = lambda: succeed(Swarm())
        self.engine = Engine()
        self.assertEqual(self.times(AT_REST + 0.1), 0)
        self.assertEqual(self.described, [Engine()])

    def test_it_stops_while_it_waits_and_while_it_asks(self) -> None:
        self.look()
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        gate: Deferred[Swarm] = Deferred()
        self.answer = lambda: gate
        watch = SwarmWatch(self.clock, self.info, self.swarm, self.described.append, self.counted)
        looking = watch.look(MANAGER)
        watch.stop()
        self.successResultOf(looking)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_bug_does_not_end_the_asking(self) -> None:
        self.answer = lambda: fail(RuntimeError("boom"))
        self.look()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.answer = lambda: succeed(Swarm())
        self.assertEqual(self.times(AT_REST + 0.1), 1)
