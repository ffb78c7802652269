"""What happens while nobody listens is told all the same, once, with the state that is."""

import json
import os
import time
from collections import Counter
from typing import Any

import pytest

from tests.acceptance.docker_engine import DockerEngine
from tests.acceptance.early import Killed
from tests.acceptance.running_destinations import PAGERDUTY_V1, SLACK, WEBHOOK, RunningDestinations
from tests.acceptance.service import RunningService, Serve, until
from tests.running_tutum import RunningTutum
from tutumstream.routing.problems import NODE_PATIENCE

pytestmark = pytest.mark.acceptance

QUIET = {"SLACK_URL": "", "PAGERDUTY_KEY": ""}
"""The webhook alone gets every event of an object."""


def uri(name: object, kind: str = "container") -> str:
    return f"/api/v1/{kind}/{name}/"


def event(name: object, state: str, action: str = "update", kind: str = "container", **more: Any) -> str:
    """An event as it comes over the wire."""
    told = {"type": kind, "action": action, "state": state, "resource_uri": uri(name, kind), "parents": [], **more}
    return json.dumps(told)


def words(told: RunningDestinations) -> list[tuple[str, str, bool]]:
    """Name, state and whether it was missed, of each event that the webhook got; "gone" for what is deleted."""
    found = [body["data"] for body in told.accepted(WEBHOOK)]
    return [
        (
            each["resource_uri"].split("/")[-2],
            "gone" if each["action"] == "delete" else each["state"],
            each.get("synthetic", False),
        )
        for each in found
    ]


def caught_up(service: RunningService, count: int = 1) -> str:
    """What was said of the gap."""
    return json.loads(service.wait_for_line("without a stream: ", count=count))["event"]


def ready(service: RunningService, tutum: RunningTutum) -> None:
    """It has listed everything for the first time."""
    service.wait_for_line("objects are known")
    assert tutum.state()["clients"] == 1


