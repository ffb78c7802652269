from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.test_specifications import GLOBAL, REPLICATED
from tutumstream.errors import DockerError
from tutumstream.gateway.docker.control import KEPT, NOTICED, Control, Subject
from tutumstream.gateway.platform import Change, Order, OrderError, Taken, Verb


class FakeWriter:
    """Writes down what it is told; `outcome` is what comes of it."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.outcome: Deferred[None] | None = None
        self.found: dict[str, Any] = REPLICATED

    def _do(self, *what: Any) -> Deferred[None]:
        self.done.append(what)
        return succeed(None) if self.outcome is None else self.outcome

    def start(self, container: str) -> Deferred[None]:
        return self._do("start", container)

    def stop(self, container: str, grace: float) -> Deferred[None]:
        return self._do("stop", container, grace)

    def restart(self, container: str, grace: float) -> Deferred[None]:
        return self._do("restart", container, grace)

    def remove(self, container: str) -> Deferred[None]:
        return self._do("remove", container)

    def remove_service(self, service: str) -> Deferred[None]:
        return self._do("remove service", service)

    def service(self, service: str) -> Deferred[dict[str, Any]]:
        return succeed(self.found)

    def update_service(self, service: str, version: int, spec: Mapping[str, Any]) -> Deferred[None]:
        return self._do("update", service, version, spec)


class TestControl(SynchronousTestCase):
    def setUp(self) -> None:
        self.writer = FakeWriter()
        self.subject: Subject | None = Subject({"c1": 10.0, "c2": 30.0})
        self.told: list[Change] = []
        self.now = 1000.0
        self.state = "Running"
        self.control = Control(
            self.writer,
            lambda *_: self.subject,
            lambda kind, uuid: {"uuid": uuid, "state": self.state, "target_num_containers": 2},
            self.told.extend,
            lambda: self.now,
        )

    def order(self, verb: Verb, kind: str = "service", target: int | None = None) -> Taken:
        """Once what was asked for before has shown, or can't any more."""
        self.now += NOTICED
        return self.successResultOf(self.control.perform(self.ordered(verb, kind, target)))

    def ordered(self, verb: Verb, kind: str = "service", target: int | None = None) -> Order:
        return Order(verb=verb, kind=kind, uuid="5a", target=target, path="/api/v1/x/", address="192.0.2.1")

    def test_each_verb_goes_to_every_container(self) -> None:
        for verb, done in (
            ("start", [("start", "c1"), ("start", "c2")]),
            ("stop", [("stop", "c1", 10.0), ("stop", "c2", 30.0)]),
            ("redeploy", [("restart", "c1", 10.0), ("restart", "c2", 30.0)]),
            ("terminate", [("remove", "c1"), ("remove", "c2")]),
        ):
            self.writer.done.clear()
            self.order(verb)  # type: ignore[arg-type]  # they are verbs
            self.assertEqual(self.writer.done, done)

    def test_the_answer_shows_what_comes_next_and_the_action_how_it_went(self) -> None:
        self.writer.outcome = Deferred()
        taken = self.order("stop")
        self.assertEqual(taken.resource["state"], "Stopping")
        ((uuid, action),) = self.control.actions.items()
        self.assertEqual(taken.action, f"/api/v1/action/{uuid}/")
        self.assertEqual([(one.action, one.state) for one in self.told], [("create", "In progress")])
        self.assertEqual(self.told[0].parents, ("/api/v1/service/5a/",))
        self.assertIsNone(action.resource()["end_date"])
        waiting, self.writer.outcome = self.writer.outcome, None
        self.now += 7
        waiting.callback(None)
        shown = self.control.actions[uuid].resource()
        self.assertEqual((shown["state"], shown["action"], shown["ip"]), ("Success", "Service Stop", "192.0.2.1"))
        self.assertEqual((self.told[-1].action, self.told[-1].state), ("update", "Success"))
        self.assertNotIn("logs", shown)

    def refused(self, verb: Verb) -> int:
        return self.failureResultOf(self.control.perform(self.ordered(verb)), OrderError).value.status

    def test_a_second_stop_is_refused_while_the_first_is_under_way_and_until_what_it_did_shows(self) -> None:
        self.writer.outcome = Deferred()
        self.order("stop")
        self.assertEqual(self.refused("stop"), 409)
        self.assertEqual(self.refused("terminate"), 409)
        self.assertEqual(len(self.writer.done), 1)
        waiting, self.writer.outcome = self.writer.outcome, None
        waiting.callback(None)
        self.assertEqual(self.refused("stop"), 409)
        self.state = "Stopped"
        self.successResultOf(self.control.perform(self.ordered("start")))
        self.assertEqual(self.writer.done[-1], ("start", "c2"))

    def test_what_may_follow_an_order_under_way_is_taken(self) -> None:
        self.state = "Stopped"
        self.writer.outcome = Deferred()
        self.order("start")
        self.assertEqual(self.refused("start"), 409)
        self.successResultOf(self.control.perform(self.ordered("stop")))

    def test_a_later_order_waits_for_what_is_being_done_and_the_rest_of_the_earlier_one_is_left_out(self) -> None:
        self.writer.outcome = restarting = Deferred()
        redeploy = self.order("redeploy")
        self.writer.outcome = None
        stop = self.order("stop", "stack")
        # The second container was not restarted yet, and is not any more.
        self.assertEqual(self.writer.done, [("restart", "c1", 10.0)])
        restarting.callback(None)
        stops = [("stop", "c1", 10.0), ("stop", "c2", 30.0)]
        self.assertEqual(self.writer.done, [("restart", "c1", 10.0), *stops])
        self.assertEqual([self.outcome(redeploy), self.outcome(stop)], ["Canceled", "Success"])
        self.order("start")
        self.assertEqual(self.writer.done[-2:], [("start", "c1"), ("start", "c2")])

    def test_an_order_that_was_overtaken_in_part_leaves_that_part_out(self) -> None:
        self.writer.outcome = restarting = Deferred()
        redeploy = self.order("redeploy", "stack")
        self.writer.outcome = None
        self.subject = Subject({"c2": 30.0})
        stop = self.order("stop", "container")
        self.assertEqual(self.outcome(stop), "Success")
        restarting.callback(None)
        self.assertEqual(self.writer.done, [("restart", "c1", 10.0), ("stop", "c2", 30.0)])
        self.assertEqual(self.outcome(redeploy), "Canceled")

    def test_what_says_nothing_of_what_is_to_run_overtakes_nothing(self) -> None:
        self.state = "Partly running"
        self.subject = Subject(services=["s1", "s2"])
        self.writer.outcome = updating = Deferred()
        start = self.order("start", "stack")
        self.writer.outcome = None
        self.subject = Subject(services=["s2"])
        self.assertEqual(self.outcome(self.order("redeploy")), "Success")
        updating.callback(None)
        self.assertEqual([done[1] for done in self.writer.done], ["s1", "s2", "s2"])
        self.assertEqual(self.replicas(), 5)
        self.assertEqual(self.outcome(start), "Success")

    def test_a_new_number_is_set_though_it_waits_when_it_is_asked_for_once_more(self) -> None:
        self.subject = Subject(services=["s1"])
        self.writer.outcome = updating = Deferred()
        redeploy = self.order("redeploy")
        self.writer.outcome = None
        scale = self.order("scale", target=7)
        self.order("scale")
        self.assertEqual(len(self.writer.done), 1)
        updating.callback(None)
        self.assertEqual(self.replicas(), 7)
        self.assertEqual([self.outcome(redeploy), self.outcome(scale)], ["Success", "Success"])

    def test_a_redeployment_that_waits_is_not_overtaken_by_a_new_number(self) -> None:
        self.subject = Subject(services=["s1", "s2"])
        self.writer.outcome = updating = Deferred()
        redeploy = self.order("redeploy", "stack")
        self.writer.outcome = None
        self.subject = Subject(services=["s2"])
        self.order("scale", target=7)
        updating.callback(None)
        self.assertEqual(self.writer.done[-1][3]["TaskTemplate"]["ForceUpdate"], 4)
        self.assertEqual(self.outcome(redeploy), "Success")

    def replicas(self) -> object:
        """As they were asked for last."""
        return self.writer.done[-1][3]["Mode"]["Replicated"]["Replicas"]

    def outcome(self, taken: Taken) -> str:
        return self.control.actions[taken.action.split("/")[-2]].state

    def test_an_order_that_failed_or_never_showed_is_in_nobodys_way(self) -> None:
        self.writer.outcome = fail(DockerError("x", "it is away"))
        self.order("stop")
        self.successResultOf(self.control.perform(self.ordered("stop")))
        self.writer.outcome = None
        self.order("stop")
        self.assertEqual(self.refused("stop"), 409)
        self.order("stop")

    def test_one_that_fails_does_not_keep_the_others_from_being_asked(self) -> None:
        self.writer.outcome = fail(DockerError("x", "it is away"))
        taken = self.order("start")
        self.assertEqual(len(self.writer.done), 2)
        action = self.control.actions[taken.action.split("/")[-2]]
        self.assertEqual((action.state, action.problems), ("Failed", ("Docker Engine x: it is away",) * 2))
        self.assertNotIn("logs", action.resource())

    def test_what_is_not_there_is_404(self) -> None:
        self.subject = None
        self.assertEqual(self.failureResultOf(self.control.perform(self.ordered("stop")), OrderError).value.status, 404)
        self.assertEqual(self.told, [])

    def test_only_a_swarm_can_scale_and_asking_once_more_for_the_same_is_harmless(self) -> None:
        refused = self.failureResultOf(self.control.perform(self.ordered("scale", target=3)), OrderError).value
        self.assertEqual(refused.status, 405)
        self.order("scale")
        self.order("scale", target=2)
        self.assertEqual(self.writer.done, [])

    def test_a_service_of_a_swarm_is_changed_by_its_specification(self) -> None:
        self.subject = Subject(services=["s1"])
        self.order("scale", target=7)
        _, service, version, spec = self.writer.done[-1]
        self.assertEqual((service, version, spec["Mode"]["Replicated"]["Replicas"]), ("s1", 42, 7))
        self.order("terminate")
        self.assertEqual(self.writer.done[-1], ("remove service", "s1"))

    def test_a_service_that_cannot_be_scaled_makes_a_failed_action(self) -> None:
        self.subject, self.writer.found = Subject(services=["s1"]), GLOBAL
        taken = self.order("scale", target=7)
        self.assertEqual(self.control.actions[taken.action.split("/")[-2]].state, "Failed")

    def test_old_actions_are_forgotten(self) -> None:
        for _ in range(KEPT + 5):
            self.order("start")
        self.assertEqual(len(self.control.actions), KEPT)

    def test_stopping_waits_for_nothing(self) -> None:
        self.writer.outcome = Deferred()
        self.order("stop")
        with capturedLogs() as logs:
            self.control.stop()
        self.assertEqual([one.state for one in self.told], ["In progress"])
        said = "the gateway stops before all of service 5a was asked to stop: give the order again"
        self.assertEqual([formatEvent(line) for line in logs], [said])
