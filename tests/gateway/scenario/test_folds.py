from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.scenario.folds import nodecluster_state, service_state, stack_state

STATES = st.sampled_from(["Starting", "Running", "Stopping", "Stopped", "Terminating", "Terminated"])


class TestService(SynchronousTestCase):
    def test_the_states_of_the_containers_decide(self) -> None:
        for containers, state in (
            ([], "Not running"),
            (["Running", "Running"], "Running"),
            (["Running", "Terminated"], "Running"),
            (["Running", "Stopped"], "Partly running"),
            (["Running", "Starting"], "Partly running"),
            (["Stopped", "Stopped"], "Stopped"),
            (["Stopped", "Starting"], "Starting"),
            (["Starting"], "Starting"),
            (["Stopped", "Stopping"], "Stopping"),
            (["Terminated"], "Not running"),
        ):
            self.assertEqual(service_state("", False, containers), state, containers)

    def test_what_is_being_done_hides_the_containers(self) -> None:
        self.assertEqual(service_state("Scaling", False, ["Running"]), "Scaling")

    def test_a_destroyed_service_is_terminated(self) -> None:
        self.assertEqual(service_state("Terminating", True, []), "Terminated")

    @given(st.lists(STATES))
    def test_order_never_matters_and_running_means_all(self, containers: list[str]) -> None:
        state = service_state("", False, containers)
        self.assertEqual(state, service_state("", False, sorted(containers)))
        live = {one for one in containers if one != "Terminated"}
        self.assertEqual(state == "Running", live == {"Running"})


class TestStack(SynchronousTestCase):
    def test_the_states_of_the_services_decide(self) -> None:
        for services, state in (
            ([], "Not Running"),
            (["Not running", "Not running"], "Not Running"),
            (["Running", "Running"], "Running"),
            (["Running", "Scaling", "Redeploying"], "Running"),
            (["Running", "Stopped"], "Partly running"),
            (["Stopped", "Partly running"], "Partly running"),
            (["Stopped", "Stopped"], "Stopped"),
            (["Stopped", "Starting"], "Starting"),
            (["Stopped", "Terminating"], "Stopping"),
            (["Terminated"], "Not Running"),
        ):
            self.assertEqual(stack_state("", False, services), state, services)

    def test_what_is_being_done_and_the_end_win(self) -> None:
        self.assertEqual(stack_state("Terminating", False, ["Running"]), "Terminating")
        self.assertEqual(stack_state("", True, []), "Terminated")


class TestNodeCluster(SynchronousTestCase):
    def test_the_states_of_the_nodes_decide(self) -> None:
        for nodes, state in (
            ([], "Empty cluster"),
            (["Terminated"], "Empty cluster"),
            (["Deployed", "Deployed"], "Deployed"),
            (["Deployed", "Unreachable"], "Partly deployed"),
            (["Upgrading"], "Partly deployed"),
            (["Deploying", "Deploying"], "Deploying"),
        ):
            self.assertEqual(nodecluster_state(nodes), state, nodes)