def test_the_first_start_is_silent_and_a_restart_tells_what_happened_in_between(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    for name in ("web", "db", "old", "gone"):
        tutum.put(uri(name), "Running")
    service = serve()
    ready(service, tutum)
    assert told.accepted(WEBHOOK) == []
    tutum.send(event("web", "Stopping"))
    told.wait_for(WEBHOOK, 1)
    service.kill_at_rest()
    tutum.put(uri("web"), "Stopped")
    tutum.put(uri("new"), "Starting")
    tutum.remove(uri("gone"))
    service.start()
    said = caught_up(service)
    assert said.endswith("without a stream: 1 container stopped, 1 container created, 1 container deleted")
    told.wait_for(WEBHOOK, 4)
    tutum.send(event("new", "Running"))
    told.wait_for(WEBHOOK, 5)
    # In order for each of them; between them there is none.
    assert sorted(words(told), key=lambda told: told[0]) == [
        ("gone", "gone", True),
        ("new", "Starting", True),
        ("new", "Running", False),
        ("web", "Stopping", False),
        ("web", "Stopped", True),
    ]
    bodies = [body["data"] for body in told.accepted(WEBHOOK)]
    assert [one["missed_from"] < one["missed_to"] for one in bodies if one.get("synthetic")] == [True] * 3
    texts = [body["text"] for body in told.wait_for(SLACK, 5)]
    assert said in texts
    assert "It is Stopped now. That happened between 20" in "".join(texts)
    # A polite stop is a gap too, and what was told once is not told again.
    service.terminate()
    tutum.put(uri("db"), "Stopped")
    service.start()
    assert caught_up(service).endswith("without a stream: 1 container stopped")
    told.wait_for(WEBHOOK, 6)
    assert words(told)[5:] == [("db", "Stopped", True)]


def test_fifty_objects_change_while_the_stream_is_cut_and_go_on_changing_while_they_are_listed(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    """Live events during the comparison: none is told twice, none is followed by what was before it."""
    names = [f"c{number:02}" for number in range(50)]
    for name in names:
        tutum.put(uri(name), "Running")
    service = serve(**QUIET)
    ready(service, tutum)
    tutum.mode(rest_delay=0.3, rest_limit=20)
    tutum.drop()
    for name in names:
        tutum.put(uri(name), "Stopping")
    tutum.wait_for_clients(1)
    for name in names[:25]:
        tutum.send(event(name, "Stopped"))
    caught_up(service)
    for name in names[25:]:
        tutum.send(event(name, "Stopped"))
    until(lambda: Counter(state for _, state, _ in words(told))["Stopped"] == 50, "the end of all")
    by_name: dict[str, list[tuple[str, bool]]] = {}
    for name, state, missed in words(told):
        by_name.setdefault(name, []).append((state, missed))
    for name in names[:25]:
        assert by_name[name] in ([("Stopped", False)], [("Stopping", True), ("Stopped", False)])
    assert {tuple(by_name[name]) for name in names[25:]} == {(("Stopping", True), ("Stopped", False))}


def test_a_gap_is_told_while_the_api_is_out_of_reach_and_made_good_when_it_is_back(
    serve: Serve, tutum: RunningTutum, told: RunningDestinations
) -> None:
    tutum.put(uri("web"), "Running")
    service = serve()
    ready(service, tutum)
    tutum.mode(rest_status=503, retry_after="2")
    tutum.drop()
    tutum.put(uri("web"), "Stopped")
    service.wait_until_connected(2)
    tutum.send(event("db", "Running", "create"))
    told.wait_for(WEBHOOK, 1)
    (line,) = [service.wait_for_line("is not known yet", 25)]
    assert "the REST API can't be asked (it answered 503)" in line
    assert words(told) == [("db", "Running", False)]
    tutum.mode(rest_status=0)
    service.wait_for_line("without a stream: 1 container stopped", 25)
    told.wait_for(WEBHOOK, 2)
    assert words(told)[1:] == [("web", "Stopped", True)]
    texts = [body["text"] for body in told.wait_for(SLACK, 4)]
    assert [text for text in texts if "without a stream: " in text] == [
        json.loads(line)["event"],
        caught_up(service, 2),
    ]


def test_a_node_that_came_back_while_the_service_was_away_pages_nobody(lost_nodes: Killed) -> None:
    service, told, tutum = lost_nodes.service, lost_nodes.told, lost_nodes.tutum
    # Whatever was to page has long been due by then.
    time.sleep(max(0.0, lost_nodes.at + NODE_PATIENCE + 1 - time.monotonic()))
    tutum.put(uri("back", "node"), "Deployed")
    tutum.put(uri("lost", "node"), "Unreachable")
    service.start()
    assert caught_up(service).endswith("without a stream: 1 node deployed")

    def pages() -> list[tuple[str, str]]:
        found = [(one["event_type"], one["incident_key"]) for one in told.accepted(PAGERDUTY_V1)]
        return [one for one in found if one[1] != "tutum-stream"]

    # After a kill nobody knows whether the page went out, so its end is told in any case.
    lost, back = ("trigger", f"lost-{uri('lost', 'node')}"), ("resolve", f"lost-{uri('back', 'node')}")
    until(lambda: sorted(pages()) == [back, lost], "the page for the one that is still lost", 20)
    service.terminate()
    assert sorted(pages()) == [back, lost]


def test_what_a_docker_engine_did_while_the_service_was_away_is_told_at_its_next_start(
    engine: DockerEngine, serve: Serve, told: RunningDestinations
) -> None:
    unique = f"gap{os.getpid()}"
    names = [f"{unique}-{number}" for number in range(3)]
    try:
        for name in names[:2]:
            engine.run(name, options=("--stop-timeout", "1"))
        service = serve("--docker", DOCKER_HOST=engine.host, **QUIET)
        service.wait_for_line("objects are known")
        assert told.accepted(WEBHOOK) == []
        service.kill()
        engine.docker("stop", names[0])
        engine.remove(names[1])
        engine.run(names[2])
        service.start()
        caught_up(service)
        found = [body["data"] for body in told.wait_for(WEBHOOK, 6)]
        assert {each["synthetic"] for each in found} == {True}
        states = sorted((each["action"], each["state"]) for each in found if each["type"] == "container")
        assert states == [("create", "Running"), ("delete", "Terminated"), ("update", "Stopped")]
    finally:
        engine.remove(*engine.docker("ps", "-aq", "--filter", f"name={unique}").split())


def test_a_crash_while_the_service_was_away_is_told_as_one_and_a_stop_is_not(
    engine: DockerEngine, serve: Serve, told: RunningDestinations
) -> None:
    unique = f"gap{os.getpid()}"
    try:
        engine.run(f"{unique}-crash", "sh", "-c", "trap 'exit 3' USR1; while sleep 0.1; do :; done")
        engine.run(f"{unique}-stop", options=("--stop-timeout", "1"))
        service = serve("--docker", DOCKER_HOST=engine.host, TUTUMSTREAM_ROUTES="problems", PAGERDUTY_KEY="")
        service.wait_for_line("objects are known")
        service.kill()
        engine.docker("kill", "--signal", "USR1", f"{unique}-crash")
        engine.docker("stop", f"{unique}-stop")
        engine.docker("wait", f"{unique}-crash")
        service.start()
        said = caught_up(service)
        texts = [body["text"] for body in told.wait_for(SLACK, 2)]
        assert texts == [said, f"{unique}-crash crashed: exit 3"]
        found = [body["data"] for body in told.wait_for(WEBHOOK, 4)]
        ends = {
            each["docker"]["name"]: (each["docker"]["event"], each["docker"]["exit_code"], each["synthetic"])
            for each in found
            if each["type"] == "container"
        }
        assert ends == {f"{unique}-crash": ("crash", 3, True), f"{unique}-stop": ("stop", 137, True)}
    finally:
        engine.remove(*engine.docker("ps", "-aq", "--filter", f"name={unique}").split())
