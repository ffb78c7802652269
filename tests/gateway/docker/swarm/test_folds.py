import re
from collections.abc import Iterator
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import CORPUS, SECOND, START
from tutumstream.gateway.docker.swarm.facts import GLOBAL, Machine, Ordered, Swarm, Task, Update
from tutumstream.gateway.docker.swarm.folds import (
    PLANNING,
    Count,
    Last,
    count,
    elsewhere,
    last,
    machine_state,
    restless,
    service_state,
    task_container,
    trouble,
)

_OBSERVED = re.compile(
    r"\+ *[\d.]+ (?P<state>\w[\w ]*?) +run/des=(?P<count>None|\(\d+, (?P<desired>\d+)\)) "
    r"update=(?P<update>\w+) tasks=(?P<tasks>.*)"
)
_DESIRED = {"runni": "running", "ready": "ready", "shutd": "shutdown", "remov": "remove"}


def task(slot: int = 1, state: str = "running", desired: str = "running", at: float = 0.0, **fields: Any) -> Task:
    """A task that was created, and came to its state, some seconds after START."""
    moment = int((START + at) * SECOND)
    facts: dict[str, Any] = {
        "id": f"{slot}{state}{at}",
        "service": "s" * 25,
        "node": "n1",
        "created": moment,
        "at": moment,
        **fields,
    }
    return Task(slot=slot, state=state, desired=desired, **facts)


def replicated(replicas: int, update: str | None = None) -> Ordered:
    return Ordered(id="s" * 25, name="web", replicas=replicas, update=Update(state=update) if update else None)


JOB = Ordered(id="s" * 25, name="job", mode="replicated-job", replicas=2)
GLOBAL_JOB = Ordered(id="s" * 25, name="job", mode="global-job")


def observed() -> Iterator[tuple[str, Ordered, list[Task], str]]:
    """What was seen of a real service, and the state that it was in by that."""
    for line in (CORPUS / "27-swarm-derived-states.txt").read_text().splitlines():
        found = _OBSERVED.fullmatch(line)
        if found is None or found["count"] == "None":
            continue
        tasks: list[Task] = []
        slots = {True: 0, False: 0}
        desired = int(found["desired"])
        for wanted, state, number in re.findall(r"'(\w+)/(\w+)': (\d+)", found["tasks"]):
            for _ in range(int(number)):
                running = state == "running"
                # What does not run any more was in the last slot, and is older than what takes its place; what failed
                # did so lately.
                slots[running] += 1
                slot = slots[True] if running else max(desired, 1)
                age = 0 if wanted in ("runni", "ready") else -10 if state in ("failed", "rejected") else -50
                tasks.append(task(slot, state, _DESIRED[wanted], age + slots[running] / 10))
        update = None if found["update"] == "None" else found["update"]
        yield line, replicated(desired, update), tasks, found["state"]


