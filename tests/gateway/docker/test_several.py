import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.gateway.docker.model import CLUSTER, START, FakeEngine, container, container_id, event
from tests.gateway.docker.swarm.test_folds import task
from tutumstream.errors import DockerError
from tutumstream.gateway.docker.facts import Membership
from tutumstream.gateway.docker.platform import DockerPlatform
from tutumstream.gateway.docker.several import PATIENCE, SeveralEngines
from tutumstream.gateway.docker.swarm.facts import Machine, Ordered, Swarm
from tutumstream.gateway.platform import Change, IPlatform, Order, OrderError, Taken


class TwoEngines(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.one, self.two = FakeEngine(), FakeEngine()
        self.one.host, self.two.host = "one", "two"
        self.one.truth.containers[container_id(1)] = container(1, "web")
        self.two.truth.containers[container_id(2)] = container(2, "web")
        self.platform = SeveralEngines(self.engines(), self.clock)
        self.changes: list[Change] = []
        self.noticed: list[tuple[bool, bool]] = []
        self.platform.subscribe(self.changes.append)
        self.platform.watch(lambda: self.noticed.append((self.platform.synced, self.platform.in_sight)))
        self.addCleanup(lambda: self.successResultOf(self.platform.stop()))

    def engines(self) -> list[DockerPlatform]:
        return [
            DockerPlatform(engine, self.clock, name=engine.host, jitter=lambda: 1.0, insist=True)
            for engine in (self.one, self.two)
        ]

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.5] * int(seconds * 2))

    def states(self) -> list[str]:
        return [str(node["state"]) for node in self.platform.list("node")]

    def test_are_a_platform(self) -> None:
        verifyObject(IPlatform, self.platform)

    def test_show_the_objects_of_each_and_a_node_for_each(self) -> None:
        self.successResultOf(self.platform.start())
        self.assertTrue(self.platform.synced)
        self.assertEqual(len({one["uuid"] for one in self.platform.list("service")}), 2)
        self.assertEqual([one["nickname"] for one in self.platform.list("node")], ["one", "two"])
        for one in self.platform.list("container"):
            self.assertEqual(self.platform.get("container", one["uuid"]), one)
        self.assertIsNone(self.platform.get("container", "none"))

    def test_are_caught_up_with_when_each_is(self) -> None:
        self.successResultOf(self.platform.start())
        self.two.send(event("create", 3, START))
        self.clock.advance(0)
        self.two.silent = True
        self.two.send(event("start", 3, START + 0.1))
        self.clock.advance(0)
        caught_up = self.platform.caught_up("container")
        self.assertNoResult(caught_up)
        self.two.answer_all()
        self.successResultOf(caught_up)

    def test_one_that_is_lost_does_not_blind_the_other(self) -> None:
        self.successResultOf(self.platform.start())
        self.pass_time(20)
        self.two.down = "no such socket"
        self.two.hang_up()
        self.pass_time(20)
        self.assertEqual(self.states(), ["Deployed", "Unreachable"])
        self.assertTrue(self.platform.in_sight)
        self.assertEqual(self.platform.troubles(), ["Docker Engine two: no such socket"])
        self.one.down = "no such socket"
        self.one.hang_up()
        self.pass_time(20)
        self.assertFalse(self.platform.in_sight)
        self.one.down = self.two.down = None
        self.pass_time(20)
        self.assertEqual((self.states(), self.platform.troubles()), (["Deployed", "Deployed"], []))
        self.assertEqual([one.action for one in self.changes if one.type != "node"], [])

    def test_one_that_can_not_be_reached_at_the_start_is_tried_again(self) -> None:
        self.two.down = "no such socket"
        self.successResultOf(self.platform.start())
        self.assertEqual(self.states(), ["Deployed", "Unreachable"])
        self.two.down = None
        self.pass_time(20)
        self.assertEqual(self.states(), ["Deployed", "Deployed"])
        self.assertEqual(len(self.platform.list("container")), 2)
        self.assertEqual([one.type for one in self.changes], ["node", "node"])

    def test_one_that_hangs_at_the_start_is_not_waited_for_for_long(self) -> None:
        self.two.silent = True
        started = self.platform.start()
        self.pass_time(PATIENCE - 1)
        self.assertNoResult(started)
        self.pass_time(1)
        self.successResultOf(started)
        self.assertEqual(self.noticed[-1], (True, True))

    def test_none_that_can_be_reached_is_waited_for_where_that_is_wanted(self) -> None:
        self.platform = SeveralEngines(self.engines(), self.clock, insist=True)
        self.one.down, self.two.down = "refused", "gone"
        started = self.platform.start()
        self.pass_time(100)
        self.assertNoResult(started)
        self.assertEqual(self.platform.troubles(), ["Docker Engine one: refused", "Docker Engine two: gone"])
        self.two.down = None
        self.pass_time(20)
        self.successResultOf(started)
        self.assertEqual((self.platform.in_sight, len(self.platform.troubles())), (True, 1))

    def test_none_that_can_be_reached_fails_the_start_and_names_all(self) -> None:
        self.one.down, self.two.down = "refused", "gone"
        problem = self.failureResultOf(self.platform.start(), DockerError).value
        self.assertIn("one: refused", str(problem))
        self.assertIn("two: gone", str(problem))

    def manage(self, *engines: FakeEngine) -> None:
        """Make each a manager of the same swarm, with a node of its own."""
        for engine in engines:
            node = f"{engine.host:n<25}"
            engine.membership = Membership(state="active", node=node, manager=True, cluster=CLUSTER)
            engine.swarms = Swarm(machines=(Machine(id=node, hostname=engine.host, state="ready"),))

    def test_two_managers_of_one_swarm_are_refused_at_the_start_and_both_are_named(self) -> None:
        self.manage(self.one, self.two)
        problem = self.failureResultOf(self.platform.start(), DockerError).value
        self.assertIn("two: it manages the same swarm as one", str(problem))
        self.assertIn("name only one", str(problem))
        self.assertFalse(self.platform.synced)

    def work(self, manager: FakeEngine, worker: FakeEngine) -> dict[str, str]:
        """Make the one a manager, the other a worker of its swarm; the labels of a task there."""
        self.manage(manager)
        node, service = f"{worker.host:n<25}", "s" * 25
        worker.membership = Membership(state="active", node=node)
        manager.swarms = Swarm(
            machines=(*manager.swarms.machines, Machine(id=node, hostname="far", state="ready")),
            services=(Ordered(id=service, name="shop_api", replicas=1, stack="shop"),),
        )
        swarm = {"node.id": node, "service.id": service, "service.name": "shop_api", "task.id": "k" * 25}
        labels = {f"com.docker.swarm.{name}": value for name, value in swarm.items()}
        return {**labels, "com.docker.stack.namespace": "shop"}

    def answer_with_task(self, manager: FakeEngine, worker: FakeEngine, state: str) -> None:
        one = task(1, state, service="s" * 25, node=f"{worker.host:n<25}", container=container_id(7))
        manager.swarms = msgspec.structs.replace(manager.swarms, tasks=(one,))

    def told(self) -> list[str]:
        lines = [f"{change.type} {change.action} {change.state}" for change in self.changes]
        self.changes.clear()
        return lines

    def test_the_tasks_of_a_worker_are_told_by_its_manager_alone_and_all_else_there_by_itself(self) -> None:
        self.assert_told_once(self.one, self.two)

    def test_the_same_where_the_worker_is_named_first(self) -> None:
        self.assert_told_once(self.two, self.one)

    def assert_told_once(self, manager: FakeEngine, worker: FakeEngine) -> None:
        labels = self.work(manager, worker)
        self.successResultOf(self.platform.start())
        worker.send(event("create", 7, START + 1, name="shop_api.1.k", **labels))
        worker.send(event("start", 7, START + 2, name="shop_api.1.k", **labels))
        self.pass_time(1)
        self.assertEqual(self.told(), [])
        self.answer_with_task(manager, worker, "running")
        self.pass_time(10)
        told = self.told()
        self.assertEqual(sorted(told)[:2], ["container create Starting", "container update Running"])
        self.assertEqual(len(told), len(set(told)))
        worker.send(event("die", 7, START + 20, exitCode="3", **labels))
        worker.send(event("destroy", 7, START + 21, **labels))
        self.pass_time(10)
        self.assertEqual(self.told(), [])
        worker.send(event("create", 8, START + 30, name="own"))
        self.pass_time(1)
        self.assertEqual(self.told(), ["service create Starting", "container create Starting"])
        for kind in ("container", "service", "stack", "node"):
            shown = self.platform.list(kind)
            self.assertEqual(len({one["uuid"] for one in shown}), len(shown), kind)
            self.assertEqual([self.platform.get(kind, one["uuid"]) for one in shown], shown)

    def test_a_worker_that_is_lost_is_a_trouble_and_as_a_node_it_is_what_its_manager_says(self) -> None:
        self.work(self.one, self.two)
        self.successResultOf(self.platform.start())
        self.pass_time(10)
        self.changes.clear()
        self.two.down = "no such socket"
        self.two.hang_up()
        self.pass_time(20)
        self.assertEqual((self.told(), self.platform.troubles()), ([], ["Docker Engine two: no such socket"]))

    def test_an_order_for_a_task_goes_to_the_engine_where_it_runs_and_for_its_service_to_the_manager(self) -> None:
        labels = self.work(self.one, self.two)
        self.answer_with_task(self.one, self.two, "running")
        self.two.truth.containers[container_id(7)] = container(7, "shop_api.1.k", labels=labels)
        self.successResultOf(self.platform.start())
        asked: list[str] = []
        for engine, name in zip(self.platform._engines, ("one", "two"), strict=True):

            def perform(order: Order, name: str = name) -> Deferred[Taken]:
                asked.append(name)
                return fail(OrderError(405, "not here"))

            engine.perform = perform  # type: ignore[method-assign]  # to see who is asked
        for kind in ("container", "service"):
            (one,) = [one for one in self.platform.list(kind) if "shop_api" in one["name"]]
            self.failureResultOf(self.platform.perform(Order(verb="stop", kind=kind, uuid=str(one["uuid"]))))
        self.assertEqual(asked, ["two", "one"])

    def test_a_worker_whose_manager_is_not_named_tells_its_tasks_itself(self) -> None:
        labels = self.work(FakeEngine(), self.two)
        self.successResultOf(self.platform.start())
        self.two.send(event("create", 7, START + 1, name="shop_api.1.k", **labels))
        self.pass_time(1)
        self.assertIn("container create Starting", self.told())

    def test_a_manager_and_another_engine_are_none_of_it(self) -> None:
        self.manage(self.one)
        self.successResultOf(self.platform.start())
        self.assertEqual((self.platform.synced, self.platform.troubles()), (True, []))

    def test_a_manager_of_the_same_swarm_that_comes_later_is_left_out_and_that_is_a_trouble(self) -> None:
        self.manage(self.one, self.two)
        self.two.down = "no such socket"
        self.successResultOf(self.platform.start())
        self.two.down = None
        self.pass_time(20)
        (trouble,) = self.platform.troubles()
        self.assertIn("two: it manages the same swarm as one", trouble)
        self.assertEqual([one["nickname"] for one in self.platform.list("node")], ["one"])
        self.assertTrue(self.platform.in_sight)
        self.assertTrue(self.two.closed)

    def test_an_engine_that_becomes_one_is_left_out(self) -> None:
        self.manage(self.one)
        self.two.membership = Membership(state="inactive")
        self.successResultOf(self.platform.start())
        self.manage(self.two)
        self.pass_time(70)
        self.assertIn("two: it manages the same swarm as one", " ".join(self.platform.troubles()))
        self.assertTrue(self.two.closed)

    def test_stopping_before_it_started_ends_the_start(self) -> None:
        self.one.silent = self.two.silent = True
        started = self.platform.start()
        self.successResultOf(self.platform.stop())
        self.failureResultOf(started)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_orders_go_where_the_object_is(self) -> None:
        self.successResultOf(self.platform.start())
        uuid = str(self.platform.list("container")[1]["uuid"])
        for asked, status in ((uuid, 405), ("none", 404)):
            failure = self.failureResultOf(self.platform.perform(Order(verb="stop", kind="container", uuid=asked)))
            problem = failure.value
            assert isinstance(problem, OrderError)
            self.assertEqual(problem.status, status)
        self.assertIsNone(self.platform.logs("container", "none", 1, False, None))  # type: ignore[arg-type]  # not asked
