from collections.abc import Collection
from functools import cache
from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import Told, capture
from tutumstream.docker_details import DockerDetails
from tutumstream.event import Event, decode
from tutumstream.gateway.streaming import encode
from tutumstream.rendering import Templates
from tutumstream.routing.delivery import Delivery, Incident
from tutumstream.routing.problems import NODE_PATIENCE, SERVICE_PATIENCE, UNHEALTHY_FOR_LONG, problems
from tutumstream.routing.router import Router

PEOPLE = {"slack", "pagerduty"}
URI = "/api/v1/container/x/"
TEMPLATES = Templates()


def event(kind: str, state: str = "", action: str = "update", **details: Any) -> Event:
    docker = DockerDetails(**details) if details else None
    uri = f"/api/v1/{kind}/x/"
    return Event(id="e1", received_at=1.0, type=kind, action=action, state=state, resource_uri=uri, docker=docker)


@cache
def a_router(destinations: frozenset[str], **options: Any) -> Router:
    """Made once: its conditions are compiled."""
    return Router(problems(**options), destinations)


def told(happened: Event, destinations: Collection[str] = PEOPLE, **options: Any) -> list[tuple[str, str]]:
    """Who is told, and what that does to an incident."""
    router = a_router(frozenset(destinations), **options)
    return [(each.destination, each.incident.action if each.incident else "") for each in router.deliveries(happened)]


def closes(delivery: Delivery) -> bool:
    """Whether nothing is said by it where nothing is open."""
    return delivery.incident is not None and delivery.incident.action == "close"


def text(happened: Event, destination: str = "slack") -> list[str]:
    routes = {route.name: route.text for route in problems()}
    deliveries = a_router(frozenset(PEOPLE)).deliveries(happened)
    found = [each for each in deliveries if each.destination == destination and not closes(each)]
    return [TEMPLATES.compile(each.route, routes[each.route]).render(happened.view(), {}) for each in found]


def all_texts(happened: Event) -> list[str]:
    """The same for whoever is told, also where it says something only of what is open."""
    routes = {route.name: route.text for route in problems()}
    found = a_router(frozenset(PEOPLE)).deliveries(happened)
    return [TEMPLATES.compile(each.route, routes[each.route]).render(happened.view(), {}) for each in found]


