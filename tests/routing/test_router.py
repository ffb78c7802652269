from msgspec import structs
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.docker_details import DockerDetails
from tutumstream.errors import ConditionError, TemplateError
from tutumstream.event import Event
from tutumstream.routing.delivery import Delivery, Incident
from tutumstream.routing.route import IncidentRule, Route
from tutumstream.routing.router import Router

EVENT = Event(id="e1", received_at=1.0, type="stack", action="delete", resource_uri="/api/v1/stack/s/")


def route(name: str, when: str = "true", *notify: str, incident: IncidentRule | None = None) -> Route:
    return Route(name, when, notify or ("ops",), "text", incident)


class ARouter(SynchronousTestCase):
    def test_gives_one_delivery_for_each_destination_of_each_route_that_matches_with_the_reason(self) -> None:
        router = Router([route("a", "true", "ops", "dev"), route("b", "false"), route("c")], {"ops", "dev"})
        self.assertEqual(
            router.deliveries(EVENT),
            (
                Delivery("ops", "a", "a: true", "/api/v1/stack/s/"),
                Delivery("dev", "a", "a: true", "/api/v1/stack/s/"),
                Delivery("ops", "c", "c: true", "/api/v1/stack/s/"),
            ),
        )

    def test_leaves_out_destinations_that_do_not_exist(self) -> None:
        router = Router([route("a", "true", "ops", "gone")], {"ops"})
        self.assertEqual([each.destination for each in router.deliveries(EVENT)], ["ops"])

    def test_gives_an_incident_its_key_and_orders_by_it(self) -> None:
        rule = IncidentRule("trigger", "{{ event.type }}-{{ event.resource_uri }}")
        (delivery,) = Router([route("a", incident=rule)], {"ops"}).deliveries(EVENT)
        self.assertEqual(delivery.incident, Incident("trigger", "stack-/api/v1/stack/s/"))
        self.assertEqual(delivery.ordering_key, "stack-/api/v1/stack/s/")

    def test_gives_an_incident_whose_key_comes_out_empty_the_events_own(self) -> None:
        rule = IncidentRule("trigger", "{{ event.uuid }}")
        (delivery,) = Router([route("a", incident=rule)], {"ops"}).deliveries(EVENT)
        self.assertEqual(delivery.incident, Incident("trigger", "e1"))

    def test_orders_what_has_no_resource_by_its_type(self) -> None:
        (delivery,) = Router([route("a")], {"ops"}).deliveries(Event(id="e1", received_at=1.0, type="stream"))
        self.assertEqual(delivery.ordering_key, "stream")

    def test_logs_a_condition_that_fails_and_goes_on_with_the_others(self) -> None:
        events: list[dict[str, object]] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        router = Router([route("bad", "int(event.state) > 1"), route("good")], {"ops"})
        self.assertEqual([each.route for each in router.deliveries(EVENT)], ["good"])
        self.assertEqual([event["route"] for event in events if "route" in event], ["bad"])

    def test_does_not_begin_with_a_route_that_can_not_work(self) -> None:
        with self.assertRaises(ConditionError):
            Router([route("a", "event.type ==")], {"ops"})
        with self.assertRaises(TemplateError):
            Router([route("a", incident=IncidentRule("trigger", "{{ stack.name }}"))], {"ops"})

    def test_tells_of_a_destination_through_the_others(self) -> None:
        router = Router([route("a", "true", "slack", "pagerduty")], {"slack", "pagerduty"})
        held = Event(id="e1", received_at=1.0, type="destination", action="held", resource_uri="destination/slack")
        self.assertEqual([each.destination for each in router.deliveries(held)], ["pagerduty"])

    def test_marks_what_pages_as_urgent_and_holds_back_triggers_only(self) -> None:
        trigger = Route("t", "true", ("ops",), "x", IncidentRule("trigger", "k"), grace=30.0)
        resolve = Route("r", "true", ("ops",), "x", IncidentRule("resolve", "k"), grace=30.0)
        plain = Route("p", "true", ("ops",), "x", grace=30.0)
        urgent = Route("u", "true", ("ops",), "x", urgent=True)
        deliveries = Router([trigger, resolve, plain, urgent], {"ops"}).deliveries(EVENT)
        self.assertEqual([each.urgent for each in deliveries], [True, True, False, True])
        self.assertEqual([each.grace for each in deliveries], [30.0, 0.0, 0.0, 0.0])

    def test_gives_the_same_answer_however_often_it_is_asked(self) -> None:
        conditions = ['event.type == "stack"', 'event.parent.stack != ""', 'event.state in ["Running"]']
        sure = Router([route(when, when) for when in conditions], {"ops"})
        unsure = Router([route(when, when) for when in [*conditions, "event.id == event.id"]], {"ops"})
        for kind in ("stack", "service"):
            for state in ("Running", "Stopped"):
                for parents in ((), ("/api/v1/stack/1/",), ("/api/v1/stack/2/",)):
                    event = Event(id="e", received_at=1.0, type=kind, state=state, parents=parents)
                    expected = [each.route for each in unsure.deliveries(event)][:-1]
                    for _ in range(3):
                        self.assertEqual([each.route for each in sure.deliveries(event)], expected)

    def test_asks_again_where_a_field_with_many_values_decides(self) -> None:
        router = Router([route("a", f'event.resource_uri == "{EVENT.resource_uri}"')], {"ops"})
        for uri in (EVENT.resource_uri, "/api/v1/stack/t/") * 2:
            found = router.deliveries(structs.replace(EVENT, resource_uri=uri))
            self.assertEqual(len(found), int(uri == EVENT.resource_uri))

    def test_asks_again_where_details_with_many_values_decide(self) -> None:
        router = Router([route("a", "event.docker.exit_code == 3"), route("b", 'event.type == "stack"')], {"ops"})
        plain = Event(id="e", received_at=1.0, type="stack")
        for _ in range(2):
            for code, routes in ((3, ["a", "b"]), (4, ["b"]), (None, ["b"])):
                event = structs.replace(plain, docker=DockerDetails(exit_code=code))
                self.assertEqual([each.route for each in router.deliveries(event)], routes)
            self.assertEqual([each.route for each in router.deliveries(plain)], ["b"])

    def test_remembers_what_follows_from_details_with_few_values(self) -> None:
        router = Router([route("a", "event.docker.news && !event.docker.expected")], {"ops"})
        plain = Event(id="e", received_at=1.0, type="container")
        for _ in range(2):
            for news, expected in ((False, False), (True, True), (True, False)):
                event = structs.replace(plain, docker=DockerDetails(news=news, expected=expected))
                self.assertEqual(len(router.deliveries(event)), int(news and not expected))
            self.assertEqual(router.deliveries(plain), ())

    def test_goes_on_when_it_has_seen_too_many_kinds_of_events_to_remember(self) -> None:
        router = Router([route("a", 'event.state != ""')], {"ops"}, remembered=100)
        for number in range(201):
            event = Event(id="e", received_at=1.0, type="stack", state=str(number), resource_uri="/u/")
            self.assertEqual(len(router.deliveries(event)), 1)

    def test_costs_nothing_for_a_route_that_tells_nobody(self) -> None:
        self.assertEqual(Router([route("a", "true", "gone")], {"ops"}).deliveries(EVENT), ())