class ServiceStateTests(SynchronousTestCase):
    def test_it_is_what_was_seen_of_a_real_service(self) -> None:
        seen = list(observed())
        self.assertEqual(len(seen), 26)
        for line, service, tasks, state in seen:
            self.assertEqual(service_state(service, tasks), state, line)

    def test_what_ended_long_ago_does_not_matter_to_what_runs(self) -> None:
        tasks = [task(1), *(task(1, "failed", "shutdown", -n) for n in range(1, 5))]
        self.assertEqual(service_state(replicated(1), tasks), "Running")

    def test_a_slot_that_failed_before_does_not_make_scaling_a_failure(self) -> None:
        tasks = [task(1), task(2, "failed", "shutdown", -3600), task(2, "starting")]
        self.assertEqual(service_state(replicated(2), tasks), "Scaling")

    def test_the_successor_of_what_failed_is_still_trouble_until_it_runs(self) -> None:
        tasks = [task(1), task(2, "failed", "shutdown", -1), task(2, "ready", "ready")]
        self.assertEqual(service_state(replicated(2), tasks), "Partly running")

    def test_what_can_not_be_placed_anywhere_does_not_run(self) -> None:
        tasks = [task(1, "pending", error="no suitable node")]
        self.assertEqual(service_state(replicated(1), tasks), "Not running")
        self.assertEqual(service_state(replicated(1), [task(1, "pending")]), "Starting")

    def test_during_a_rollback_the_old_and_the_new_task_of_a_slot_are_one(self) -> None:
        tasks = [task(1), task(1, "running", "shutdown", -9), task(2)]
        self.assertEqual(service_state(replicated(2, "rollback_completed"), tasks), "Running")

    def test_tasks_on_a_node_that_is_lost_do_not_count(self) -> None:
        tasks = [task(1, node="n1"), task(2, node="n2", desired="shutdown"), task(2, "preparing", at=1)]
        self.assertEqual(service_state(replicated(2), tasks), "Running")
        self.assertEqual(service_state(replicated(2), tasks, ["n2"]), "Partly running")
        self.assertEqual(service_state(replicated(2), [*tasks, task(2, at=2)], ["n2"]), "Running")

    def test_more_than_there_should_be_is_scaling(self) -> None:
        self.assertEqual(service_state(replicated(1), [task(1), task(2, desired="remove")]), "Scaling")

    def test_a_global_service_should_run_wherever_it_was_placed(self) -> None:
        service = Ordered(id="s", name="web", mode=GLOBAL)
        tasks = [task(0, node="n1"), task(0, "starting", node="n2"), task(0, desired="shutdown", node="n3")]
        self.assertEqual(count(service, tasks), Count(1, 2))
        self.assertEqual(count(service, [*tasks, task(0, node="n2")]), Count(3, 2))
        self.assertEqual(count(service, [task(0, node="n1"), task(0, "ready", "ready", node="n2")]), Count(1, 2))

    def test_a_global_service_without_any_node_is_stopped(self) -> None:
        service = Ordered(id="s", name="web", mode=GLOBAL)
        self.assertEqual(service_state(service, [task(0, desired="shutdown")]), "Stopping")
        self.assertEqual(service_state(service, [task(0, "shutdown", "shutdown")]), "Stopped")

    def test_what_was_ordered_just_now_is_starting_though_its_tasks_are_not_made_yet(self) -> None:
        for fields in ({"mode": GLOBAL}, {"mode": "replicated-job", "replicas": 2}, {"mode": "global-job"}):
            service = Ordered(id="s", name="web", created=int(START * SECOND), **fields)  # type: ignore[arg-type]
            self.assertEqual(service_state(service, [], now=START + 1), "Starting")
            self.assertEqual(service_state(service, [], now=START + PLANNING), "Stopped")
            self.assertEqual(service_state(service, [task(0, "shutdown", "shutdown")], now=START + 1), "Stopped")
        nothing = Ordered(id="s", name="web", replicas=0, created=int(START * SECOND))
        self.assertEqual(service_state(nothing, [], now=START + 1), "Stopped")

    def test_a_job_that_is_done_is_stopped(self) -> None:
        tasks = [task(0, desired="complete"), task(1, desired="complete")]
        self.assertEqual(service_state(JOB, tasks), "Running")
        done = [task(slot, "complete", "complete") for slot in (0, 1)]
        self.assertEqual(service_state(JOB, done), "Stopped")
        self.assertEqual(service_state(JOB, [done[0], task(1, "starting", "complete")]), "Starting")

    def test_a_job_that_failed_for_good_does_not_run_though_nothing_of_it_is_to_run_any_more(self) -> None:
        failed = task(0, "rejected", "shutdown", error="No such image: nosuch:1")
        for job in (JOB, GLOBAL_JOB):
            for others in ([], [task(0 if job is GLOBAL_JOB else 1, "complete", "complete", node="n2")]):
                self.assertEqual(service_state(job, [failed, *others]), "Not running")
                found = trouble(job, [failed, *others])
                self.assertEqual(found and found.error, "No such image: nosuch:1")

    def test_a_job_is_tried_again_like_any_other_service(self) -> None:
        failed = task(0, "failed", "shutdown", node="n1")
        for state, desired, expected in (
            ("ready", "ready", "Not running"),
            ("starting", "complete", "Not running"),
            ("running", "complete", "Running"),
            ("complete", "complete", "Stopped"),
        ):
            # Slot 0 is told from a node's task only by the kind of the job.
            again = task(0, state, desired, at=2, node="n2")
            self.assertEqual(service_state(JOB, [failed, again]), expected)
        self.assertIsNone(trouble(JOB, [failed, task(0, desired="complete", at=2, node="n2")]))

    def test_what_a_job_is_not_to_do_any_more_is_not_missing(self) -> None:
        for left in (task(1, "failed", "remove"), task(1, "shutdown", "shutdown"), task(1, desired="shutdown")):
            self.assertEqual(service_state(JOB, [task(0, "complete", "complete"), left]), "Stopped")


