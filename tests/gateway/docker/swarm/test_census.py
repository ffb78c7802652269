from functools import cache
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import CLUSTER, NODE, SECOND, START, Told, container, event
from tests.gateway.docker.swarm.test_folds import task
from tests.gateway.docker.test_memory import restarted
from tests.gateway.docker.test_registry import assert_no_repeats
from tutumstream.docker_details import sentence
from tutumstream.gateway.docker.facts import Engine
from tutumstream.gateway.docker.groups import GATHERING
from tutumstream.gateway.docker.nodes import DOUBT
from tutumstream.gateway.docker.resources import get_resource, list_resources
from tutumstream.gateway.docker.swarm.census import SCALE_PATIENCE
from tutumstream.gateway.docker.swarm.facts import GLOBAL, Machine, Ordered, Swarm, Task, Update

HERE = Machine(id=NODE, hostname="vm", state="ready")
THERE = Machine(id="t" * 25, hostname="there", address="10.0.0.2", state="ready", labels={"zone": "a"})
SERVICE = "s" * 25


def web(replicas: int = 1, update: Update | None = None, **fields: str) -> Ordered:
    return Ordered(id=SERVICE, name="web", replicas=replicas, update=update, **fields)  # type: ignore[arg-type]


def there(slot: int = 1, state: str = "running", desired: str = "running", **fields: Any) -> Task:
    """A task on the other node; its container has the slot for an id."""
    facts: dict[str, Any] = {"service": SERVICE, "node": THERE.id, "container": f"{slot:064x}", **fields}
    return task(slot, state, desired, **facts)


class CensusTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told = Told()
        self.told.join()
        self.told.count(Swarm(machines=(HERE, THERE)), START)
        self.told.take()

    def count(self, *tasks: Task, services: tuple[Ordered, ...] = (), at: float = 1.0) -> list[str]:
        swarm = Swarm(machines=(HERE, THERE), tasks=tasks, services=services)
        self.told.count(swarm, START + at)
        return self.told.take()

    def update(self, state: str, started: int = 1, message: str = "") -> Update:
        return Update(state=state, started=started * 10**9, message=message)


