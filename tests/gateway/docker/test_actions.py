from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import SECOND, START
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


def service(state: str, action: str = "update") -> Change:
    return Change(type="service", action=action, state=state, resource_uri=SERVICE)


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