class TroubleTests(SynchronousTestCase):
    def test_it_is_the_newest(self) -> None:
        tasks = [task(1, "rejected", at=1, error="No such image"), task(2, "failed", at=2, error="exit 6")]
        found = trouble(replicated(1), tasks)
        self.assertEqual(found and found.error, "exit 6")

    def test_there_is_none_where_all_runs(self) -> None:
        self.assertIsNone(trouble(replicated(1), [task(1), task(1, "failed", "shutdown", -1)]))
        self.assertIsNone(trouble(replicated(1), []))

    def test_what_is_on_its_way_out_is_none(self) -> None:
        self.assertIsNone(trouble(replicated(1), [task(1, "failed", "remove")]))


class LastTests(SynchronousTestCase):
    def failed(self, at: float = 0.0, **fields: Any) -> Task:
        return task(1, "failed", "shutdown", at, **{"container": f"c{at:g}", **fields})

    def test_what_failed_and_may_be_tried_only_so_often_is_given_up(self) -> None:
        done = task(0, "complete", "complete", container="c")
        tasks = [done, self.failed(2, attempts=1), self.failed(0, attempts=1)]
        self.assertEqual(list(last(JOB, tasks)), [Last("c2", wanted=True)])
        for state, condition, wanted in (
            ("failed", "none", True),
            # That it was ill can't be seen here.
            ("complete", "on-failure", True),
            # These are tried again for ever, so that nothing follows has another reason.
            ("failed", "on-failure", False),
            ("complete", "any", False),
            ("shutdown", "none", False),
        ):
            newest = self.failed(2, condition=condition)
            tasks = [self.failed(0), msgspec.structs.replace(newest, state=state)]
            self.assertEqual(list(last(replicated(1), tasks)), [Last("c2", wanted)], (state, condition))

    def test_what_a_successor_is_made_for_or_may_be_made_for_is_not_the_last(self) -> None:
        for tasks in (
            [self.failed(), task(1, "ready", "ready", 2)],
            [self.failed(), task(1, at=2)],
            [task(1, "failed", "running", container="c")],
        ):
            self.assertEqual(list(last(replicated(1), tasks)), [])

    def test_where_a_successor_is_let_go_before_it_has_a_container_it_is_the_one_before(self) -> None:
        for state, desired in (("assigned", "remove"), ("shutdown", "shutdown"), ("ready", "shutdown")):
            tasks = [self.failed(attempts=3), task(1, state, desired, 2)]
            self.assertEqual(list(last(replicated(1), tasks)), [Last("c0", wanted=False)])

    def test_what_is_to_be_cleared_away_is_not_given_up_however_often_it_was_tried(self) -> None:
        cleared = task(1, "failed", "remove", container="c0", attempts=1)
        self.assertEqual(list(last(replicated(1), [cleared])), [Last("c0", wanted=False)])

    def test_where_enough_others_are_on_their_way_nothing_more_is_wanted(self) -> None:
        limited = self.failed(attempts=1)
        for replicas, tasks, wanted in (
            (0, [], False),
            (1, [task(2, "ready", "ready")], False),
            (2, [task(2, "ready", "ready")], True),
            (1, [task(2, "running", "shutdown")], True),
        ):
            found = list(last(replicated(replicas), [limited, *tasks]))
            self.assertEqual(found, [Last("c0", wanted)], (replicas, tasks))

    def test_without_a_container_or_on_a_node_that_is_lost_nothing_ended(self) -> None:
        self.assertEqual(list(last(replicated(0), [task(1, "rejected", "shutdown"), task(2, "pending", "remove")])), [])
        self.assertEqual(list(last(replicated(0), [self.failed()], ["n1"])), [])