class StoryTests(SynchronousTestCase):
    """A real swarm's day: a stack of three services, scaled, updated with broken images, drained, removed."""

    def setUp(self) -> None:
        self.told = self.of_the_day()

    @staticmethod
    @cache
    def of_the_day() -> Told:
        """These tests only look at it."""
        told = Told()
        told.join()
        told.take()
        told.replay_story()
        return told

    def of(self, name: str) -> list[str]:
        return [line[: -len(name) - 1] for line in self.told.lines() if line.endswith(f" {name}")]

    def states(self, name: str) -> list[str]:
        return [line.split(" ", 2)[2] for line in self.of(name)]

    def test_the_stack_comes_first_and_goes_last(self) -> None:
        lines = self.told.lines("stack", "service", "container")
        self.assertEqual(lines[0], "stack create Starting shop")
        self.assertEqual(lines[-1], "stack delete Terminated shop")

    def test_a_service_goes_through_scale_a_failed_update_its_rollback_and_a_drain(self) -> None:
        self.assertEqual(
            self.states("shop_web"),
            [
                *("Starting", "Running"),
                *("Scaling", "Running"),
                *("Redeploying", "Running"),
                *("Not running", "Starting", "Running"),
                *("Stopping", "Stopped"),
                *("Terminating", "Terminated"),
            ],
        )

    def test_an_update_that_is_paused_leaves_a_service_that_does_not_run(self) -> None:
        self.assertEqual(
            self.states("shop_db"),
            [
                *("Starting", "Running"),
                *("Redeploying", "Not running"),
                *("Redeploying", "Running"),
                *("Redeploying", "Running"),
                *("Not running", "Starting", "Running"),
                *("Terminating", "Terminated"),
            ],
        )

    def test_a_task_that_is_killed_is_replaced_and_a_global_service_stops_with_its_nodes(self) -> None:
        states = ["Starting", "Running", "Not running", "Running", "Stopping", "Stopped", "Starting", "Running"]
        self.assertEqual(self.states("shop_cache"), [*states, "Terminating", "Terminated"])

    def test_what_nobody_can_run_and_what_ran_to_its_end(self) -> None:
        self.assertEqual(self.states("pend"), ["Starting", "Not running", "Terminated"])
        self.assertEqual(self.states("job"), ["Starting", "Running", "Stopped", "Terminating"])

    def test_what_was_done_is_told_with_its_outcome(self) -> None:
        actions = [line.removeprefix("action ") for line in self.told.lines("action")]
        self.assertEqual(
            actions,
            [
                *("create In progress Service Scale", "update Success Service Scale"),
                *("create In progress Service Redeploy", "update Failed Service Redeploy"),
                *("create In progress Service Rollback", "update Success Service Rollback"),
                *("create In progress Service Redeploy", "update Failed Service Redeploy"),
                *("create In progress Service Rollback", "update Success Service Rollback"),
                *("create In progress Service Redeploy", "update Success Service Redeploy"),
                *("create In progress Service Scale", "update Success Service Scale"),
            ],
        )

    def test_an_action_begins_before_what_it_does_and_ends_after_it(self) -> None:
        lines = self.told.lines("action", "service", "stack")
        scaled = lines.index("action create In progress Service Scale")
        self.assertEqual(
            lines[scaled : scaled + 5],
            [
                "action create In progress Service Scale",
                # The stack was not seen to run before: nobody was asked between the first second and this.
                "service update Scaling shop_web",
                "service update Running shop_web",
                "stack update Running shop",
                "action update Success Service Scale",
            ],
        )

    def test_nothing_is_told_twice(self) -> None:
        assert_no_repeats(self, self.told)

    def test_parents_are_whole(self) -> None:
        for change in self.told.changes:
            kinds = [uri.split("/")[3] for uri in change.parents]
            if change.type == "container" and "shop" in self.told.name(change):
                self.assertEqual(kinds, ["service", "node", "stack", "nodecluster"])
            if change.type == "action":
                self.assertEqual(kinds, ["service"])

    def test_what_is_shown_is_what_was_told_last(self) -> None:
        last = {change.resource_uri: change for change in self.told.changes}
        for uri, change in last.items():
            kind, uuid = uri.split("/")[3:5]
            shown = get_resource(self.told.registry, kind, uuid)
            self.assertEqual(shown and shown["state"], change.state)