class TheRoutesAboutProblems(SynchronousTestCase):
    def test_tell_slack_of_a_crash_in_one_sentence(self) -> None:
        crash = event("container", "Stopped", event="crash", expected=False, news=True, exit_code=3, name="web-2")
        self.assertEqual(told(crash), [("slack", "")])
        self.assertEqual(text(crash), ["web-2 crashed: exit 3"])

    def test_stay_quiet_on_stops_and_whatever_else_is_as_it_should_be(self) -> None:
        for happened in ("create", "start", "rename", ""):
            self.assertEqual(told(event("container", "Stopped", event=happened)), [])
        for over in ("stop", "finish"):
            # Where nothing is open, that is nothing.
            self.assertEqual(told(event("container", "Stopped", event=over)), [("pagerduty", "close")])
        for state in ("Starting", "Running", "Stopping", "Stopped"):
            self.assertEqual(told(event("container", state)), [])
        self.assertEqual(told(event("service", "Partly running")), [])
        self.assertEqual(told(event("action", "Success")), [])

    def test_stay_quiet_on_crashes_that_were_told(self) -> None:
        self.assertEqual(told(event("container", "Stopped", event="crash", expected=False, looping=True)), [])

    def test_page_for_a_crash_loop_until_it_is_over(self) -> None:
        loop = event("container", "Stopped", event="crash", looping=True, news=True)
        self.assertEqual(told(loop), [("slack", ""), ("pagerduty", "trigger")])
        recovery = event("container", "Running", event="recovery", looping=True, news=True)
        self.assertEqual(told(recovery), [("slack", ""), ("pagerduty", "close")])
        finished = event("container", "Stopped", event="finish", looping=True)
        self.assertEqual(told(finished), [("pagerduty", "close")])
        keys = {
            each.incident.key
            for happened in (loop, recovery)
            for each in a_router(frozenset({"pagerduty"})).deliveries(happened)
            if each.incident
        }
        self.assertEqual(keys, {f"crash-loop-{URI}"})

    def test_tell_slack_that_a_loop_was_ended_by_somebody_for_nobody_tells_that_it_runs_again(self) -> None:
        for over, words in (("stop", "was stopped"), ("remove", "was removed")):
            ended = event("container", "Stopped", event=over, looping=True, crashes=5, name="web-2")
            self.assertEqual(told(ended), [("slack", ""), ("pagerduty", "close")])
            self.assertEqual(text(ended), [f"web-2 {words}, after 5 crashes"])

    def test_know_that_a_loop_is_over_though_the_gateway_forgot_that_there_was_one(self) -> None:
        router = a_router(frozenset({"pagerduty"}))
        for over in ("stop", "finish"):
            (close,) = router.deliveries(event("container", "Stopped", event=over))
            self.assertEqual(close.incident, Incident("close", f"crash-loop-{URI}"))
            # In a slot of a swarm another one goes on.
            self.assertEqual(router.deliveries(event("container", "Stopped", event=over, slot="s/1")), ())

    def test_take_all_containers_in_one_slot_of_a_swarm_for_the_same(self) -> None:
        router = a_router(frozenset({"pagerduty"}))
        (page,) = router.deliveries(event("container", event="crash", looping=True, news=True, slot="s/1"))
        (over,) = router.deliveries(event("container", event="recovery", looping=True, news=True, slot="s/1"))
        self.assertEqual((page.ordering_key, over.ordering_key), ("crash-loop-s/1", "crash-loop-s/1"))
        # What a swarm clears away of it ends nothing.
        gone = router.deliveries(event("container", "Terminated", "delete", event="remove", slot="s/1"))
        self.assertNotIn("crash-loop-s/1", [each.ordering_key for each in gone])

    def test_tell_of_a_service_that_its_swarm_can_not_mend_and_why(self) -> None:
        trouble = event("service", "Partly running", expected=False, error="No such image: x")
        (said,) = a_router(frozenset({"slack"})).deliveries(trouble)
        self.assertEqual((said.incident and said.incident.action, said.grace), ("trigger", SERVICE_PATIENCE))
        self.assertEqual(text(trouble), ["service (unknown) is Partly running: No such image: x"])

    def test_call_services_as_people_do(self) -> None:
        trouble = event(
            "service", "Not running", name="api", service="shop_api", stack="shop", error="No such image: x"
        )
        self.assertEqual(text(trouble), ["service api of shop is Not running: No such image: x"])
        routes = {route.name: route.text for route in problems()}
        failed, shown = TEMPLATES.compile("x", routes["failed action"]), {"action": "Service Scale"}
        view = event("action", "Failed").view() | {"parent": {"service": "/api/v1/service/a/", "stack": ""}}
        for service, words in (
            ({"name": "shop_api", "docker": {"name": "api", "stack": "shop"}}, "api of shop"),
            ({"name": "api", "docker": {"name": "api"}}, "api"),
            ({"name": "api"}, "api"),
            (None, "(unknown)"),
        ):
            self.assertEqual(
                failed.render(view, {"resource": shown, "service": service}), f"Service Scale failed: {words}"
            )

    def test_know_after_a_gap_that_what_runs_well_is_over_and_what_crashed_is_news(self) -> None:
        def missed(state: str, **details: Any) -> list[tuple[str, str]]:
            return told(replace(event("container", state, **details), synthetic=True))

        self.assertEqual(missed("Running", event="start"), [("pagerduty", "close")] * 2)
        self.assertEqual(missed("Running", event="start", crashes=2), [])
        self.assertEqual(missed("Stopped", event="stop", exit_code=137), [("pagerduty", "close")])
        self.assertEqual(missed("Stopped", event="crash", exit_code=3, news=True), [("slack", "")])
        self.assertEqual(told(event("container", "Running", event="start")), [])

    def test_page_for_one_that_is_unhealthy_for_long(self) -> None:
        ill = event("container", "Running", event="unhealthy", health="unhealthy", news=True)
        self.assertEqual(told(ill), [("slack", ""), ("pagerduty", "trigger")])
        (page,) = a_router(frozenset({"pagerduty"})).deliveries(ill)
        self.assertEqual(page.grace, UNHEALTHY_FOR_LONG)
        well = event("container", "Running", event="healthy", health="healthy", news=True)
        self.assertEqual(told(well), [("slack", ""), ("pagerduty", "close")])
        gone = event("container", "Stopped", event="stop", health="unhealthy")
        self.assertEqual(told(gone), [("pagerduty", "close")] * 2)

    def test_close_every_incident_of_what_is_removed(self) -> None:
        for details, said in (
            ({"event": "remove", "name": "web-2", "stack": "shop"}, "web-2 of shop was removed"),
            ({}, f"A container was removed: {URI}"),
        ):
            gone = event("container", "Terminated", "delete", **details)
            self.assertEqual(told(gone), [("pagerduty", "close")] * 2)
            self.assertEqual(all_texts(gone), [said] * 2)

    def test_tell_of_a_lost_node_at_once_and_page_a_little_later(self) -> None:
        lost = event("node", "Unreachable")
        self.assertEqual(told(lost), [("slack", "trigger"), ("pagerduty", "trigger")])
        found = a_router(frozenset(PEOPLE)).deliveries(lost)
        self.assertEqual([each.grace for each in found], [0.0, NODE_PATIENCE])
        self.assertEqual(text(lost), ["Node (unknown) is Unreachable"])
        named = event("node", "Unreachable", event="unreachable", name="hh-3", node="hh-3", expected=False)
        self.assertEqual(text(named), ["Node hh-3 can't be reached"])
        self.assertEqual(told(event("node", "Deployed")), [("slack", "close"), ("pagerduty", "close")])
        gone = event("node", "Terminated", "delete", name="hh-3", node="hh-3")
        self.assertEqual(all_texts(gone), ["Node hh-3 is Terminated"] * 2)

    def test_tell_of_failed_actions_and_deployments_and_of_the_end_of_these(self) -> None:
        self.assertEqual(told(event("action", "Failed")), [("slack", "")])
        self.assertEqual(text(event("action", "Failed")), ["(unknown) failed: /api/v1/action/x/"])
        for kind, state in (("service", "Not running"), ("stack", "Not Running"), ("service", "Start failed")):
            (failed,) = a_router(frozenset(PEOPLE)).deliveries(event(kind, state))
            self.assertEqual((failed.incident and failed.incident.action, failed.grace), ("trigger", SERVICE_PATIENCE))
            # What is on its way out is nobody's trouble any more.
            for over in ("Running", "Stopped", "Terminating", "Terminated"):
                self.assertEqual(told(event(kind, over)), [("slack", "close")])

    def test_tell_of_containers_without_details_what_their_state_says(self) -> None:
        self.assertEqual(told(event("container", "Stopped with errors")), [("slack", "")])

    def test_tell_of_bad_news_of_whatever_type(self) -> None:
        self.assertEqual(told(event("service", "Redeploying", event="crash", news=True)), [("slack", "")])

    def test_know_our_own_connection_and_the_deletions_that_were_asked_for(self) -> None:
        lost = Event(id="e", received_at=1.0, type="stream", action="close")
        self.assertEqual(told(lost), [("pagerduty", "trigger")])
        deleted = event("stack", "Terminated", "delete")
        self.assertIn(("pagerduty", "trigger"), told(deleted, page_on_delete=("stack",)))

    def test_know_our_own_destinations_gaps_and_journal(self) -> None:
        for kind, action, expected in (
            ("destination", "held", [("slack", "trigger"), ("pagerduty", "trigger")]),
            ("stream", "gap", [("slack", "")]),
            ("journal", "recovered", [("slack", "")]),
        ):
            self.assertEqual(told(Event(id="e", received_at=1.0, type=kind, action=action)), expected)

    def test_close_what_they_opened(self) -> None:
        def keys(*happened: Event) -> set[str]:
            found = [each for event in happened for each in a_router(frozenset({"pagerduty"})).deliveries(event)]
            return {each.incident.key for each in found if each.incident}

        ill, loop = event("container", event="unhealthy"), event("container", event="crash", looping=True, news=True)
        self.assertEqual(keys(ill, event("container", event="healthy", health="healthy")), keys(ill))
        self.assertEqual(keys(event("container", "Terminated", "delete")), keys(ill, loop))

    def test_page_in_the_words_that_slack_hears(self) -> None:
        for details in (
            {"event": "crash", "looping": True, "crashes": 5},
            {"event": "unhealthy"},
            {"event": "recovery"},
        ):
            happened = event("container", news=True, name="web-2", **details)
            self.assertEqual(len(set(all_texts(happened))), 1, details)

    def test_say_of_a_service_that_it_runs_again(self) -> None:
        for state, words in (("Running", "service api is Running again"), ("Stopped", "service api is Stopped")):
            self.assertEqual(all_texts(event("service", state, name="api")), [words])

    def test_give_the_machines_everything(self) -> None:
        quiet = event("container", "Stopped", event="stop")
        self.assertEqual(told(quiet, {"webhook", "elasticsearch"}), [("webhook", ""), ("elasticsearch", "")])

    def test_say_in_the_log_what_slack_would_hear_where_that_is_wanted(self) -> None:
        crash = event("container", "Stopped", event="crash", news=True)
        self.assertEqual(told(crash, {"log"}, chat="log"), [("log", "")])

    def test_say_of_real_streams_what_went_wrong_and_nothing_else(self) -> None:
        for name, words in (
            ("01-run-stop-rm", []),
            ("02-kill", []),
            (
                "03-die-nonzero-and-zero",
                ["crashed: exit 3", "could not be started: exec: not found", "crashed: exit 5"],
            ),
            ("04-oom", ["crashed: exit 137, out of memory"]),
            ("05-failed-start-inspect", ["could not be started: exec: not found"] * 2),
            ("06-health", ["is unhealthy", "is healthy again", "is unhealthy"]),
        ):
            engine = Told()
            engine.replay(capture(f"{name}.jsonl"))
            said = [line for change in engine.changes for line in text(self.received(encode(change)))]
            self.assertEqual([line.partition(" on test ")[2] for line in said], words, name)

    def received(self, line: bytes) -> Event:
        found = decode(line, 1.0)
        assert isinstance(found, Event)
        return found
