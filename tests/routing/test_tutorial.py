import json
from collections.abc import Collection
from functools import cache
from pathlib import Path

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.event import Event, decode
from tutumstream.rendering import Templates
from tutumstream.routing.always import LINE, cel
from tutumstream.routing.delivery import Incident
from tutumstream.routing.router import Router
from tutumstream.routing.tutorial import tutorial

CORPUS = Path(__file__).parents[1] / "corpus" / "tutum" / "events"
ALL = {"slack", "pagerduty", "webhook", "log"}
PAGED = {"stack", "service", "node"}
STACK = ("/api/v1/stack/s/",)


@cache
def a_router(on_delete: frozenset[str], destinations: frozenset[str]) -> Router:
    """Made once: its conditions are compiled."""
    return Router(tutorial(on_delete), destinations)


def told(event: Event, on_delete: Collection[str] = (), destinations: Collection[str] = ALL) -> list[tuple[str, str]]:
    router = a_router(frozenset(on_delete), frozenset(destinations))
    return [(each.destination, each.route) for each in router.deliveries(event)]


def event(kind: str, action: str = "update", parents: tuple[str, ...] = ()) -> Event:
    return Event(
        id="e1",
        received_at=1.0,
        type=kind,
        action=action,
        state="S",
        resource_uri=f"/api/v1/{kind}/x/",
        parents=parents,
    )