class NodesTests(CensusTests):
    def test_a_node_that_joins_is_deploying_first(self) -> None:
        new = msgspec.structs.replace(THERE, id="u" * 25, hostname="new")
        self.told.count(Swarm(machines=(HERE, THERE, new)), START)
        self.assertEqual(
            self.told.take(),
            [
                "node create Deploying new",
                "nodecluster update Partly deployed default",
                "node update Deployed new",
                "nodecluster update Deployed default",
            ],
        )

    def test_a_node_is_called_by_its_id_only_until_it_says_its_hostname(self) -> None:
        silent = Machine(id="u" * 25, state="down")
        self.told.count(Swarm(machines=(HERE, THERE, silent)), START)
        self.assertIn(f"node create Deploying {silent.id}", self.told.take("node"))
        for told in (self.told, restarted(self.told)):
            for hostname, state, name in (("new", "ready", "new"), ("", "down", "new"), ("newer", "ready", "newer")):
                described = msgspec.structs.replace(silent, hostname=hostname, state=state)
                told.count(Swarm(machines=(HERE, THERE, described)), START + 1)
                (change,) = (one for one in told.changes if one.type == "node")
                assert change.docker is not None
                self.assertEqual((change.docker.name, change.docker.node), (name, name))
                self.assertEqual(told.take("node")[0].split()[-1], name)

    def test_a_node_that_is_lost_and_comes_back(self) -> None:
        for state, told in (("down", "Unreachable"), ("ready", "Deployed")):
            lost = msgspec.structs.replace(THERE, state=state)
            self.told.count(Swarm(machines=(HERE, lost)), START)
            self.assertEqual(self.told.take()[0], f"node update {told} there")

    def test_after_a_managers_restart_nobody_knows_for_a_moment_and_that_is_no_news(self) -> None:
        unsure = msgspec.structs.replace(THERE, state="unknown")
        for at, news in ((0.0, []), (DOUBT - 1, []), (DOUBT, ["node update Unreachable there"])):
            self.told.count(Swarm(machines=(HERE, unsure)), START + 1 + at)
            self.assertEqual(self.told.take("node"), news)

    def test_a_node_that_is_removed_is_deleted_and_shown_for_a_while(self) -> None:
        self.told.count(Swarm(machines=(HERE,)), START)
        self.assertEqual(self.told.take("node"), ["node delete Terminated there"])
        states = {str(one["nickname"]): one["state"] for one in list_resources(self.told.registry, "node")}
        self.assertEqual(states, {"test": "Deployed", "there": "Terminated"})
        self.told.registry.purge(START + 1e6)
        self.assertEqual(len(list_resources(self.told.registry, "node")), 1)

    def test_what_a_node_may_run_is_told_and_it_is_still_there(self) -> None:
        for node, other, name in ((THERE, HERE, "there"), (HERE, THERE, "test")):
            said = []
            for availability in ("drain", "drain", "pause", "active"):
                changed = msgspec.structs.replace(node, availability=availability)
                self.told.count(Swarm(machines=(changed, other)), START)
                said += [(one.docker.availability, sentence(one.docker)) for one in self.told.changes if one.docker]
                self.assertIn(self.told.take(), ([], [f"node update Deployed {name}"]))
            self.assertEqual(
                said,
                [
                    ("drain", f"Node {name} is drained: its swarm runs nothing there"),
                    ("pause", f"Node {name} is paused: its swarm starts nothing new there"),
                    ("active", f"Node {name} takes tasks of its swarm again"),
                ],
            )
            self.told.count(Swarm(machines=(node, other)), START)
            self.told.take()

    def test_a_lost_node_is_told_as_lost_whatever_else_changed(self) -> None:
        lost = msgspec.structs.replace(THERE, state="down", availability="drain")
        self.told.count(Swarm(machines=(HERE, lost)), START)
        (told, *_) = self.told.changes
        assert told.docker is not None
        self.assertEqual((told.docker.event, told.docker.availability), ("unreachable", "drain"))

    def test_nodes_and_their_cluster_are_shown(self) -> None:
        (cluster,) = list_resources(self.told.registry, "nodecluster")
        nodes = {str(one["nickname"]): one for one in list_resources(self.told.registry, "node")}
        self.assertEqual(cluster["nodes"], [nodes["test"]["resource_uri"], nodes["there"]["resource_uri"]])
        self.assertEqual(nodes["there"]["node_cluster"], cluster["resource_uri"])
        self.assertEqual((nodes["there"]["public_ip"], nodes["there"]["tags"]), ("10.0.0.2", [{"name": "zone=a"}]))
        self.assertEqual((cluster["state"], cluster["current_num_nodes"]), ("Deployed", 2))

    def test_an_engine_that_is_lost_takes_its_node_along_and_nothing_else(self) -> None:
        self.told.changes += list(self.told.registry.nodes.reach("Unreachable"))
        self.assertEqual(
            self.told.take(), ["node update Unreachable test", "nodecluster update Partly deployed default"]
        )

    def test_leaving_the_swarm_ends_what_only_the_swarm_told(self) -> None:
        self.count(there(), services=(web(),))
        self.told.changes += self.told.registry.describe_engine(Engine(hostname="vm"), START + 9)
        ends = [line for line in self.told.take() if " delete " in line]
        self.assertEqual(len(ends), 5)
        self.assertEqual([line.split()[0] for line in ends], ["container", "service", "node", "nodecluster", "node"])
        self.assertEqual(self.count(there(), services=(web(),)), [])

    def test_joining_later_makes_another_node_of_the_engine(self) -> None:
        told = Told()
        told.registry.describe_engine(Engine(hostname="vm"), START)
        told.join()
        self.assertEqual(
            told.take(),
            ["node delete Terminated test", "node create Deployed test", "nodecluster create Deployed default"],
        )

    def test_a_manager_without_a_leader_stays_what_it_was(self) -> None:
        for cluster in ("", CLUSTER):
            self.told.join(cluster=cluster)
        self.assertEqual(self.told.take(), [])


