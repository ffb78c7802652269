"""A swarm of two real engines on this machine, watched through its manager only."""

import json
import signal
import time
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.acceptance.docker_engine import EngineUnavailableError, OwnEngine
from tests.acceptance.service import until
from tests.acceptance.test_docker_platform import Watch
from tests.acceptance.test_gateway_restart import QUIET, Listener, RunningGateway, uuid_of
from tests.acceptance.test_old_clients import tutumgateway

pytestmark = pytest.mark.acceptance

STACK = """
version: "3.8"
services:
  web:
    image: busybox:latest
    command: [sleep, "1000"]
    stop_grace_period: 1s
    deploy:
      replicas: 2
      placement: {constraints: [node.role == manager]}
      update_config: {monitor: 1s, failure_action: rollback}
      rollback_config: {monitor: 500ms}
    networks: [host]
  db:
    image: busybox:latest
    command: [sleep, "1000"]
    stop_grace_period: 1s
    deploy: {update_config: {monitor: 500ms}, placement: {constraints: [node.role == manager]}}
    networks: [host]
  everywhere:
    image: busybox:latest
    command: [sleep, "1000"]
    stop_grace_period: 1s
    deploy: {mode: global}
    networks: [host]
networks:
  host: {external: true, name: host}
"""


@pytest.fixture(scope="module")
def worker() -> Iterator[OwnEngine]:
    yield from _running()


@pytest.fixture(scope="module")
def manager(worker: OwnEngine) -> Iterator[OwnEngine]:
    for engine in _running():
        worker.join_swarm(engine.start_swarm(), engine)
        yield engine
        engine.docker("swarm", "leave", "--force")


def _running() -> Iterator[OwnEngine]:
    engine = OwnEngine()
    try:
        try:
            engine.start()
            engine.load_image()
        except EngineUnavailableError as problem:
            pytest.skip(str(problem))
        yield engine
    finally:
        engine.destroy()


def states(watch: Watch, name: str) -> list[str]:
    """The states that a service or an action went through."""
    return [words.split(" ", 2)[2] for words in watch.words(name) if not words.startswith("container")]


def beside_services(watch: Watch) -> list[str]:
    """What was told of nodes and actions."""
    return [words.rpartition(" ")[0] for words in watch.words() if words.startswith(("node ", "action "))]


def assert_shown_as_told(watch: Watch) -> None:
    """What an object was told last is what it was shown with then."""
    last = {line["resource"]["uuid"]: line for line in watch.lines if line.get("resource")}
    for line in last.values():
        assert line["resource"]["state"] == line["state"], line


def update(manager: OwnEngine, service: str, *options: str) -> None:
    manager.docker("service", "update", "--detach", "--no-resolve-image", *options, service)


