import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.gateway.docker.model import CLUSTER, NODE, START, FakeEngine, compose, container, container_id, event
from tutumstream.errors import DockerError
from tutumstream.gateway.docker.facts import Container, Membership
from tutumstream.gateway.docker.pausing import LONGEST_PAUSE, pause_before
from tutumstream.gateway.docker.platform import CATCH_UP, TICK, DockerPlatform
from tutumstream.gateway.docker.registry import LEISURE
from tutumstream.gateway.docker.swarm.facts import Machine, Ordered, Swarm
from tutumstream.gateway.docker.transport import Feed
from tutumstream.gateway.platform import Change, IPlatform


class PlatformTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.engine = FakeEngine()
        self.platform = DockerPlatform(self.engine, self.clock, name="test", jitter=lambda: 1.0)
        self.changes: list[Change] = []
        self.platform.subscribe(self.changes.append)
        self.addCleanup(self.stop)

    def stop(self) -> None:
        self.successResultOf(self.platform.stop())

    def start(self) -> None:
        self.successResultOf(self.platform.start())

    def told(self) -> list[str]:
        lines = [f"{change.type} {change.action} {change.state}" for change in self.changes]
        self.changes.clear()
        return lines

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.5] * int(seconds * 2))

    def run_container(self, number: int = 1, **labels: str) -> None:
        self.engine.send(event("create", number, self.clock.seconds(), **labels))
        self.clock.advance(0)
        self.engine.send(event("start", number, self.clock.seconds() + 0.1, **labels))
        self.clock.advance(0)

    def test_it_is_a_platform(self) -> None:
        verifyObject(IPlatform, self.platform)

    def test_what_is_there_at_the_start_is_known_and_no_news(self) -> None:
        self.engine.truth.containers[container_id(1)] = container(labels=compose("web"))
        self.assertFalse(self.platform.synced)
        self.start()
        self.assertTrue(self.platform.synced)
        self.assertEqual(self.told(), [])
        (one,) = self.platform.list("container")
        self.assertEqual((one["name"], one["state"]), ("web", "Running"))
        self.assertEqual(self.platform.get("container", one["uuid"]), one)
        self.assertEqual(self.platform.list("stack")[0]["name"], "shop")

    def test_the_stream_is_opened_before_anything_is_listed(self) -> None:
        self.start()
        self.assertEqual(self.engine.asked[:4], ["negotiate", "info", "events", "containers"])

    def test_docker_run_is_told_at_once_and_in_order(self) -> None:
        self.start()
        self.run_container(**compose("web"))
        self.assertEqual(
            self.told(),
            [
                "stack create Starting",
                "service create Starting",
                "container create Starting",
                "container update Running",
                "service update Running",
                "stack update Running",
            ],
        )

    def test_a_change_is_told_after_the_resource_shows_it(self) -> None:
        shown: list[object] = []

        def look(change: Change) -> None:
            kind, uuid = change.resource_uri.split("/")[3:5]
            one = self.platform.get(kind, uuid)
            shown.append(one and one["state"] == change.state)

        self.start()
        self.platform.subscribe(look)
        self.run_container()
        self.engine.send(event("die", at=START + 5, exitCode="1"))
        self.engine.send(event("destroy", at=START + 6))
        self.clock.advance(0)
        self.assertEqual(set(shown[:4]), {True})
        self.assertNotIn(None, shown)

    def test_hints_that_come_while_everything_is_looked_at_are_taken_afterwards(self) -> None:
        self.engine.truth.containers[container_id(1)] = container(1, "old")
        started = self.platform.start()
        self.successResultOf(started)
        self.engine.hang_up()
        self.engine.silent = True
        self.pass_time(1)
        self.engine.answer_all()
        self.pass_time(1)
        self.told()
        self.run_container(2)
        self.assertEqual(self.told()[1], "container create Starting")

    def test_a_container_that_is_created_while_the_first_look_is_taken_is_no_baseline(self) -> None:
        self.engine.truth.containers[container_id(1)] = container(1, "old")
        gate: Deferred[list[str]] = Deferred()
        self.engine.containers = lambda: gate  # type: ignore[method-assign]  # the fake's own seam
        started = self.platform.start()
        self.engine.send(event("create", 2, START + 1))
        self.clock.advance(0)
        self.assertEqual(self.told(), [])
        gate.callback([container_id(1)])
        self.successResultOf(started)
        self.clock.advance(0)
        self.assertEqual(self.told(), ["service create Starting", "container create Starting"])

    def test_it_does_not_start_where_the_engine_can_not_be_reached(self) -> None:
        self.engine.down = "nobody listens"
        failure = self.failureResultOf(self.platform.start(), DockerError)
        self.assertIn("nobody listens", str(failure.value))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.successResultOf(self.platform.stop())

    def test_it_does_not_start_where_the_list_is_refused(self) -> None:
        def refuse() -> Deferred[list[str]]:
            self.engine.down = "403"
            return FakeEngine.containers(self.engine)

        self.engine.containers = refuse  # type: ignore[method-assign]  # the fake's own seam
        self.failureResultOf(self.platform.start(), DockerError)

    def test_stopping_lets_go_of_everything(self) -> None:
        self.start()
        feed = self.engine.feeds[-1]
        self.successResultOf(self.platform.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.successResultOf(feed.ended())
        self.assertTrue(self.engine.closed)
        self.successResultOf(self.platform.stop())

    def test_stopping_before_it_started_ends_the_start(self) -> None:
        self.engine.silent = True
        started = self.platform.start()
        self.successResultOf(self.platform.stop())
        self.failureResultOf(started)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_what_never_started_is_harmless(self) -> None:
        self.successResultOf(self.platform.stop())

    def test_stopping_while_waiting_to_connect_again_ends_the_wait(self) -> None:
        self.start()
        self.engine.down = "gone"
        self.engine.hang_up()
        self.pass_time(5)
        self.successResultOf(self.platform.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_cancels_a_ping_and_a_look_that_wait(self) -> None:
        self.start()
        asked: list[Deferred[None]] = []

        def wait(*_: object) -> Deferred[None]:
            asked.append(Deferred())
            return asked[-1]

        self.engine.ping = wait  # type: ignore[method-assign]  # the fake's own seam
        self.engine.containers = wait  # type: ignore[assignment,method-assign]  # the fake's own seam
        self.engine.feeds[-1].dataReceived(b"x" * (Feed.LINE_LIMIT + 1) + b"\n")
        self.pass_time(11)
        self.assertEqual(len(asked), 2)
        self.successResultOf(self.platform.stop())
        self.assertEqual([waiting.called for waiting in asked], [True, True])
        self.assertEqual((self.told(), self.clock.getDelayedCalls()), ([], []))

    def test_stopping_drops_the_looks_at_single_containers(self) -> None:
        self.engine.truth.containers[container_id(1)] = container()
        asked: list[Deferred[None]] = []

        def wait(_: str) -> Deferred[None]:
            asked.append(Deferred())
            return asked[-1]

        self.platform = DockerPlatform(self.engine, self.clock, name="test", jitter=lambda: 1.0)
        self.platform._inspector._inspect = wait  # type: ignore[assignment]  # to hold the answer back
        started = self.platform.start()
        self.assertEqual(len(asked), 1)
        self.successResultOf(self.platform.stop())
        self.failureResultOf(started)
        self.assertTrue(asked[0].called)

    def test_a_list_that_is_refused_later_costs_the_connection(self) -> None:
        self.start()
        self.pass_time(20)
        real, refusals = self.engine.containers, []

        def refuse() -> Deferred[list[str]]:
            refusals.append(True)
            self.engine.containers = real  # type: ignore[method-assign]  # the fake's own seam
            return fail(DockerError(self.engine.host, "HTTP status 500"))

        self.engine.containers = refuse  # type: ignore[method-assign]  # the fake's own seam
        self.engine.feeds[-1].dataReceived(b"x" * (Feed.LINE_LIMIT + 1) + b"\n")
        self.pass_time(2)
        self.assertEqual((refusals, len(self.engine.feeds), self.told()), ([True], 2, []))

    def test_a_stream_that_is_cut_and_comes_back_at_once_is_no_news(self) -> None:
        self.start()
        self.pass_time(20)
        self.engine.hang_up()
        self.clock.advance(0)
        self.assertEqual(len(self.engine.feeds), 2)
        self.pass_time(20)
        self.assertEqual(self.told(), [])

    def test_an_engine_that_is_gone_is_unreachable_until_it_is_back_and_nothing_is_deleted(self) -> None:
        self.engine.truth.containers[container_id(1)] = container()
        self.start()
        self.pass_time(20)
        self.engine.down = "no such socket"
        self.engine.hang_up()
        self.clock.advance(0)
        self.assertEqual(self.told(), ["node update Unreachable"])
        self.assertEqual(self.platform.list("node")[0]["state"], "Unreachable")
        self.pass_time(60)
        self.assertEqual(self.told(), [])
        self.assertTrue(self.platform.synced)
        self.engine.down = None
        later = (START + 70) * 10**9
        self.engine.truth.containers[container_id(1)] = container(started=later)
        self.engine.truth.containers[container_id(2)] = container(2, "new", "created", created=later)
        self.pass_time(LONGEST_PAUSE)
        self.assertEqual(
            self.told(),
            [
                "node update Deployed",
                "container update Stopped",
                "service update Stopped",
                "container update Running",
                "service update Running",
                "service create Starting",
                "container create Starting",
            ],
        )

    def test_an_engine_that_is_lost_is_out_of_sight_until_everything_was_looked_at_again(self) -> None:
        seen: list[tuple[bool, str]] = []
        self.platform.watch(lambda: seen.append((self.platform.in_sight, "".join(self.platform.troubles()))))
        self.assertEqual((self.platform.in_sight, len(self.platform.troubles())), (False, 1))
        self.start()
        self.pass_time(20)
        self.engine.down = "no such socket"
        self.engine.hang_up()
        self.clock.advance(0)
        self.assertEqual(self.platform.list("node")[0]["state"], "Unreachable")
        self.engine.truth.containers[container_id(1)] = container()
        self.engine.down = None
        gate: Deferred[None] = Deferred()
        self.platform._inspector._inspect = lambda _: gate  # type: ignore[assignment,return-value]  # to hold it back
        self.pass_time(LONGEST_PAUSE)
        self.assertEqual(self.told(), ["node update Unreachable", "node update Deployed"])
        self.assertEqual(len(seen), 2)
        gate.callback(None)
        lost = "Docker Engine unix:///test.sock: no such socket"
        self.assertEqual(seen, [(True, ""), (False, lost), (True, "")])

    def test_an_engine_that_hangs_is_noticed_within_half_a_minute(self) -> None:
        self.start()
        self.pass_time(10)
        self.engine.silent = True
        self.pass_time(29)
        self.assertEqual(self.told(), ["node update Unreachable"])
        self.engine.answer_all()
        self.pass_time(1)
        self.assertEqual(self.told(), ["node update Deployed"])

    def test_one_ping_without_an_answer_is_forgiven(self) -> None:
        self.start()
        self.engine.silent = True
        self.clock.advance(10)
        self.engine.answer_all()
        self.pass_time(10)
        self.engine.silent = True
        self.clock.advance(10)
        self.engine.answer_all()
        self.pass_time(30)
        self.assertEqual(self.told(), [])
        self.assertEqual(len(self.engine.feeds), 1)

    def test_an_engine_that_accepts_and_says_nothing_after_a_cut_is_unreachable(self) -> None:
        self.start()
        self.pass_time(20)
        self.engine.silent = True
        self.engine.hang_up()
        self.pass_time(4)
        self.assertEqual(self.told(), [])
        self.pass_time(2)
        self.assertEqual(self.told(), ["node update Unreachable"])
        self.engine.answer_all()
        self.pass_time(1)
        self.assertEqual(self.told(), ["node update Deployed"])

    def test_an_engine_that_always_hangs_up_is_not_hammered(self) -> None:
        self.start()
        for _ in range(200):
            self.engine.hang_up()
            self.clock.advance(0.5)
        self.assertLess(len(self.engine.feeds), 20)

    def test_last_seen_follows_the_pings(self) -> None:
        self.start()
        before = self.platform.list("node")[0]["last_seen"]
        self.pass_time(10)
        self.assertNotEqual(self.platform.list("node")[0]["last_seen"], before)

    def test_what_was_lost_is_found_by_looking_at_everything(self) -> None:
        self.start()
        self.engine.truth.containers[container_id(1)] = container()
        self.engine.feeds[-1].dataReceived(b"x" * (Feed.LINE_LIMIT + 1) + b"\n")
        self.pass_time(2)
        self.assertEqual(self.told()[-2:], ["container update Running", "service update Running"])
        asked = len(self.engine.asked)
        self.pass_time(5)
        self.assertEqual(len(self.engine.asked), asked)

    def test_an_answer_from_before_the_end_is_dropped_when_it_comes_after_it(self) -> None:
        running = self.engine.truth.containers[container_id(1)] = container()
        self.start()
        looks: list[Deferred[Container | None]] = []

        def inspect(own: str) -> Deferred[Container | None]:
            looks.append(Deferred())
            return looks[-1]

        self.platform._inspector._inspect = inspect  # to hold the answers back
        self.engine.send(event("health_status: healthy", at=START + 3))
        self.engine.send(event("die", at=START + 4, exitCode="3"))
        self.clock.advance(0)
        self.assertEqual(self.told(), ["container update Stopped", "service update Stopped"])
        looks[0].callback(running)
        self.pass_time(LEISURE + TICK)
        looks[1].callback(self.engine.truth.containers[container_id(1)])
        self.assertEqual((self.told(), len(looks)), ([], 2))

    def just_started(self) -> Deferred[None]:
        """A container has just started, and somebody asks for it while the engine answers nobody."""
        self.start()
        self.successResultOf(self.platform.caught_up("container"))
        self.engine.send(event("create", at=START))
        self.clock.advance(0)
        self.engine.send(event("start", at=START + 0.1))
        self.clock.advance(0)
        self.assertIn("container update Running", self.told())
        self.successResultOf(self.platform.caught_up("stack"))
        self.engine.silent = True
        return self.platform.caught_up("container")

    def test_who_asks_for_what_has_just_started_waits_for_its_address(self) -> None:
        caught_up = self.just_started()
        self.assertNoResult(caught_up)
        running = self.engine.truth.containers[container_id(1)]
        self.engine.truth.containers[container_id(1)] = msgspec.structs.replace(running, private_ip="172.17.0.2")
        self.engine.answer_all()
        self.successResultOf(caught_up)
        self.assertEqual(self.platform.list("container")[0]["private_ip"], "172.17.0.2")
        self.successResultOf(self.platform.caught_up("container"))

    def test_who_asks_is_not_kept_waiting_by_an_engine_that_hangs(self) -> None:
        caught_up = self.just_started()
        self.clock.advance(CATCH_UP - 0.1)
        self.assertNoResult(caught_up)
        self.clock.advance(0.1)
        self.successResultOf(caught_up)

    def test_who_asks_is_not_kept_waiting_by_an_engine_that_is_lost(self) -> None:
        caught_up = self.just_started()
        self.engine.hang_up()
        self.successResultOf(caught_up)
        self.successResultOf(self.platform.caught_up("container"))

    def test_what_nobody_asks_for_is_looked_at_a_little_later(self) -> None:
        self.start()
        self.run_container()
        looks = [question for question in self.engine.asked if question.startswith("inspect")]
        self.pass_time(LEISURE + TICK)
        later = [question for question in self.engine.asked if question.startswith("inspect")]
        self.assertEqual((len(looks), len(later)), (1, 2))
        self.pass_time(60)
        self.assertEqual([question for question in self.engine.asked if question.startswith("inspect")], later)

    def test_what_is_gone_by_then_is_looked_at_no_more(self) -> None:
        self.start()
        self.run_container()
        self.engine.send(event("die", at=START + 0.2, exitCode="0"))
        self.engine.send(event("destroy", at=START + 0.3))
        self.pass_time(60)
        self.assertEqual(
            [question for question in self.engine.asked if question.startswith("inspect")], ["inspect 0001"]
        )
        self.assertEqual(self.told()[-2:], ["container delete Terminated", "service delete Terminated"])

    def test_a_flood_of_hints_costs_few_looks(self) -> None:
        self.engine.truth.containers[container_id(1)] = container()
        self.start()
        self.engine.asked.clear()
        gate: Deferred[None] = Deferred()
        looks: list[str] = []

        def inspect(own: str) -> Deferred[None]:
            looks.append(own)
            return gate

        self.platform._inspector._inspect = inspect  # type: ignore[assignment]  # to hold the answer back
        self.engine.feeds[-1].dataReceived((event("update") + b"\n") * 500)
        for _ in range(20):
            self.clock.advance(0)
        self.assertEqual(len(looks), 1)

    def test_one_that_fails_to_start_without_a_word_is_noticed(self) -> None:
        self.start()
        self.engine.send(event("create", at=START))
        self.clock.advance(0)
        self.told()
        self.engine.truth.containers[container_id(1)] = container(status="created", error="no such file")
        self.pass_time(3)
        self.assertEqual(self.told(), ["container update Stopped", "service update Stopped"])

    def test_a_container_that_can_not_be_looked_at_is_tried_again(self) -> None:
        self.start()
        self.engine.unreadable.add(container_id(1))
        self.engine.send(event("create", at=START))
        self.clock.advance(0)
        self.engine.truth.apply(event("start", at=START + 0.1))
        self.assertEqual(self.told(), ["service create Starting", "container create Starting"])
        self.engine.unreadable.clear()
        self.pass_time(1)
        self.assertEqual(self.told(), ["container update Running", "service update Running"])

    def test_a_line_that_is_no_event_ends_nothing(self) -> None:
        self.start()
        self.engine.feeds[-1].dataReceived(b"garbage\n{}\n[]\n")
        self.run_container()
        self.assertEqual(len(self.told()), 4)

    def test_a_listener_that_fails_does_not_keep_the_others_from_hearing(self) -> None:
        def stumble(change: Change) -> None:
            raise RuntimeError(change.type)

        heard: list[Change] = []
        self.platform.subscribe(stumble)
        self.platform.subscribe(heard.append)
        self.start()
        self.run_container()
        self.assertEqual(len(heard), 4)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 4)

    def test_whoever_unsubscribed_hears_nothing(self) -> None:
        heard: list[Change] = []
        unsubscribe = self.platform.subscribe(heard.append)
        self.start()
        unsubscribe()
        unsubscribe()
        self.run_container()
        self.assertEqual(heard, [])

    def test_a_bug_on_the_way_is_logged_and_the_next_connection_is_tried(self) -> None:
        self.start()
        self.pass_time(20)
        real = self.engine.info

        def boom() -> Deferred[object]:
            raise RuntimeError("boom")

        self.engine.info = boom  # type: ignore[assignment,method-assign]  # the fake's own seam
        self.engine.hang_up()
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.told(), ["node update Unreachable"])
        self.engine.info = real  # type: ignore[method-assign]  # the fake's own seam
        self.pass_time(2)
        self.assertEqual(self.told(), ["node update Deployed"])

    def test_a_managers_swarm_is_there_from_the_start_and_followed(self) -> None:
        self.engine.membership = Membership(state="active", node=NODE, manager=True, cluster=CLUSTER)
        here, service = Machine(id=NODE, hostname="vm", state="ready"), Ordered(id="s" * 25, name="web", replicas=1)
        self.engine.swarms = Swarm(machines=(here,), services=(service,))
        self.start()
        self.assertEqual([one["state"] for one in self.platform.list("service")], ["Starting"])
        self.assertEqual([one["state"] for one in self.platform.list("nodecluster")], ["Deployed"])
        self.assertEqual(self.told(), [])
        self.engine.swarms = Swarm(machines=(here,), services=(msgspec.structs.replace(service, replicas=0),))
        self.engine.feeds[-1].dataReceived(event("update", kind="service") + b"\n")
        self.pass_time(1)
        self.assertEqual(self.told(), ["action create In progress", "service update Stopped", "action update Success"])

    def test_the_container_of_a_task_is_a_reason_to_ask_the_managers(self) -> None:
        self.engine.membership = Membership(state="active", node=NODE, manager=True, cluster=CLUSTER)
        self.start()
        self.engine.asked.clear()
        self.run_container(**{"com.docker.swarm.service.id": "s" * 25})
        self.pass_time(1)
        self.assertIn("swarm", self.engine.asked)

    def test_an_engine_that_joins_a_swarm_later_becomes_a_node_of_it(self) -> None:
        self.start()
        self.engine.membership = Membership(state="active", node=NODE, manager=True, cluster=CLUSTER)
        self.engine.swarms = Swarm(machines=(Machine(id=NODE, hostname="vm", state="ready"),))
        self.engine.feeds[-1].dataReceived(event("create", kind="node") + b"\n")
        self.pass_time(1)
        self.assertEqual(self.told(), ["node delete Terminated", "node create Deployed", "nodecluster create Deployed"])

    def test_managers_that_do_not_answer_do_not_keep_it_from_starting(self) -> None:
        self.engine.membership = Membership(state="active", node=NODE, manager=True, cluster=CLUSTER)
        self.engine.swarm = lambda: fail(DockerError("x", "503: no leader"))  # type: ignore[method-assign]
        self.start()
        self.assertTrue(self.platform.synced)

    def test_a_worker_of_a_swarm_is_taken_as_an_engine(self) -> None:
        self.engine.membership = Membership(state="active", node="n" * 25)
        self.start()
        self.assertEqual(len(self.platform.list("node")), 1)


class PauseTests(SynchronousTestCase):
    def test_after_a_good_connection_there_is_none(self) -> None:
        self.assertEqual(pause_before(0, lambda: 1.0), 0.0)

    def test_it_grows_to_a_bound_and_never_to_nothing(self) -> None:
        pauses = [pause_before(failures, lambda: 1.0) for failures in range(1, 2000)]
        self.assertEqual(pauses[:4], [0.25, 0.5, 1.0, 2.0])
        self.assertEqual(max(pauses), LONGEST_PAUSE)
        self.assertEqual(pause_before(1, lambda: 0.0), 0.125)
