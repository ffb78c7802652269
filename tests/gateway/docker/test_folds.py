from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import SECOND, START, container
from tutumstream.gateway.docker.folds import (
    START_PATIENCE,
    cluster_state,
    container_state,
    path,
    service_state,
    stack_state,
)


class ContainerStateTests(SynchronousTestCase):
    def test_every_word_of_docker_and_podman(self) -> None:
        for status, state in (
            ("created", "Starting"),
            ("running", "Running"),
            ("paused", "Running"),
            ("restarting", "Stopped"),
            ("exited", "Stopped"),
            ("stopped", "Stopped"),
            ("dead", "Stopped"),
            ("removing", "Terminating"),
            ("stopping", "Stopping"),
            ("configured", "Starting"),
        ):
            self.assertEqual(container_state(container(status=status), START + 1), state, status)

    def test_one_that_could_not_be_started_is_stopped(self) -> None:
        self.assertEqual(container_state(container(status="created", error="no such file"), START + 1), "Stopped")

    def test_one_that_nobody_starts_is_stopped_after_a_while(self) -> None:
        created = container(status="created")
        self.assertEqual(container_state(created, START + START_PATIENCE - 0.1), "Starting")
        self.assertEqual(container_state(created, START + START_PATIENCE), "Stopped")


class PathTests(SynchronousTestCase):
    def test_steps(self) -> None:
        first, second = START * SECOND, (START + 5) * SECOND
        for told, last_start, started, state, steps in (
            ("Starting", 0, 0, "Starting", []),
            ("Starting", 0, 0, "Stopped", ["Stopped"]),
            ("Starting", 0, first, "Running", ["Running"]),
            ("Starting", 0, first, "Stopped", ["Running", "Stopped"]),
            ("Starting", 0, first, "Terminating", ["Running", "Stopped", "Terminating"]),
            ("Running", first, first, "Running", []),
            ("Running", first, first, "Stopped", ["Stopped"]),
            ("Running", first, first, "Terminating", ["Stopped", "Terminating"]),
            ("Running", first, second, "Running", ["Stopped", "Running"]),
            ("Running", first, second, "Stopped", ["Stopped", "Running", "Stopped"]),
            ("Stopping", first, first, "Running", ["Running"]),
            ("Stopping", first, second, "Running", ["Stopped", "Running"]),
            ("Stopped", first, first, "Stopped", []),
            ("Stopped", first, second, "Running", ["Running"]),
            ("Stopped", first, second, "Stopped", ["Running", "Stopped"]),
            ("Stopped", first, first, "Terminating", ["Terminating"]),
        ):
            seen = container(started=started)
            self.assertEqual(path(told, last_start, seen, state), steps, (told, last_start, started, state))


class ServiceStateTests(SynchronousTestCase):
    def test_folds(self) -> None:
        for members, state in (
            ([], "Terminated"),
            (["Running", "Running"], "Running"),
            (["Stopped"], "Stopped"),
            (["Running", "Starting"], "Starting"),
            (["Stopped", "Stopping"], "Stopping"),
            (["Terminating", "Stopped"], "Terminating"),
            (["Terminating", "Stopping"], "Terminating"),
            (["Running", "Stopped"], "Partly running"),
            (["Running", "Stopping"], "Partly running"),
            (["Running", "Starting", "Stopped"], "Partly running"),
        ):
            self.assertEqual(service_state(members), state, members)

    def test_an_exchange_lasts_until_the_successor_runs(self) -> None:
        for members, state in (
            ([], "Redeploying"),
            (["Starting"], "Redeploying"),
            (["Running"], "Running"),
            (["Running", "Stopped"], "Redeploying"),
        ):
            self.assertEqual(service_state(members, ["Stopped"]), state, members)


class StackStateTests(SynchronousTestCase):
    def test_folds(self) -> None:
        for services, state in (
            ([], "Not Running"),
            (["Not running", "Not running"], "Not Running"),
            (["Running", "Running"], "Running"),
            (["Stopped"], "Stopped"),
            (["Terminated"], "Terminated"),
            (["Starting"], "Starting"),
            (["Running", "Starting", "Scaling"], "Starting"),
            (["Stopped", "Stopping"], "Stopping"),
            (["Terminating", "Terminated"], "Terminating"),
            (["Terminating", "Stopped"], "Terminating"),
            (["Running", "Redeploying", "Stopped"], "Redeploying"),
            (["Running", "Stopped"], "Partly running"),
            (["Partly running"], "Partly running"),
        ):
            self.assertEqual(stack_state(services), state, services)


class ClusterStateTests(SynchronousTestCase):
    def test_folds(self) -> None:
        for nodes, state in (
            ([], "Empty cluster"),
            (["Deployed", "Deployed"], "Deployed"),
            (["Deploying"], "Deploying"),
            (["Deployed", "Unreachable"], "Partly deployed"),
            (["Unreachable"], "Partly deployed"),
        ):
            self.assertEqual(cluster_state(nodes), state, nodes)
