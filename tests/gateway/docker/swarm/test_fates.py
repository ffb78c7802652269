"""A manager's own tasks, and how its swarm says that they ended."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import NODE, SECOND, START, Told, container, container_id, event
from tests.gateway.docker.swarm.test_census import HERE, SERVICE, web
from tests.gateway.docker.swarm.test_folds import task
from tests.gateway.docker.test_memory import restarted
from tutumstream.gateway.docker.fates import FATE_PATIENCE
from tutumstream.gateway.docker.swarm.facts import Ordered, Swarm, Task

LABELS = {"com.docker.swarm.service.id": SERVICE, "com.docker.swarm.service.name": "web"}


LOOP = ["exit 0", "exit 0, 3rd time in 10 minutes"]


class FatesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told = Told()
        self.told.join()
        self.tasks: dict[int, Task] = {}
        self.count(START)

    def count(self, at: float, *services: Ordered) -> None:
        """What the managers say of the service and of its tasks."""
        swarm = Swarm(machines=(HERE,), tasks=tuple(self.tasks.values()), services=services or (web(),))
        self.told.count(swarm, at)

    def begin(self, number: int = 1, at: float = START + 1.0, health: str = "healthy", *, waited: float = 0.0) -> str:
        """A task with a health check runs. `waited`: seconds for which its container was there before."""
        name, nanoseconds = f"web.1.{'t' * 24}{number}", int(at * SECOND)
        created = nanoseconds - int(waited * SECOND)
        fields = {"labels": LABELS, "created": created, "started": nanoseconds + SECOND // 10}
        one = container(number, name, probed=True, health=health, **fields)
        self.told.truth.containers[one.id] = one
        self.told.look(one.id, at + 0.5)
        return one.id

    def falls_ill(self, number: int = 1, at: float = START + 5.0, *, look: bool = True) -> None:
        own = container_id(number)
        self.told.truth.containers[own] = msgspec.structs.replace(self.told.truth.containers[own], health="unhealthy")
        self.told.hear(event("health_status: unhealthy", number, at), look=look)

    def ends(self, number: int = 1, at: float = START + 7.0, code: int = 137, *, killed: bool = True) -> None:
        if killed:
            self.told.hear(event("kill", number, at, signal="15"))
        own = container_id(number)
        changed = {"status": "exited", "health": "", "exit_code": code, "finished": int((at + 1) * SECOND)}
        self.told.truth.containers[own] = msgspec.structs.replace(self.told.truth.containers[own], **changed)
        self.told.hear(event("die", number, at + 1, exitCode=str(code)))

    def say(self, fate: str, number: int = 1, at: float = START + 8.2) -> None:
        """The managers say how the task ended; what follows it is still to be made."""
        own = container_id(number)
        self.tasks[number] = task(1, fate, "running", number, service=SERVICE, node=NODE, container=own)
        self.count(at)

    def dies_ill(self, fate: str, code: int) -> list[str]:
        """What was told of its end."""
        self.setUp()
        self.begin()
        self.falls_ill()
        self.told.changes.clear()
        self.ends(code=code)
        self.assertEqual((self.told.happened(), self.told.take("container")[0].split()[2]), ([], "Stopping"))
        self.say(fate)
        self.count(START + 9)
        return self.told.happened()

    def test_a_task_that_its_swarm_ended_because_it_was_ill_crashed(self) -> None:
        for fate, code in (("failed", 137), ("complete", 0)):
            self.assertEqual(self.dies_ill(fate, code), ["crash"])
            self.assertIn(", unhealthy", self.told.news()[0])

    def test_one_that_was_ill_and_had_to_go_anyhow_was_stopped(self) -> None:
        for fate in ("shutdown", "remove", "orphaned"):
            self.assertEqual((self.dies_ill(fate, 137), self.told.news()), (["stop"], []))

    def test_the_managers_may_say_so_before_the_engine_does(self) -> None:
        self.begin()
        self.falls_ill()
        self.told.changes.clear()
        self.say("failed", at=START + 6)
        self.ends()
        self.assertEqual(self.told.happened(), ["crash"])

    def test_where_they_say_nothing_it_was_stopped(self) -> None:
        own = self.begin()
        self.falls_ill()
        self.ends()
        self.told.changes.clear()
        self.told.registry.overdue(START + 8.1)
        self.assertEqual(self.told.registry.overdue(START + 8 + FATE_PATIENCE - 0.1), [])
        self.assertEqual(self.told.registry.overdue(START + 8 + FATE_PATIENCE), [own])
        self.told.look(own, START + 8 + FATE_PATIENCE)
        self.assertEqual(self.told.happened(), ["stop"])
        self.say("failed", at=START + 20)
        self.assertEqual(self.told.happened(), ["stop"])

    def test_what_leaves_no_doubt_is_told_at_once(self) -> None:
        for ill, killed, code, happened in (
            (False, True, 137, "stop"),
            (True, False, 1, "crash"),
            (False, False, 1, "crash"),
        ):
            self.setUp()
            self.begin()
            if ill:
                self.falls_ill()
            self.told.changes.clear()
            self.ends(code=code, killed=killed)
            self.assertEqual(self.told.happened(), [happened])

    def test_nobody_waits_for_what_is_said_of_a_service_that_is_not_listed(self) -> None:
        self.begin()
        self.falls_ill()
        self.told.count(Swarm(machines=(HERE,)), START + 6)
        self.told.changes.clear()
        self.ends()
        self.assertEqual(self.told.happened(), ["stop"])

    def test_what_they_say_later_of_one_that_is_gone_brings_nothing_back(self) -> None:
        self.begin()
        self.ends(code=1, killed=False)
        self.told.truth.containers.clear()
        self.told.hear(event("destroy", at=START + 8.1))
        self.told.changes.clear()
        self.say("failed")
        self.assertEqual(self.told.take("container"), [])

    def test_one_that_is_gone_before_they_say_so_was_stopped(self) -> None:
        self.begin()
        self.falls_ill()
        self.ends()
        self.told.changes.clear()
        self.told.truth.containers.clear()
        self.told.hear(event("destroy", at=START + 8.1))
        self.assertEqual(self.told.happened(), ["stop", "remove"])

    def test_a_change_of_health_counts_though_it_died_before_anybody_could_look(self) -> None:
        self.begin()
        self.falls_ill(look=False)
        self.ends()
        self.say("failed")
        self.assertEqual(self.told.happened()[-2:], ["unhealthy", "crash"])

    def test_one_that_does_well_again_and_again_for_a_moment_only_is_a_crash_loop(self) -> None:
        for number in range(1, 4):
            at = START + 10.0 * number
            own = self.begin(number, at)
            self.tasks[number] = task(1, at=at - START, service=SERVICE, node=NODE, container=own)
            self.count(at + 1)
            self.ends(number, at + 3, code=0, killed=False)
            self.say("complete", number, at + 5)
        self.assertEqual([words.partition(" crashed: ")[2].partition(". ")[0] for words in self.told.news()], LOOP)
        self.told.changes.clear()
        # A longer one did its work.
        self.begin(4, START + 40)
        self.ends(4, START + 59, code=0, killed=False)
        self.assertEqual(self.told.happened(), ["create", "start", "healthy", "finish"])

    def test_one_that_did_well_for_a_moment_and_gets_no_successor_or_a_late_one_did_well(self) -> None:
        for fields, killed, happened in (
            ({}, False, "crash"),
            ({}, True, "stop"),
            ({"condition": "on-failure"}, False, "finish"),
            ({"delay": 3600 * SECOND}, False, "finish"),
        ):
            self.setUp()
            own = self.begin()
            self.tasks[1] = task(1, at=1, service=SERVICE, node=NODE, container=own, **fields)
            self.count(START + 2)
            self.told.changes.clear()
            self.ends(at=START + 4, code=0, killed=killed)
            self.assertEqual(self.told.happened(), [happened], fields)

    def test_one_whose_container_waited_for_its_turn_ran_only_since_its_start(self) -> None:
        """A swarm makes it at once, and starts it after the delay."""
        own = self.begin(waited=9.0)
        self.tasks[1] = task(1, at=1, service=SERVICE, node=NODE, container=own)
        self.count(START + 2)
        self.told.changes.clear()
        self.ends(at=START + 4, code=0, killed=False)
        self.assertEqual(self.told.happened(), ["crash"])

    def test_where_nobody_heard_its_end_its_swarm_says_whether_that_was_wanted(self) -> None:
        for fate, happened in (("complete", "crash"), ("shutdown", "stop")):
            self.setUp()
            own = self.begin()
            self.say(fate)
            ended = {"status": "exited", "exit_code": 0, "finished": int((START + 4) * SECOND)}
            self.told.truth.containers[own] = msgspec.structs.replace(self.told.truth.containers[own], **ended)
            self.told.changes.clear()
            self.told.look(own, START + 9)
            self.assertEqual(self.told.happened(), [happened])

    def test_a_restart_of_ours_waits_on(self) -> None:
        self.begin()
        self.falls_ill()
        self.ends()
        self.told = restarted(self.told, START + 8.1)
        self.told.resync(START + 8.2)
        self.say("failed", at=START + 8.3)
        self.assertEqual(self.told.happened(), ["crash"])

    def test_what_falls_ill_again_and_again_is_a_crash_loop_and_little_is_said_of_its_health(self) -> None:
        for number in range(1, 6):
            at = START + 10.0 * number
            self.begin(number, at)
            self.falls_ill(number, at + 3)
            self.ends(number, at + 5)
            self.say("failed", number, at + 6.2)
        self.assertEqual(
            [words.partition(". ")[0] for words in self.told.news()],
            [
                "web-1 on test is unhealthy",
                "web-1 on test crashed: exit 137 (SIGKILL), unhealthy",
                "web-1 on test crashed: exit 137 (SIGKILL), unhealthy, 3rd time in 10 minutes",
            ],
        )
        self.told.changes.clear()
        own = self.begin(6, START + 60)
        self.told.look(own, START + 100)
        self.assertEqual(self.told.news(), ["web-1 on test runs again, for 39 seconds now, after 5 crashes"])
        self.falls_ill(6, START + 110)
        self.assertEqual(self.told.news()[1:], ["web-1 on test is unhealthy"])