class RestlessTests(SynchronousTestCase):
    def test_are_services_that_soon_put_another_task_in_the_place_of_what_ended_well(self) -> None:
        first = task(1, "complete", "shutdown", condition="none")
        for service, newest, expected in (
            (replicated(1), task(1, at=1), True),
            (replicated(1), task(1, at=1, delay=int(9.9 * SECOND)), True),
            # So some run every hour.
            (replicated(1), task(1, at=1, delay=10 * SECOND), False),
            (replicated(1), task(1, at=1, condition="on-failure"), False),
            (JOB, task(1, at=1), False),
        ):
            found = restless(Swarm(services=(service,), tasks=(newest, first)))
            self.assertEqual(found, {service.id} if expected else frozenset(), newest)


class MachineStateTests(SynchronousTestCase):
    def test_what_nobody_knows_is_no_state(self) -> None:
        states = [machine_state(Machine(id="n", state=state)) for state in ("ready", "down", "disconnected", "unknown")]
        self.assertEqual(states, ["Deployed", "Unreachable", "Unreachable", None])


class ElsewhereTests(SynchronousTestCase):
    def test_only_other_nodes_containers_are_meant(self) -> None:
        tasks = (task(1, node="n1", container="a"), task(2, node="n2", container="b"), task(3, node="n2"))
        swarm = Swarm(tasks=tasks, services=(replicated(3),))
        self.assertEqual([(node, one.id) for node, one in elsewhere(swarm, "n1", {}, {})], [("n2", "b")])

    def test_they_are_named_as_docker_names_them(self) -> None:
        name = task_container(task(2, container="b"), "web", None).name
        self.assertEqual(name, f"web.2.{task(2).id}")
        self.assertEqual(task_container(task(0, node="n2", container="b"), "web", None).name[:7], "web.n2.")

    def test_a_service_that_is_being_removed_still_has_its_name(self) -> None:
        known = {"b": task_container(task(2, container="b"), "web", None)}
        ((_, one),) = elsewhere(Swarm(tasks=(task(2, node="n2", container="b", desired="remove"),)), "n1", known, {})
        self.assertEqual(one.name, known["b"].name)

    def test_it_starts_once_however_often_its_status_is_written(self) -> None:
        first = task_container(task(1, at=5, container="b"), "web", None)
        later = task_container(task(1, at=9, container="b", exit_code=-1), "web", first)
        self.assertEqual(later.started, first.started)
        self.assertIsNone(later.exit_code)

    def test_what_failed_has_run_and_says_why(self) -> None:
        one = task_container(task(1, "failed", "shutdown", error="exit 6", exit_code=6, container="b"), "web", None)
        self.assertEqual((one.status, one.exit_code, one.error), ("exited", 6, "exit 6"))
        self.assertGreater(one.started, 0)

    def test_what_was_rejected_never_ran(self) -> None:
        one = task_container(task(1, "rejected", "shutdown", error="no", container="b"), "web", None)
        self.assertEqual((one.status, one.started), ("exited", 0))
