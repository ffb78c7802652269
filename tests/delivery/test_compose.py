from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.delivery.test_lane import ScriptedNotifier
from tutumstream.delivery.compose import Composer
from tutumstream.errors import TemplateError
from tutumstream.event import Event
from tutumstream.journal.interface import Pending
from tutumstream.notifiers.interface import Message
from tutumstream.routing.delivery import Delivery, Incident
from tutumstream.routing.route import Route

STACK = "/api/v1/stack/s/"
NODE = "/api/v1/node/n/"
EVENT = Event(
    id="e1",
    received_at=1.0,
    type="service",
    action="update",
    state="Running",
    resource_uri="/api/v1/service/x/",
    parents=(NODE, STACK),
)


def pending(route: str, incident: Incident | None = None, event: Event = EVENT) -> Pending:
    return Pending(1, "e1-1", event, Delivery("slack", route, "why", "k", incident))


class AComposer(SynchronousTestCase):
    def setUp(self) -> None:
        self.asked: list[str] = []
        self.resources: dict[str, Mapping[str, Any] | None] = {STACK: {"name": "shop", "state": "Running"}}

    def fetch(self, uri: str) -> Deferred[Mapping[str, Any] | None]:
        self.asked.append(uri)
        return succeed(self.resources.get(uri))

    def composer(self, *routes: Route) -> Composer:
        return Composer(routes, "slack", ScriptedNotifier(), self.fetch)

    def message(self, text: str, row: Pending | None = None) -> Message:
        return self.written(self.composer(Route("r", "true", ("slack",), text)), row or pending("r"))

    def written(self, composer: Composer, row: Pending) -> Message:
        (message,) = self.successResultOf(maybeDeferred(composer.messages, [row]))
        return message

    def test_writes_the_routes_text_with_the_delivery_s_own_id_and_incident(self) -> None:
        incident = Incident("trigger", "key")
        self.assertEqual(
            self.message("{{ event.type }} is {{ event.state }}", pending("r", incident)),
            Message("e1-1", EVENT, "service is Running", "r", incident),
        )

    def test_says_of_what_closes_that_it_resolves(self) -> None:
        self.assertEqual(self.message("over", pending("r", Incident("close", "k"))).incident, Incident("resolve", "k"))

    def test_has_it_at_once_where_nothing_must_be_looked_up(self) -> None:
        composer = self.composer(Route("r", "true", ("slack",), "{{ event.type }}"))
        found = composer.messages([pending("r"), pending("r")])
        assert isinstance(found, list)
        self.assertEqual([message.text for message in found], ["service", "service"])

    def test_looks_up_where_only_one_of_the_texts_names_something(self) -> None:
        composer = self.composer(
            Route("r", "true", ("slack",), "{{ event.type }}"), Route("s", "true", ("slack",), "{{ stack.name }}")
        )
        found = self.successResultOf(maybeDeferred(composer.messages, [pending("r"), pending("s")]))
        self.assertEqual([message.text for message in found], ["service", "shop"])

    def test_makes_one_message_of_many(self) -> None:
        notifier = ScriptedNotifier()
        notifier.escape = lambda text: text.replace("service", "&")  # type: ignore[method-assign]
        last = pending("r", event=replace(EVENT, received_at=61.0))
        told = Composer([], "slack", notifier, self.fetch).digest([pending("r"), replace(last, id="e2-1")])
        self.assertEqual((told.id, told.event, told.route, told.incident), ("e1-1-digest", last.event, "digest", None))
        self.assertTrue(told.text.startswith("2 & events in 60 s"), told.text)

    def test_looks_up_only_what_the_text_names(self) -> None:
        self.assertEqual(self.message("{{ stack.name }}").text, "shop")
        self.assertEqual(self.asked, [STACK])

    def test_asks_for_everything_at_once(self) -> None:
        waiting: list[Deferred[Mapping[str, Any] | None]] = []

        def slow(uri: str) -> Deferred[Mapping[str, Any] | None]:
            self.asked.append(uri)
            waiting.append(Deferred())
            return waiting[-1]

        routes = [Route("r", "true", ("slack",), "{{ stack.name }} {{ node.name }} {{ resource.name }}")]
        written = maybeDeferred(Composer(routes, "slack", ScriptedNotifier(), slow).messages, [pending("r")])
        self.assertEqual(sorted(self.asked), [NODE, "/api/v1/service/x/", STACK])
        for answer in waiting:
            answer.callback({"name": "n"})
        self.assertEqual(self.successResultOf(written)[0].text, "n n n")

    def test_tells_without_what_can_not_be_had(self) -> None:
        self.resources[STACK] = None
        text = "It belonged to the {{ stack.name }} Stack."
        self.assertEqual(self.message(text).text, "It belonged to the (unknown) Stack.")

    def test_tells_without_a_parent_that_the_event_does_not_have(self) -> None:
        self.assertEqual(self.message("{{ nodecluster.name }}").text, "(unknown)")
        self.assertEqual(self.asked, [])

    def test_tells_plainly_where_the_route_is_gone(self) -> None:
        message = self.message("text", pending("renamed"))
        self.assertEqual(message.text, f"service:update:Running:/api/v1/service/x/:['{NODE}', '{STACK}']")
        self.assertEqual(message.route, "renamed")

    def test_tells_plainly_where_the_text_fails_on_an_event(self) -> None:
        text = "{% if event.state == 'Running' %}{{ 1 // 0 }}{% endif %}"
        self.assertIn("service:update:Running:", self.message(text).text)

    def test_hands_on_what_the_notifier_needs_and_what_could_be_had_of_it(self) -> None:
        notifier = ScriptedNotifier()
        notifier.needs = frozenset({"resource", "stack", "node", "nodecluster"})
        self.resources["/api/v1/service/x/"] = {"name": "web"}
        composer = Composer([Route("r", "true", ("slack",), "{{ stack.name }}")], "slack", notifier, self.fetch)
        message = self.written(composer, pending("r"))
        self.assertEqual(message.text, "shop")
        self.assertEqual(message.resources, {"resource": {"name": "web"}, "stack": self.resources[STACK]})
        self.assertEqual(sorted(self.asked), [NODE, "/api/v1/service/x/", STACK])

    def test_keeps_what_only_the_text_names_to_the_text(self) -> None:
        self.assertEqual(self.message("{{ stack.name }}").resources, {})

    def test_neither_renders_nor_looks_up_for_a_text_that_nobody_reads(self) -> None:
        notifier = ScriptedNotifier()
        notifier.textual = False
        composer = Composer([Route("r", "true", ("slack",), "{{ stack.name }}")], "slack", notifier, self.fetch)
        incident = Incident("trigger", "key")
        message = self.written(composer, pending("r", incident))
        self.assertEqual(message, Message("e1-1", EVENT, "", "r", incident))
        self.assertEqual(self.asked, [])

    def test_refuses_to_begin_with_a_text_that_can_not_work(self) -> None:
        with self.assertRaises(TemplateError):
            self.composer(Route("r", "true", ("slack",), "{{ evnet.type }}"))

    def test_cares_for_the_texts_of_its_own_destination_only(self) -> None:
        self.composer(Route("r", "true", ("other",), "{{ evnet.type }}"))