class TheTutorialsRoutes(SynchronousTestCase):
    def test_tell_slack_of_every_container(self) -> None:
        for action in ("create", "update", "delete", "anything"):
            self.assertEqual(told(event("container", action)), [("slack", "container"), ("webhook", "webhook")])

    def test_tell_slack_of_a_service_whose_parents_hold_a_stack_wherever_it_stands(self) -> None:
        for parents in (STACK, ("/api/v1/node/n/", *STACK)):
            self.assertEqual(
                told(event("service", parents=parents)), [("slack", "service of a stack"), ("webhook", "webhook")]
            )

    def test_log_a_service_without_a_stack(self) -> None:
        self.assertEqual(told(event("service")), [("log", "everything else"), ("webhook", "webhook")])

    def test_log_every_other_type(self) -> None:
        for kind in ("stack", "node", "nodecluster", "action"):
            self.assertEqual(told(event(kind)), [("log", "everything else"), ("webhook", "webhook")])
        self.assertEqual(told(event("error")), [("log", "everything else")])

    def test_leave_users_notifications_alone(self) -> None:
        self.assertEqual(told(event("user-notification")), [])
        self.assertEqual(told(event("user-notifications")), [])

    def test_page_when_the_stream_is_lost_and_resolve_when_it_is_back(self) -> None:
        router = Router(tutorial(), ALL)
        for action, does in (("open", "resolve"), ("close", "trigger"), ("error", "trigger")):
            (delivery,) = router.deliveries(Event(id="e1", received_at=1.0, type="stream", action=action))
            self.assertEqual((delivery.destination, delivery.incident), ("pagerduty", Incident(does, "tutum-stream")))

    def test_say_that_the_journal_is_well_and_resolve_only_while_the_stream_is_open(self) -> None:
        router = Router(tutorial(), ALL)
        recovered = {"id": "e1", "received_at": 1.0, "type": "journal", "action": "recovered"}
        (in_slack,) = router.deliveries(Event(**recovered))
        self.assertEqual((in_slack.destination, in_slack.urgent), ("slack", True))
        both = router.deliveries(Event(**recovered, state="Connected"))
        self.assertEqual([each.destination for each in both], ["slack", "pagerduty"])
        self.assertEqual(both[1].incident, Incident("resolve", "tutum-stream"))

    def test_tell_through_the_others_of_a_destination_that_takes_nothing_until_it_recovers(self) -> None:
        router = a_router(frozenset(), frozenset(ALL))
        for action, does in (
            *((trouble, "trigger") for trouble in ("held", "limited", "failing", "refusing")),
            ("recovered", "resolve"),
        ):
            slow = Event(id="e1", received_at=1.0, type="destination", action=action, resource_uri="destination/x")
            found = [(each.destination, each.incident) for each in router.deliveries(slow)]
            incident = Incident(does, "tutumstream-destination/x")
            self.assertEqual(found, [("slack", incident), ("pagerduty", incident)], action)

    def test_say_of_ourselves_what_happened_in_its_own_words(self) -> None:
        texts = {route.name: route.text for route in tutorial(PAGED)}
        for names, words in (
            (["destination held", "destination recovered"], "it is so"),
            (["journal recovered", "journal recovered, stream open"], "it is so"),
            (["gap", "gap with changes"], "it is so"),
            (["stream opened"], "Tutum Stream connection open."),
            (["stream closed"], "Tutum Stream connection closed."),
            (["deleted"], "stack /api/v1/stack/x/ was deleted on Tutum."),
        ):
            for name in names:
                happened = replace(event("stack", "delete"), message="it is so")
                self.assertEqual(Templates().compile(name, texts[name]).render(happened.view(), {}), words)

    def test_give_machines_all_of_an_event_in_one_line(self) -> None:
        line = Templates().compile("line", LINE).render(event("service", parents=STACK).view(), {})
        self.assertEqual(line, "service:update:S:/api/v1/service/x/:['/api/v1/stack/s/']")

    def test_name_types_in_the_same_order_in_every_run(self) -> None:
        self.assertEqual(cel(("node", "action")), '["action", "node"]')

    def test_say_how_a_gap_ended_in_the_log_and_in_slack_only_if_it_is_worth_it(self) -> None:
        both = [("log", "gap"), ("slack", "gap with changes")]
        for action, state, expected in (
            ("caught-up", "Unchanged", both[:1]),
            ("caught-up", "Changed", both),
            ("caught-up", "Cleared", both),
            ("gap", "", both),
        ):
            gap = Event(id="e1", received_at=1.0, type="stream", action=action, state=state, message="m")
            self.assertEqual(told(gap, PAGED), expected)
            self.assertEqual(
                [each.route for each in Router(tutorial(chat="log"), {"log"}).deliveries(gap)],
                ["gap"],
                "once is enough",
            )

    def test_tell_of_a_gap_before_its_details(self) -> None:
        gap = Event(id="e1", received_at=1.0, type="stream", action="caught-up", state="Changed")
        self.assertEqual([each.urgent for each in Router(tutorial(), {"slack"}).deliveries(gap)], [True])

    def test_say_of_what_was_missed_when_it_happened_and_what_is_now(self) -> None:
        (route,) = [each for each in tutorial() if each.name == "container"]
        text = Templates().compile(route.name, route.text)
        missed = replace(event("container"), synthetic=True, missed_from=1448287200.0, missed_to=1448287242.4)
        self.assertEqual(
            text.render(missed.view(), {}).splitlines()[2:],
            [
                "It is S now. That happened between 2015-11-23 14:00:00 UTC and 2015-11-23 14:00:42 UTC, "
                "without a stream."
            ],
        )
        self.assertEqual(len(text.render(event("container").view(), {}).splitlines()), 2)
        # At the first look at all, nobody knows since when.
        at_once = replace(missed, missed_to=missed.missed_from)
        self.assertEqual(text.render(at_once.view(), {}).splitlines()[2:], ["It is S now."])

    def test_page_for_a_deletion_of_a_named_type_only(self) -> None:
        self.assertIn(("pagerduty", "deleted"), told(event("stack", "delete"), PAGED))
        self.assertNotIn(("pagerduty", "deleted"), told(event("stack", "update"), PAGED))
        self.assertNotIn(("pagerduty", "deleted"), told(event("container", "delete"), PAGED))
        self.assertNotIn(("pagerduty", "deleted"), told(event("stack", "delete")))

    def test_give_a_deletion_the_resource_as_incident_key(self) -> None:
        deliveries = Router(tutorial(PAGED), {"pagerduty"}).deliveries(event("node", "delete"))
        self.assertEqual([each.incident for each in deliveries], [Incident("trigger", "/api/v1/node/x/")])

    def test_leave_out_what_is_not_configured(self) -> None:
        self.assertEqual(told(event("container"), PAGED, {"log"}), [])

    def test_say_in_the_log_what_slack_would_hear_where_that_is_wanted(self) -> None:
        router = Router(tutorial(chat="log"), {"log"})
        self.assertEqual([each.route for each in router.deliveries(event("container"))], ["container"])

    def test_store_every_event(self) -> None:
        for each in (event("container"), event("user-notification"), Event(id="e", received_at=1.0, type="stream")):
            self.assertEqual(told(each, destinations={"elasticsearch"}), [("elasticsearch", "elasticsearch")])

    def test_tell_every_event_of_every_story_somewhere(self) -> None:
        router = Router(tutorial(), {"slack", "log"})
        for path in ("stack_redeploy", "scale_up", "node_failure", "service_termination", "dockercloud_stack_redeploy"):
            for line in (CORPUS / f"{path}.jsonl").read_bytes().splitlines():
                found = decode(line, 1.0)
                assert isinstance(found, Event)
                self.assertEqual(len(router.deliveries(found)), 1, json.loads(line))
