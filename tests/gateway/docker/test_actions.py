from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import SECOND, START
from tutumstream.docker_details import DockerDetails
from tutumstream.gateway.docker.actions import (
    FAILED,
    IN_PROGRESS,
    KEPT,
    REDEPLOY,
    RESTART,
    ROLLBACK,
    SCALE,
    SUCCESS,
    Action,
    Actions,
)
from tutumstream.gateway.platform import Change

SERVICE = "/api/v1/service/a/"
AT = START * SECOND
ON_THE_WAY = ["create In progress"]


def service(state: str, action: str = "update") -> Change:
    return Change(type="service", action=action, state=state, resource_uri=SERVICE)


def container(name: str, event: str, action: str = "update", slot: str = "") -> Change:
    return Change(
        type="container",
        action=action,
        state="",
        resource_uri=f"/api/v1/container/{name}/",
        parents=(SERVICE, "/api/v1/node/n/"),
        docker=DockerDetails(event=event, slot=slot),
    )


def new(name: str, slot: str = "") -> Change:
    return container(name, "create", "create", slot)


class DerivedActions(SynchronousTestCase):
    def setUp(self) -> None:
        self.actions = Actions()

    def begin(self, name: str = REDEPLOY, at: int = AT, now: float = START + 1.0) -> list[str]:
        return self.told(self.actions.begin(name, SERVICE, at, now))

    def end(self, name: str = REDEPLOY, state: str = SUCCESS) -> list[str]:
        return self.told(self.actions.end(name, SERVICE, state, START + 9.0))

    def follow(self, *changes: Change) -> list[str]:
        return self.told(self.actions.follow(changes, START + 5.0))

    def told(self, changes: Iterable[Change]) -> list[str]:
        return [f"{each.action} {each.state}" for each in changes if each.type == "action"]

    def known(self) -> list[tuple[str, str, float, float]]:
        return [(each.name, each.state, each.started, each.ended) for each in self.actions.known.values()]

    def test_begin_by_the_engines_clock_and_end_by_ours(self) -> None:
        self.assertEqual(self.begin(), ["create In progress"])
        self.assertEqual(self.known(), [(REDEPLOY, IN_PROGRESS, START, 0.0)])
        self.assertEqual(self.end(), ["update Success"])
        self.assertEqual(self.known(), [(REDEPLOY, SUCCESS, START, START + 9.0)])
        self.assertEqual(self.end(), [], "it is over")

    def test_say_whose_they_are(self) -> None:
        (began,) = self.actions.begin(REDEPLOY, SERVICE, AT, START)
        (action,) = self.actions.known.values()
        self.assertEqual((began.resource_uri, began.parents), (f"/api/v1/action/{action.uuid}/", (SERVICE,)))

    def test_are_the_same_when_they_are_seen_again_even_after_their_end(self) -> None:
        self.begin()
        self.assertEqual(self.begin(), [])
        self.end()
        self.assertEqual(self.begin(), [])
        self.assertEqual(self.told(self.actions.done(RESTART, SERVICE, AT)), ["create Success"])
        self.assertEqual(self.told(self.actions.done(RESTART, SERVICE, AT)), [])
        self.assertEqual(self.known()[1], (RESTART, SUCCESS, START, START))

    def test_are_over_when_another_one_of_their_kind_begins(self) -> None:
        self.begin(SCALE)
        self.begin()
        self.assertEqual(self.begin(at=AT + SECOND), ["update Canceled", "create In progress"])
        self.assertEqual(self.actions.since(REDEPLOY, SERVICE), START + 1.0)
        self.assertEqual(self.actions.since(SCALE, SERVICE), START)
        self.assertIsNone(self.actions.since(ROLLBACK, SERVICE))

    def test_follow_what_a_service_goes_through(self) -> None:
        self.assertEqual(self.follow(service("Redeploying")), ["create In progress"])
        self.assertEqual(self.actions.since(REDEPLOY, SERVICE), START + 5.0)
        for on_the_way in ("Starting", "Scaling"):
            self.assertEqual(self.follow(service(on_the_way)), [])
        self.assertEqual(self.follow(service("Running")), ["update Success"])
        self.begin()
        self.assertEqual(self.follow(service("Partly running")), ["update Failed"])

    def test_follow_after_the_change_that_says_so(self) -> None:
        kinds = [each.type for each in self.actions.follow([service("Redeploying"), service("Running")], START)]
        self.assertEqual(kinds, ["service", "action", "service", "action"])

    def test_of_a_service_that_is_deleted_are_over_whatever_they_are(self) -> None:
        for name in (SCALE, ROLLBACK, REDEPLOY):
            self.begin(name)
        self.assertEqual(self.follow(service("Terminated", "delete")), ["update Canceled"] * 3)

    def test_are_nothing_that_other_objects_say(self) -> None:
        self.begin()
        for kind in ("stack", "container", "node"):
            over = Change(type=kind, action="update", state="Running", resource_uri=SERVICE)
            self.assertEqual(self.follow(over), [])
        self.assertEqual(self.follow(over, service("Running")), ["update Success"])

    def test_of_an_exchange_end_when_the_new_one_came_up_whatever_else_is_stopped(self) -> None:
        self.assertEqual(self.follow(new("a"), service("Redeploying")), ON_THE_WAY)
        self.assertEqual(self.follow(service("Partly running")), [])
        self.assertEqual(self.follow(container("a", "start")), ["update Success"])
        self.assertEqual(self.follow(service("Running"), container("a", "crash")), [])

    def test_of_an_exchange_wait_for_one_that_is_made_and_not_started_for_long(self) -> None:
        self.follow(new("a"), service("Redeploying"), service("Starting"))
        self.assertEqual(self.follow(container("a", ""), service("Stopped")), [], "what it depends on takes its time")
        self.assertEqual(self.follow(container("a", "start"), service("Running")), ["update Success"])

    def test_of_an_exchange_are_canceled_where_all_that_was_new_is_removed_before_it_came_up(self) -> None:
        self.follow(new("a"), new("b"), service("Redeploying"), service("Stopped"))
        self.assertEqual(self.follow(container("old", "remove", "delete"), container("a", "remove", "delete")), [])
        self.assertEqual(self.follow(container("b", "remove", "delete")), ["update Canceled"])

    def test_of_an_exchange_fail_where_a_new_one_does_not_come_up(self) -> None:
        self.follow(service("Redeploying"), new("a"), new("b"), service("Starting"))
        self.assertEqual(self.follow(container("a", "crash"), service("Partly running")), [])
        self.assertEqual(self.follow(container("b", "start")), ["update Failed"])

    def test_of_an_exchange_succeed_where_a_new_one_came_up_after_a_crash_or_has_finished(self) -> None:
        self.follow(service("Redeploying"), new("a"), new("b"), new("c"), service("Starting"))
        for name, event in (("a", "crash"), ("a", "start"), ("b", "start"), ("b", "finish"), ("a", "healthy")):
            self.assertEqual(self.follow(container(name, event)), [])
        self.assertEqual(self.follow(container("c", "start")), ["update Success"])

    def test_of_exchanges_that_overlap_are_one(self) -> None:
        self.assertEqual(self.follow(new("a"), service("Redeploying"), service("Starting")), ON_THE_WAY)
        self.assertEqual(self.follow(new("b"), service("Redeploying"), container("a", "start")), [])
        self.assertEqual(self.follow(service("Starting"), container("b", "start")), ["update Success"])

    def test_of_an_exchange_are_a_matter_of_what_came_with_it(self) -> None:
        self.follow(new("a"), container("a", "crash"), new("b"), container("b", "", "delete"))
        self.assertEqual(self.follow(new("c"), service("Redeploying"), service("Partly running")), ON_THE_WAY)
        self.assertEqual(self.follow(container("c", "start")), ["update Success"])

    def test_of_a_swarm_are_not_derived_from_its_containers(self) -> None:
        self.follow(new("a", slot="a/1"), service("Redeploying"))
        self.assertEqual(self.follow(container("a", "start", slot="a/1")), [])
        self.assertEqual(self.follow(service("Partly running")), ["update Failed"])

    def test_that_went_on_before_a_restart_wait_for_what_was_expected_then(self) -> None:
        going = Action(uuid="2", name=REDEPLOY, object=SERVICE, state=IN_PROGRESS, started=START)
        self.actions.recall([going], exchanging=[SERVICE])
        self.actions.expect(SERVICE, new("a").resource_uri)
        self.assertEqual(self.follow(new("b"), container("b", "start"), service("Partly running")), [])
        self.assertEqual(self.follow(container("a", "start")), ["update Success"])

    def test_that_went_on_before_a_restart_wait_for_the_end_of_the_exchange(self) -> None:
        going = Action(uuid="2", name=REDEPLOY, object=SERVICE, state=IN_PROGRESS, started=START)
        self.actions.recall([going], exchanging=[SERVICE])
        self.assertEqual(self.follow(new("a"), container("a", "start")), [])
        self.assertEqual(self.follow(service("Running")), ["update Success"])

    def test_that_went_on_before_a_restart_go_on(self) -> None:
        ended = Action(uuid="1", name=SCALE, object=SERVICE, state=FAILED, started=START, ended=START + 1.0)
        self.actions.recall([ended, Action(uuid="2", name=REDEPLOY, object=SERVICE, state=IN_PROGRESS, started=START)])
        self.assertEqual(self.end(SCALE), [])
        self.assertEqual(self.end(), ["update Success"])

    def test_are_forgotten_from_the_oldest_on_also_where_they_went_on(self) -> None:
        self.begin(SCALE)
        self.begin(REDEPLOY)
        self.end(REDEPLOY)
        self.begin(REDEPLOY, AT + SECOND)
        for number in range(KEPT - 3):
            self.actions.recall([Action(uuid=f"{number}", name=RESTART, object="", state=SUCCESS, started=START)])
        self.assertEqual(len(self.actions.known), KEPT)
        for number in (1, 2):
            self.assertEqual(self.told(self.actions.done(RESTART, SERVICE, AT + number)), ["create Success"])
        self.assertEqual(len(self.actions.known), KEPT)
        self.assertEqual(self.end(SCALE), [], "nobody knows it any more")
        self.assertEqual(self.end(REDEPLOY), ["update Success"], "the later one of this kind went on")