class ElsewhereTests(CensusTests):
    def test_a_container_on_another_node_is_told_from_its_task(self) -> None:
        self.assertEqual(self.count(services=(web(),)), ["service create Starting web"])
        starting = self.count(there(state="starting"), services=(web(),))
        self.assertEqual([line.split(" web.")[0] for line in starting], ["container create Starting"])
        running = self.count(there(), services=(web(),))
        self.assertEqual(running[0][:24], "container update Running")
        self.assertEqual(running[1:], ["service update Running web"])
        (one,) = list_resources(self.told.registry, "container")
        nodes = {str(node["nickname"]): node for node in list_resources(self.told.registry, "node")}
        self.assertEqual((one["node"], one["public_dns"]), (nodes["there"]["resource_uri"], "there"))
        self.assertEqual(nodes["there"]["current_num_containers"], 1)

    def test_how_it_ended_is_known_too(self) -> None:
        self.count(there(), services=(web(),))
        failed = there(state="failed", desired="shutdown", exit_code=6, error="task: non-zero exit (6)")
        lines = self.count(failed, there(state="starting", container=f"{2:064x}"), services=(web(),))
        self.assertIn("service update Not running web", lines)
        one = next(one for one in list_resources(self.told.registry, "container") if one["state"] == "Stopped")
        self.assertEqual((one["exit_code"], one["exit_code_msg"]), (6, "task: non-zero exit (6)"))

    def test_one_that_soon_ended_well_and_is_followed_by_another_crashed(self) -> None:
        for fields, at, happened in (
            ({}, 4.0, "crash"),
            # It may have run for as long as it was there.
            ({}, 10.0, "finish"),
            ({"condition": "on-failure"}, 4.0, "finish"),
        ):
            self.setUp()
            done = there(state="complete", exit_code=0, **fields)
            self.count(there(**fields), services=(web(),))
            swarm = Swarm(
                machines=(HERE, THERE),
                tasks=(msgspec.structs.replace(done, at=int((START + at) * SECOND)),),
                services=(web(),),
            )
            self.told.count(swarm, START + at)
            self.assertEqual(self.told.happened(), [happened], (fields, at))

    def test_a_task_that_is_forgotten_ends_its_container(self) -> None:
        self.count(there(), services=(web(),))
        self.assertIn("container delete", self.count(services=(web(),))[0])

    def test_its_engine_is_never_asked_for_it(self) -> None:
        self.count(there(state="starting"), services=(web(),))
        self.assertEqual((self.told.registry.alive(), self.told.registry.overdue(START + 1e6)), ([], []))

    def test_on_a_node_that_is_lost_it_keeps_its_state(self) -> None:
        self.count(there(), services=(web(),))
        lost = msgspec.structs.replace(THERE, state="down")
        swarm = Swarm(machines=(HERE, lost), tasks=(there(desired="shutdown"),), services=(web(),))
        self.told.count(swarm, START + 2)
        self.assertEqual([line for line in self.told.take() if line.startswith("container")], [])