def test_a_stack_is_deployed_scaled_updated_in_vain_drained_and_removed(manager: OwnEngine, tmp_path: Path) -> None:
    (tmp_path / "stack.yml").write_text(STACK)
    node = manager.docker("info", "--format", "{{.Swarm.NodeID}}")
    with Watch(manager.host) as watch:
        manager.docker("stack", "deploy", "--resolve-image", "never", "--compose-file", f"{tmp_path}/stack.yml", "shop")
        running = watch.expect("stack", "update", "Running", "shop", seconds=60)
        assert len(running["resource"]["services"]) == 3
        # Which service comes first is up to the client.
        assert [words.rpartition("_")[0] for words in watch.words()[:2]] == ["", "service create Starting shop"]
        assert watch.words()[0] == "stack create Starting shop"
        for service in ("shop_web", "shop_db", "shop_everywhere"):
            assert states(watch, service) == ["Starting", "Running"]
        # One of these runs on the worker, whose stream nobody reads.
        containers = [one for one in watch.lines if one["type"] == "container" and one["state"] == "Running"]
        assert len({one["resource"]["node"] for one in containers}) == 2
        assert {tuple(one["parents"]) for one in containers} == {("service", "node", "stack", "nodecluster")}

        watch.forget()
        manager.docker("service", "scale", "--detach", "shop_web=3")
        scaled = watch.expect("service", "update", "Running", "shop_web")
        assert (scaled["resource"]["target_num_containers"], scaled["resource"]["running_num_containers"]) == (3, 3)
        watch.expect("action", "update", "Success", "Service Scale")
        assert states(watch, "shop_web") == ["Scaling", "Running"]
        assert states(watch, "Service Scale") == ["In progress", "Success"]
        watch.expect("stack", "update", "Running", "shop")

        watch.forget()
        update(manager, "shop_web", "--image", "nowhere.invalid/broken:1")
        watch.expect("action", "update", "Success", "Service Rollback", seconds=40)
        assert states(watch, "Service Redeploy") == ["In progress", "Failed"]
        assert states(watch, "Service Rollback") == ["In progress", "Success"]
        assert states(watch, "shop_web") == ["Redeploying", "Running"]
        watch.expect("stack", "update", "Running", "shop")

        watch.forget()
        update(manager, "shop_db", "--env-add", "NEW=1")
        redeployed = watch.expect("action", "update", "Success", "Service Redeploy", seconds=40)
        assert states(watch, "shop_db") == ["Redeploying", "Running"]
        assert redeployed["parents"] == ["service"]
        told = [words.rpartition(" ")[0] for words in watch.words() if "shop_db.1." in words]
        assert sorted(told) == sorted(
            f"container {end}" for end in ("create Starting", "update Stopping", "update Stopped", "update Running")
        )
        watch.expect("stack", "update", "Running", "shop")

        watch.forget()
        manager.docker("node", "update", "--availability", "drain", node)
        watch.expect("service", "update", "Not running", "shop_db", seconds=40)
        watch.expect("service", "update", "Not running", "shop_web", seconds=40)
        assert states(watch, "shop_db") == ["Not running"]
        assert beside_services(watch) == ["node update Deployed"]

        watch.forget()
        manager.docker("node", "update", "--availability", "active", node)
        watch.expect("service", "update", "Running", "shop_db", seconds=40)
        watch.expect("service", "update", "Running", "shop_web", seconds=40)
        watch.expect("stack", "update", "Running", "shop", seconds=40)
        assert states(watch, "shop_db") == ["Starting", "Running"]
        assert beside_services(watch) == ["node update Deployed"]

        watch.forget()
        manager.docker("stack", "rm", "shop")
        watch.expect("stack", "delete", "Terminated", "shop", seconds=60)
        for service in ("shop_web", "shop_db", "shop_everywhere"):
            assert states(watch, service) == ["Terminating", "Terminated"]
        assert_shown_as_told(watch)


def test_a_node_that_is_lost_comes_back(manager: OwnEngine, worker: OwnEngine) -> None:
    with Watch(manager.host) as watch:
        create = ("service", "create", "--detach", "--no-resolve-image", "--network", "host", "--name", "far")
        quick = ("--stop-grace-period", "1s", "--restart-delay", "500ms")
        manager.docker(*create, *quick, "--constraint", "node.role == worker", "busybox:latest", "sleep", "1000")
        watch.expect("service", "update", "Running", "far", seconds=30)
        container = watch.wait(lambda line: line["type"] == "container" and line["state"] == "Running")
        watch.forget()
        worker.docker("kill", container["resource"]["docker_id"])
        stopped = watch.wait(lambda line: line["type"] == "container" and line["state"] == "Stopped")
        assert stopped["resource"]["exit_code"] == 137
        watch.expect("service", "update", "Running", "far", seconds=30)
        assert states(watch, "far") == ["Not running", "Running"]

        watch.forget()
        worker.signal(signal.SIGSTOP)
        lost = watch.wait(lambda line: line["type"] == "node", seconds=30)
        assert (lost["state"], lost["parents"]) == ("Unreachable", ["nodecluster"])
        watch.expect("service", "update", "Not running", "far")
        worker.signal(signal.SIGCONT)
        watch.wait(lambda line: line["type"] == "node" and line["state"] == "Deployed", seconds=40)
        watch.expect("service", "update", "Running", "far", seconds=40)
        assert [words for words in watch.words() if words.startswith("nodecluster")] == [
            "nodecluster update Partly deployed default",
            "nodecluster update Deployed default",
        ]
        manager.docker("service", "rm", "far")
        watch.expect("service", "delete", "Terminated", "far", seconds=40)
        assert_shown_as_told(watch)


def lives(client: Listener) -> dict[str, list[str]]:
    """What each object was told as, one after the other, by type and identity."""
    found: dict[str, list[str]] = {}
    for event in client.events:
        kind, uuid = event["resource_uri"].split("/")[3:5]
        found.setdefault(f"{kind} {uuid}", []).append(f"{event['action']} {event['state']}")
    return found


