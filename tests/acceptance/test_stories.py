"""The tutorial's promise, for whole stories: who is told what, in which order, once.

What is expected is worked out here from the story and from the contract's table, without a line of the product.
"""

import base64
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.running_destinations import (
    PAGERDUTY_KEY,
    PAGERDUTY_V1,
    PAGERDUTY_V2,
    SLACK,
    WEBHOOK,
    WEBHOOK_SECRET,
    RunningDestinations,
)
from tests.acceptance.service import TOKEN, USER, Serve
from tests.running_tutum import RunningTutum

pytestmark = pytest.mark.acceptance

CORPUS = Path(__file__).parent.parent / "corpus" / "tutum"
STACKS = {one["resource_uri"]: one for one in json.loads((CORPUS / "resources/stack.json").read_text())["objects"]}
KEYS = ("type", "action", "state", "resource_uri", "parents")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

STORIES = ("stack_redeploy", "scale_up", "node_failure", "service_termination")


def story(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CORPUS / f"events/{name}.jsonl").read_text().splitlines()]


def stack_of(event: dict[str, Any]) -> dict[str, Any] | None:
    found = [uri for uri in event["parents"] if "/stack/" in uri]
    return STACKS[found[0]] if found else None


def in_slack(events: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The bodies that Slack must get."""
    bodies = []
    for event in events:
        stack = stack_of(event)
        if event["type"] == "container":
            text = f"Your container was {event['action']}d on Tutum!\n"
            text += f"Check {event['resource_uri']} to see more details."
        elif event["type"] == "service" and stack is not None:
            text = f"A Service on Tutum was {event['action']}d.\nIt belonged to the {stack['name']} Stack.\n"
            text += f"The Stack state is: {stack['state']}"
        else:
            continue
        bodies.append({"text": text})
    return bodies


def in_log(events: list[dict[str, Any]]) -> list[str]:
    """The lines of those that nobody else is told."""
    quiet = [one for one in events if one["type"] != "container" and not (one["type"] == "service" and stack_of(one))]
    return [":".join(str(one[key]) for key in KEYS) for one in quiet]


def by_resource(lines: list[str]) -> list[str]:
    """Order is promised within a resource; where something has to be looked up, others may overtake it."""
    return sorted(lines, key=lambda line: line.split(":")[3])


def pages(events: list[dict[str, Any]], types: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    """What must happen to which incident, in which words, from open to close."""
    deleted = [one for one in events if one["type"] in types and one["action"] == "delete"]
    return [
        ("resolve", "tutum-stream", "Tutum Stream connection open."),
        *(
            ("trigger", one["resource_uri"], f"{one['type']} {one['resource_uri']} was deleted on Tutum.")
            for one in deleted
        ),
        ("trigger", "tutum-stream", "Tutum Stream connection closed."),
    ]


def v1_body(action: str, key: str, text: str, details: dict[str, Any]) -> dict[str, Any]:
    return {
        "service_key": PAGERDUTY_KEY,
        "event_type": action,
        "incident_key": key,
        "description": text,
        "details": details,
    }


def v2_body(action: str, key: str, text: str, details: dict[str, Any]) -> dict[str, Any]:
    return {
        "routing_key": PAGERDUTY_KEY,
        "event_action": action,
        "dedup_key": key,
        "payload": {
            "summary": text,
            "source": details["resource_uri"] or "tutum-stream",
            "severity": "critical",
            "timestamp": details["received_at"],
            "custom_details": details,
        },
    }


def assert_document(found: dict[str, Any], event: dict[str, Any]) -> None:
    """An event as it is handed on: the wire's fields, and an id and a time of ours."""
    assert {key: found[key] for key in KEYS} == {key: event[key] for key in KEYS}
    assert set(found) == {"id", "received_at", *KEYS}
    assert found["id"]
    assert TIME.fullmatch(found["received_at"])


def run(
    name: str,
    serve: Serve,
    tutum: RunningTutum,
    told: RunningDestinations,
    api: str = "v1",
    types: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    """Play a story to a service of its own, from its start to its polite end; gives its events."""
    events = story(name)
    service = serve(**told.environment(api), PAGERDUTY_ON_DELETE=", ".join(types))
    service.wait_for_line("objects are known")
    # The stacks stay as the corpus has them.
    tutum.mode(follow=False)
    for event in events:
        tutum.send(json.dumps(event))
    told.wait_for(SLACK, len(in_slack(events)))
    told.wait_for(WEBHOOK, len(events))
    told.wait_for(PAGERDUTY_V1 if api == "v1" else PAGERDUTY_V2, len(pages(events, types)) - 1)
    assert service.terminate() == 0
    assert service.errors == []
    assert by_resource(service.told("LogNotifier")) == by_resource(in_log(events))
    assert service.told(level="warn") + service.told(level="error") == []
    return events


@pytest.mark.parametrize("name", STORIES)
def test_everybody_is_told_all_of_a_story_in_order_and_once(
    name: str, serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    events = run(name, serve, tutum, told)
    assert told.accepted(SLACK) == in_slack(events)
    bodies = told.accepted(PAGERDUTY_V1)
    assert bodies == [v1_body(*page, body["details"]) for page, body in zip(pages(events), bodies, strict=True)]
    assert [(one["details"]["type"], one["details"]["action"]) for one in bodies] == [
        ("stream", "open"),
        ("stream", "close"),
    ]
    assert_hooks(told, events)
    asked = [one for one in tutum.requests() if not one["uri"].startswith("/v1/") and "?limit=" not in one["uri"]]
    assert {one["uri"] for one in asked} <= set(STACKS)
    basic = "Basic " + base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
    assert {one["headers"]["authorization"] for one in tutum.requests()} == {basic}


def test_pagerduty_v2_is_told_the_same_and_deletions_page_where_that_is_wanted(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    types = ("stack", "service", "node")
    events = run("service_termination", serve, tutum, told, "v2", types)
    bodies = told.accepted(PAGERDUTY_V2)
    expected = pages(events, types)
    assert len(expected) == 3
    assert bodies == [
        v2_body(*page, body["payload"]["custom_details"]) for page, body in zip(expected, bodies, strict=True)
    ]
    assert_document(bodies[1]["payload"]["custom_details"], events[-1])
    assert told.accepted(PAGERDUTY_V1) == []


def assert_hooks(told: RunningDestinations, events: list[dict[str, Any]]) -> None:
    """One request an event, each resource's in order, each with an id of its own and a signature that fits."""
    requests = sorted(told.requests(WEBHOOK), key=lambda one: str(one["body"]["data"]["resource_uri"]))
    events = sorted(events, key=lambda one: str(one["resource_uri"]))
    assert [one["status"] for one in requests] == [204] * len(events)
    assert len({one["headers"]["webhook-id"] for one in requests}) == len(events)
    for request, event in zip(requests, events, strict=True):
        body = request["body"]
        assert set(body) == {"type", "timestamp", "data"}
        assert body["type"] == f"tutum.{event['type']}.{event['action']}"
        assert body["timestamp"] == body["data"]["received_at"]
        assert_document(body["data"], event)
        assert request["headers"]["webhook-signature"] == signed(request)


def signed(request: dict[str, Any]) -> str:
    """The signature by the specification; the body's bytes are its JSON without blanks."""
    headers = request["headers"]
    raw = json.dumps(request["body"], separators=(",", ":"), ensure_ascii=False)
    key = base64.b64decode(WEBHOOK_SECRET.removeprefix("whsec_"))
    message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{raw}"
    return "v1," + base64.b64encode(hmac.digest(key, message.encode(), hashlib.sha256)).decode()