class LastTests(CensusTests):
    """What fails three times, on whichever node."""

    job = Ordered(id=SERVICE, name="job", mode="replicated-job", replicas=1)

    def fail(self, node: str, service: Ordered, attempts: int = 0) -> list[Task]:
        tasks: list[Task] = []
        for number in (1, 2, 3):
            labels = {"com.docker.swarm.service.id": SERVICE, "com.docker.swarm.service.name": "job"}
            fields = {"number": number, "name": f"job.1.{'t' * 24}{number}", "labels": labels, "exit_code": 4}
            at = {"created": (START + number) * SECOND, "started": int((START + number + 0.1) * SECOND)}
            one = container(**fields, **at, status="exited", finished=int((START + number + 0.5) * SECOND))
            failed = {"at": number, "id": f"{number}", "exit_code": 4, "container": one.id, "node": node}
            failed["attempts"] = attempts
            tasks.append(there(1, "failed", "running", **failed))
            if node == NODE:
                self.told.truth.containers[one.id] = one
                self.told.look(one.id, START + number + 0.5)
            self.told.count(Swarm(machines=(HERE, THERE), tasks=tuple(tasks), services=(service,)), START + number)
            tasks[-1] = there(1, "failed", "shutdown", **failed)
        self.assertEqual([words.partition(" crashed: exit 4")[2] for words in self.told.news()], ["", LOOP])
        self.told.take()
        return tasks

    def test_where_it_is_scaled_away_before_the_next_try_has_a_container_its_loop_is_over(self) -> None:
        """Which of its tasks is still seen by then is a matter of luck."""
        for node in (NODE, THERE.id):
            for seen in ("the next", "the last"):
                with self.subTest(node=node, seen=seen):
                    self.setUp()
                    tasks = self.fail(node, web())
                    going = there(1, "assigned", "remove", at=4.0, container="", node=node)
                    swarm = Swarm(
                        machines=(HERE, THERE),
                        tasks=(*tasks, going) if seen == "the next" else tuple(tasks),
                        services=(web(0),),
                    )
                    self.told.count(swarm, START + 5)
                    (stop,) = [change.docker for change in self.told.changes if change.type == "container"]
                    self.assertEqual((stop and stop.event, stop and stop.looping, self.told.news()), ("stop", True, []))
                    self.told.take()
                    self.assertEqual(self.count(*tasks, services=(web(0),), at=6), [])

    def test_it_is_told_once_and_its_loop_goes_on_until_the_service_is_removed(self) -> None:
        for node in (NODE, THERE.id):
            with self.subTest(node=node):
                self.setUp()
                tasks = self.fail(node, self.job, attempts=2)
                for at in (4.0, 5.0):
                    swarm = Swarm(machines=(HERE, THERE), tasks=tuple(tasks), services=(self.job,))
                    self.told.count(swarm, START + at)
                (last,) = [change for change in self.told.changes if change.type == "container"]
                assert last.docker is not None
                self.assertEqual((last.state, last.docker.given_up, last.docker.looping), ("Stopped", True, True))
                self.assertIn("3rd time in 10 minutes. Docker has given up starting it again", self.told.news()[0])
                self.assertTrue(self.is_shown_as_given_up(last.resource_uri))
                self.told.take()
                # Docker keeps what is left of a job, and lists its tasks, for good.
                for at in (6.0, 7.0):
                    self.told.count(Swarm(machines=(HERE, THERE), tasks=tuple(tasks)), START + at)
                self.assertEqual([line.split(" job")[0] for line in self.told.lines()], REMOVED)
                (stop, _) = [change.docker for change in self.told.changes]
                self.assertEqual((stop and stop.event, stop and stop.looping, self.told.news()), ("stop", True, []))
                self.assertFalse(self.is_shown_as_given_up(last.resource_uri), "nobody wants it to start again")

    def is_shown_as_given_up(self, uri: str) -> bool:
        (shown,) = [one for one in list_resources(self.told.registry, "container") if one["uuid"] in uri]
        return bool(shown["docker"]["given_up"])


LOOP = ", 3rd time in 10 minutes. It crashes again and again; the next word comes when that is over"
REMOVED = ["container update Stopped", "service update Terminating"]