def up_to(last: set[tuple[str, str]], events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of each object that lead to its last state."""
    found: list[dict[str, Any]] = []
    for event in reversed(events):
        own = uuid_of(event)
        if (own, event["state"]) in last or own in map(uuid_of, found):
            found.insert(0, event)
    return found


def test_of_a_service_that_is_scaled_while_its_gateway_is_killed_each_task_is_told_once(
    manager: OwnEngine, worker: OwnEngine, tmp_path: Path
) -> None:
    gateway = RunningGateway(tmp_path, manager=manager.host, worker=worker.host)
    gateway.start()
    client = Listener(gateway.port)

    def told(kind: str) -> list[list[str]]:
        return [states for name, states in lives(client).items() if name.startswith(f"{kind} ")]

    def killed_at(*command: str, left: int) -> None:
        """Kill the gateway just after the command, which may still be told, and start it when the swarm is done."""
        joined = client.joined
        until(lambda: gateway.keeps(client), "all of it on disk")
        before = len(client.events)
        manager.docker(*command)
        gateway.kill()
        until(lambda: len(tasks()) == left, f"{left} containers", 30)
        # What was told in that moment, and is not kept, is told again.
        client.events[before:] = up_to(gateway.states(), client.events[before:])
        gateway.start()
        until(lambda: client.joined > joined, "client")

    def tasks() -> list[str]:
        """Containers that run, or run no more and are still there."""
        there = ("ps", "-q", "-f", "name=many", "-f", "status=running", "-f", "status=exited")
        return [own for one in (manager, worker) for own in one.docker(*there).split()]

    try:
        until(lambda: client.joined, "client")
        create = ("service", "create", "--detach", "--no-resolve-image", "--network", "host", "--name", "many")
        manager.docker(*create, "--stop-grace-period", "1s", "busybox:latest", "sleep", "1000")
        until(lambda: ["create Starting", "update Running"] in told("service"), "service", 30)

        killed_at("service", "scale", "--detach", "many=3", left=3)
        until(lambda: told("container") == [["create Starting", "update Running"]] * 3, "three tasks", 30)
        until(lambda: told("action") == [["create In progress", "update Success"]], "outcome", 30)

        killed_at("service", "scale", "--detach", "many=1", left=1)
        until(lambda: [states[-1] for states in told("container")].count("delete Terminated") == 2, "two ends", 30)
        until(
            lambda: told("action") == [["create In progress", "update Success"]] * 2,
            "outcomes",
            30,
            lambda: lives(client),
        )

        killed_at("service", "rm", "many", left=0)
        until(lambda: told("service")[0][-1] == "delete Terminated", "end of the service", 30)
        time.sleep(QUIET)
        for states in (*told("container"), *told("service")):
            assert states.count("create Starting") == states.count("delete Terminated") == 1
            assert [one for one, other in pairwise(states) if one == other] == []
        assert len(told("container")) == 3
        assert (len(told("service")), len(told("action")), told("node")) == (1, 2, [])
    finally:
        client.end()
        gateway.kill()
        manager.docker("service", "rm", "many", check=False)


ILL = ("--health-cmd", "test ! -e /ill", "--health-interval", "300ms", "--health-retries", "1")
ENDS_WELL = "trap 'exit 0' TERM; sleep 0.5; touch /ill; while :; do sleep 0.1; done"
"""What falls ill, and ends when it is told to."""

LOOP = [("crash", True, False), ("crash", False, False), ("crash", True, True)]
OVER = [[("stop", False, True)], [("remove", False, True)]]
"""How the end of a loop is told: the next try may run by then, or not yet."""


def test_why_a_managers_tasks_ended_is_told_as_its_swarm_says(manager: OwnEngine, tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, manager=manager.host)
    gateway.start()
    client = Listener(gateway.port)
    create = ("service", "create", "--detach", "--no-resolve-image", "--network", "host", "--restart-delay", "500ms")
    here = ("--constraint", "node.role == manager", "--stop-grace-period", "1s")
    shell = ("busybox:latest", "sh", "-c")

    def ends(service: str) -> list[tuple[str, bool, bool]]:
        """What each end of its tasks was, whether it is news, and of a loop."""
        found = [event["docker"] for event in client.events if event.get("docker", {}).get("service") == service]
        told = [(docker.get("event"), docker["news"], docker["looping"]) for docker in found]
        # What a swarm clears away of the past ends nothing.
        return [one for one in told if one[0] in ("crash", "finish", "stop") or one == ("remove", False, True)]

    def scale_away(service: str) -> None:
        """As soon as its loop is told."""
        until(lambda: ends(service)[:3] == LOOP, f"loop of {service}", 60, lambda: ends(service))
        manager.docker("service", "scale", "--detach", f"{service}=0")

    def over(service: str) -> None:
        """The end of its loop is told, once, and no crash that somebody must hear of."""
        until(lambda: ended(service), f"end of the loop of {service}", 30, lambda: ends(service))

    def ended(service: str) -> bool:
        if manager.docker("service", "ps", "-q", "-f", "desired-state=running", "-f", "desired-state=ready", service):
            # Where a swarm was just about to make the next try, it may overlook that, and try for ever.
            manager.docker("service", "scale", "--detach", f"{service}=0")
        # Nobody hears anything new of the tries meanwhile.
        return [one for one in ends(service)[3:] if one != ("crash", False, True)] in OVER

    def went(service: str, state: str) -> bool:
        return any(
            event["type"] == "service" and event["state"] == state and event["docker"]["name"] == service
            for event in client.events
        )

    try:
        until(lambda: client.joined, "client")
        job = ("--mode", "replicated-job", "--restart-max-attempts", "2", "--name", "job")
        manager.docker(*create, *here, *job, *shell, "exit 4")
        manager.docker(*create, *here, "--name", "falls", *shell, "exit 4")
        manager.docker(*create, *here, *ILL, "--name", "ill", *shell, ENDS_WELL)
        scale_away("falls")
        # The last one is told once more, as given up.
        until(lambda: ends("job") == [*LOOP, LOOP[-1]], "end of the job", 40, lambda: ends("job"))
        until(lambda: went("job", "Not running"), "job that failed", 10)
        manager.docker("service", "rm", "job")
        scale_away("ill")
        until(lambda: ends("job")[4:] in OVER, "end of the job's loop", 20, lambda: ends("job"))
        over("falls")
        over("ill")
    finally:
        client.end()
        gateway.kill()
        manager.docker("service", "rm", "job", "falls", "ill", check=False)
        manager.docker("container", "prune", "--force")


COUNTING = "n=0; while sleep 0.2; do echo $((n+=1)); done"


def wrote(reading: ClientConnection, *words: str, count: int = 40) -> list[tuple[str, str]]:
    """Source and text of what comes, until each of the words was in a source, or a text."""
    found: list[tuple[str, str]] = []
    for _ in range(count):
        piece = json.loads(reading.recv(timeout=15))
        found.append((str(piece["source"]), str(piece["log"]).rstrip()))
        if all(any(word in source or word == text for source, text in found) for word in words):
            return found
    raise AssertionError(f"{words} did not all come: {found}")


def test_the_log_of_a_service_comes_from_all_nodes_and_from_what_starts_later(
    manager: OwnEngine, worker: OwnEngine, tmp_path: Path
) -> None:
    create = ("service", "create", "--detach", "--no-resolve-image", "--network", "host", "--stop-grace-period", "1s")
    manager.docker(*create, "--name", "talk", "--mode", "global", "busybox:latest", "sh", "-c", COUNTING)
    nodes = [engine.docker("info", "--format", "{{.Swarm.NodeID}}") for engine in (manager, worker)]
    service = ("com.docker.compose.project=shop", "com.docker.compose.service=say", "com.docker.compose.oneoff=False")
    labels = [part for label in service for part in ("--label", label)]
    manager.docker("run", "-d", "--network", "none", *labels, "--name", "shop-say-1", "busybox:latest", "sleep", "300")
    try:
        until(
            lambda: all(engine.docker("ps", "-q", "-f", "name=talk") for engine in (manager, worker)), "two tasks", 30
        )
        with tutumgateway(tmp_path, "--allow", "logs", "--engine", manager.host) as (port, user, key):

            def read(name: str, **query: str) -> ClientConnection:
                asked = f"http://127.0.0.1:{port}/api/v1/service/?name={name}&user={user}&token={key}"
                (found,) = json.loads(urllib.request.urlopen(asked, timeout=5).read())["objects"]
                options = "".join(f"&{option}={value}" for option, value in query.items())
                url = f"ws://127.0.0.1:{port}/v1/service/{found['uuid']}/logs/?user={user}&token={key}{options}"
                return connect(url)

            with read("talk", tail="1") as reading:
                sources = {source for source, _ in wrote(reading, *nodes)}
                assert {source.split(".")[1] for source in sources} == set(nodes)
                old = manager.docker("ps", "-q", "--no-trunc", "-f", "name=talk")
                manager.docker("kill", old)
                # The task that takes its place, from its first word on.
                wrote(reading, "1", count=200)
            with read("talk", tail="2", follow="false") as reading:
                assert json.loads(reading.recv(timeout=15))["source"].startswith("talk.")
                with pytest.raises(ConnectionClosed):
                    wrote(reading, "never")

            with read("say", tail="0") as reading:
                manager.docker(
                    "run", "-d", "--network", "none", *labels, "--name", "shop-say-2", "busybox:latest", "echo", "short"
                )
                assert wrote(reading, "short") == [("shop-say-2", "short")]
                manager.docker("start", "shop-say-2")
                assert wrote(reading, "short") == [("shop-say-2", "short")]
    finally:
        manager.docker("service", "rm", "talk", check=False)
        manager.remove("shop-say-1", "shop-say-2")