class ServicesTests(CensusTests):
    def test_a_service_that_runs_at_first_sight_has_started_before(self) -> None:
        lines = self.count(there(), services=(web(stack="shop"),))
        self.assertEqual(lines[:2], ["stack create Starting shop", "service create Starting web"])
        self.assertEqual(lines[-2:], ["service update Running web", "stack update Running shop"])

    def test_a_stack_runs_once_nothing_more_of_it_is_ordered(self) -> None:
        first, second = (
            Ordered(id=name * 25, name=f"shop_{name}", replicas=1, stack="shop", created=int((START + at) * 1e9))
            for name, at in (("a", 1.0), ("b", 1.4))
        )
        one, two = (there(slot, service=each.id) for slot, each in ((1, first), (2, second)))

        def stack(*told: str) -> list[str]:
            return [line for line in told if line.startswith("stack")]

        self.assertEqual(stack(*self.count(one, services=(first,), at=1.3)), ["stack create Starting shop"])
        self.assertTrue(self.told.census.busy)
        self.assertEqual(stack(*self.count(one, two, services=(first, second), at=1.6)), [])
        self.assertEqual(stack(*self.count(one, two, services=(first, second), at=1.4 + GATHERING - 0.1)), [])
        self.assertTrue(self.told.census.busy)
        running = self.count(one, two, services=(first, second), at=1.4 + GATHERING)
        self.assertEqual(running, ["stack update Running shop"])
        self.assertFalse(self.told.census.busy)

    def test_it_is_starting_until_all_of_it_runs(self) -> None:
        self.count(services=(web(2),))
        tasks = there(), there(2, "starting", container="")
        self.assertNotIn("service", " ".join(self.count(*tasks, services=(web(2),))).replace("web.", ""))
        self.assertEqual(self.count(there(), there(2), services=(web(2),))[-1], "service update Running web")

    def test_a_global_service_is_starting_before_its_first_task_is_made(self) -> None:
        service = Ordered(id=SERVICE, name="web", mode=GLOBAL, created=int((START + 1) * 1e9))
        self.assertEqual(self.count(services=(service,), at=1.1), ["service create Starting web"])
        self.assertTrue(self.told.census.busy)
        self.assertEqual(self.count(there(0), services=(service,), at=1.6)[-1], "service update Running web")

    def test_the_same_answer_is_no_news(self) -> None:
        self.count(there(), services=(web(update=self.update("completed")),))
        self.assertEqual(self.count(there(), services=(web(update=self.update("completed")),)), [])

    def test_removed_it_is_terminating_as_long_as_something_is_left(self) -> None:
        self.count(there(), services=(web(),))
        self.assertEqual(self.count(there(desired="remove")), ["service update Terminating web"])
        self.assertEqual(self.count()[-1], "service delete Terminated web")
        self.assertEqual(self.count(), [])

    def test_a_stack_that_went_in_a_gap_goes_through_no_state_that_it_never_had(self) -> None:
        services = tuple(Ordered(id=name * 25, name=f"shop_{name}", replicas=1, stack="shop") for name in "abc")
        tasks = [there(slot, service=each.id) for slot, each in enumerate(services[:2], 1)]
        tasks.append(there(3, "rejected", error="no such image", container="", service=services[2].id))
        self.count(*tasks, services=services)
        self.told = restarted(self.told)
        lines = self.count(at=100.0)
        self.assertEqual([line for line in lines if line.startswith("stack")], ["stack delete Terminated shop"])
        self.assertEqual(lines[-1], "stack delete Terminated shop")

    def test_services_that_are_removed_together_are_told_before_what_that_means_for_their_stack(self) -> None:
        services = tuple(Ordered(id=name * 25, name=f"shop_{name}", replicas=1, stack="shop") for name in "ab")
        tasks = [there(slot, service=each.id) for slot, each in enumerate(services, 1)]
        self.count(*tasks, services=services)
        *told, last = self.count(*tasks)
        self.assertEqual(sorted(told), [f"service update Terminating shop_{name}" for name in "ab"])
        self.assertEqual(last, "stack update Terminating shop")

    def test_a_service_whose_stack_is_known_only_to_the_managers_is_in_it(self) -> None:
        labels = {"com.docker.swarm.service.id": SERVICE, "com.docker.swarm.service.name": "shop_web"}
        own = {**labels, "com.docker.swarm.task.id": "k" * 25, "com.docker.swarm.node.id": NODE}
        self.told.replay(iter([event("create", 1, name="shop_web.1.x", **own), event("start", 1, START + 2, **own)]))
        self.assertEqual(self.told.take("stack"), [])
        service = msgspec.structs.replace(web(stack="shop"), name="shop_web")
        task = there(node=NODE)
        self.assertEqual(
            self.count(task, services=(service,), at=3.0),
            ["stack create Running shop", "service update Running shop_web"],
        )
        (shown,) = list_resources(self.told.registry, "service")
        (stack,) = list_resources(self.told.registry, "stack")
        self.assertEqual((shown["stack"], stack["services"]), (stack["resource_uri"], [shown["resource_uri"]]))
        self.assertEqual(self.count(task, services=(service,), at=4.0), [])
        self.told.replay(iter([event("die", 1, START + 5, exitCode="1", **own)]))
        (died,) = [change for change in self.told.changes if change.type == "container"]
        self.assertIn(stack["resource_uri"], died.parents)
        assert died.docker is not None
        self.assertEqual((died.docker.name, died.docker.stack), ("web-1", "shop"))

    def test_a_service_that_leaves_its_stack_or_goes_to_another_takes_its_containers_along(self) -> None:
        self.count(there(), services=(web(stack="shop"),))
        self.assertEqual(
            self.count(there(), services=(web(stack="other"),), at=2.0),
            ["stack create Running other", "service update Running web", "stack delete Terminated shop"],
        )
        self.assertEqual(
            self.count(there(), services=(web(),), at=3.0),
            ["service update Running web", "stack delete Terminated other"],
        )
        self.assertEqual(list_resources(self.told.registry, "service")[0]["stack"], None)
        self.assertEqual({known.place.stack for known in self.told.registry.containers.values()}, {None})

    def test_a_container_of_a_service_that_is_not_listed_yet_waits_for_the_next_answer(self) -> None:
        self.told.count(Swarm(machines=(HERE, THERE), tasks=(there(),)), START + 1)
        self.assertNotIn("Terminating", " ".join(self.told.take()))
        self.assertEqual(self.count(there(), services=(web(),), at=2.0), [])

    def test_left_over_tasks_of_a_service_that_is_gone_are_terminating(self) -> None:
        self.count(there(), at=1.0)
        self.assertEqual(self.count(there(), at=2.0), [f"service update Terminating {SERVICE}"])

    def test_a_container_that_is_first_seen_after_its_service_was_removed_is_called_after_it(self) -> None:
        self.count(there(1), services=(web(3),))
        # Once while the service is on its way out, and once when nothing of it was left.
        for at, late in ((2.0, 2), (3.0, 0), (4.0, 3)):
            tasks = (there(late, desired="remove", id=f"task{late}"),) if late else ()
            self.told.count(Swarm(machines=(HERE, THERE), tasks=tasks), START + at)
            created = [one.docker for one in self.told.changes if (one.type, one.action) == ("container", "create")]
            self.assertEqual(
                [(one.name, one.service) for one in created if one], [(f"web-{late}", "web")] if late else []
            )
            self.assertEqual([line for line in self.told.take() if SERVICE in line], [])

    def test_what_was_ordered_is_shown(self) -> None:
        self.count(there(), services=(web(3, image="busybox:1", stack="shop"),))
        (one,) = list_resources(self.told.registry, "service")
        self.assertEqual((one["target_num_containers"], one["running_num_containers"]), (3, 1))
        self.assertEqual((one["image_name"], one["deployment_strategy"]), ("busybox:1", "EMPTIEST_NODE"))
        stack = get_resource(self.told.registry, "stack", str(one["stack"]).split("/")[4])
        self.assertEqual(stack and stack["services"], [one["resource_uri"]])

    def test_what_moves_makes_it_busy(self) -> None:
        self.count(services=(web(),))
        self.assertTrue(self.told.census.busy)
        self.count(there(), services=(web(),))
        self.assertFalse(self.told.census.busy)

    def test_outside_of_a_swarm_there_is_nothing_to_count(self) -> None:
        told = Told()
        told.count(Swarm(machines=(HERE,), services=(web(),)), START)
        self.assertEqual(told.take(), [])


class ActionsTests(CensusTests):
    def actions(self, *lines: str) -> list[str]:
        return [line.removeprefix("action ") for line in lines if line.startswith("action")]

    def step(self, replicas: int = 1, update: Update | None = None, at: float = 1.0, running: int = 1) -> list[str]:
        tasks = [there(slot + 1) for slot in range(running)]
        service = msgspec.structs.replace(web(replicas, update), updated=int((START + at) * 1e9))
        return self.actions(*self.count(*tasks, services=(service,), at=at))

    def test_an_update_that_nobody_saw_begin_is_told_whole(self) -> None:
        self.step()
        told = self.step(update=self.update("completed"))
        self.assertEqual(told, ["create In progress Service Redeploy", "update Success Service Redeploy"])

    def test_a_rollback_that_nobody_saw_begin_is_told_with_the_update_that_failed(self) -> None:
        self.step()
        told = self.step(update=self.update("rollback_started", message="update rolled back due to failure"))
        self.assertEqual(
            told,
            [
                "create In progress Service Redeploy",
                "update Failed Service Redeploy",
                "create In progress Service Rollback",
            ],
        )
        told = self.step(update=self.update("rollback_paused"))
        self.assertEqual(told, ["update Failed Service Rollback"])

    def test_a_rollback_by_hand_is_no_failure(self) -> None:
        self.step()
        started = self.update("rollback_started", message="manually requested rollback")
        self.assertEqual(self.step(update=started), ["create In progress Service Rollback"])
        self.assertEqual(self.step(update=self.update("rollback_completed")), ["update Success Service Rollback"])

    def test_another_update_ends_the_one_before(self) -> None:
        self.step(update=self.update("updating", 1))
        told = self.step(update=self.update("updating", 2))
        self.assertEqual(told, ["update Canceled Service Redeploy", "create In progress Service Redeploy"])

    def test_scaled_in_vain_it_failed_after_a_while(self) -> None:
        self.step()
        failing = there(2, "rejected", error="no", container="")

        def again(at: float) -> list[str]:
            service = msgspec.structs.replace(web(2), updated=int((START + 1) * 1e9))
            return self.actions(*self.count(there(), failing, services=(service,), at=at))

        self.assertEqual(again(1.0), ["create In progress Service Scale"])
        self.assertEqual(again(SCALE_PATIENCE), [])
        self.assertEqual(again(SCALE_PATIENCE + 1), ["update Failed Service Scale"])

    def test_a_service_that_is_removed_meanwhile_cancels_it(self) -> None:
        self.step(update=self.update("updating"))
        self.assertEqual(self.actions(*self.count()), ["update Canceled Service Redeploy"])

    def test_they_are_shown(self) -> None:
        self.step()
        self.step(2, at=5.0, running=2)
        (one,) = list_resources(self.told.registry, "action")
        service = list_resources(self.told.registry, "service")[0]
        self.assertEqual(
            (one["action"], one["state"], one["object"]), ("Service Scale", "Success", service["resource_uri"])
        )
        self.assertTrue(one["start_date"] and one["end_date"])
        self.assertEqual(get_resource(self.told.registry, "action", str(one["uuid"])), one)
