"""A model of an engine for tests: the truth, as `inspect` would tell it, and the captures that change it."""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred, fail, succeed

from tutumstream.docker_details import sentence
from tutumstream.errors import DockerError
from tutumstream.gateway.docker.facts import Container, Engine, Membership, Options
from tutumstream.gateway.docker.hints import SwarmHint, read_hint
from tutumstream.gateway.docker.reading import read_labels
from tutumstream.gateway.docker.registry import Registry
from tutumstream.gateway.docker.resources import get_resource
from tutumstream.gateway.docker.swarm.census import Census
from tutumstream.gateway.docker.swarm.facts import Swarm
from tutumstream.gateway.docker.swarm.reading import read_machines, read_services, read_tasks
from tutumstream.gateway.docker.transport import Feed
from tutumstream.gateway.platform import Change

T = TypeVar("T")

CORPUS = Path(__file__).parents[2] / "corpus" / "docker"
STORY = CORPUS / "31-swarm-story.jsonl"
SECOND = 1_000_000_000
START = 1_790_000_000
"""A time before all captures."""

ENDPOINT = "test"
NODE = "ox5cnp4emm9rvd291q6whrcul"
CLUSTER = "egzc9watb1i0p95oqdy3rpcck"


def container_id(number: int) -> str:
    return f"{number:064x}"


def container(number: int = 1, name: str = "web", status: str = "running", **fields: object) -> Container:
    """A container that was created at `START`, and started a second later if its status says that it ever was."""
    facts: dict[str, object] = {
        "id": container_id(number),
        "name": name,
        "image": "busybox",
        "labels": {},
        "status": status,
        "created": START * SECOND,
        "started": 0 if status == "created" else (START + 1) * SECOND,
    }
    return msgspec.convert({**facts, **fields}, Container)


def compose(service: str, project: str = "shop", **labels: str) -> dict[str, str]:
    own = {"project": project, "service": service, "oneoff": "False", **labels}
    return {f"com.docker.compose.{name}": value for name, value in own.items()}


def event(action: str, number: int = 1, at: float = START + 1.0, kind: str = "container", **attributes: str) -> bytes:
    """A line of the stream in the form of Engine 29: none of the legacy fields."""
    actor = {"ID": container_id(number), "Attributes": {"name": "web", "image": "busybox", **attributes}}
    nano = int(at * SECOND)
    line = {"Type": kind, "Action": action, "Actor": actor, "scope": "local", "time": int(at), "timeNano": nano}
    return json.dumps(line).encode()


class Truth:
    """What there is. `apply` changes it as the engine did when it sent that line."""

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.real_exit_codes: dict[str, int] = {}
        self.restarts: dict[str, int] = {}
        """How often Docker starts a container of this name again; from its creation, or an `update`."""
        self._short_of_memory: set[str] = set()
        self._killed: set[str] = set()

    def apply(self, line: bytes) -> None:
        found = json.loads(line)
        actor, action, at = found["Actor"], found["Action"], found["timeNano"]
        if found["Type"] == "network" and action == "disconnect":
            self._refuse(actor["Attributes"].get("container", ""))
        if found["Type"] != "container":
            return
        own, attributes = actor["ID"], actor["Attributes"]
        if action == "create":
            labels = {key: value for key, value in attributes.items() if key not in ("name", "image")}
            self.containers[own] = Container(
                id=own,
                name=attributes["name"],
                image=attributes["image"],
                labels=read_labels(labels),
                status="created",
                created=at,
                **self._policy(attributes["name"]),
            )
        elif action in ("destroy", "remove"):
            self.containers.pop(own, None)
        elif own in self.containers:
            self._change(own, action, at, attributes)

    def _change(self, own: str, action: str, at: int, attributes: dict[str, str]) -> None:
        changes: dict[str, object] = {}
        action, _, value = action.partition(": ")
        known = self.containers[own]
        if action == "start":
            self._short_of_memory.discard(own)
            self._killed.discard(own)
            changes = {"status": "running", "started": at - 1000, "exit_code": None, "oom_killed": False, "health": ""}
        elif action == "health_status":
            changes = {"health": value}
        elif action == "kill":
            self._killed.add(own)
        elif action == "oom":
            self._short_of_memory.add(own)
        elif action in ("die", "died"):
            code = self.real_exit_codes.get(own, int(attributes["exitCode"]))
            changes = {"status": "exited", "finished": at - 1000, "exit_code": code}
            changes["oom_killed"] = own in self._short_of_memory
            if own not in self._killed and known.restart_count < self.restarts.get(known.name, 0):
                changes.update(status="restarting", restart_count=known.restart_count + 1)
        elif action == "stop" and known.status == "restarting":
            changes = {"status": "exited"}
        elif action == "update":
            changes = self._policy(known.name)
        elif action == "rename":
            changes = {"name": attributes["name"]}
        elif action in ("pause", "unpause"):
            changes = {"status": "paused" if action == "pause" else "running"}
        self.containers[own] = msgspec.structs.replace(known, **changes)

    def _policy(self, name: str) -> dict[str, Any]:
        autorestart = "ON_FAILURE" if name in self.restarts else "OFF"
        return {"options": Options(autorestart=autorestart), "retries": self.restarts.get(name, 0)}

    def _refuse(self, own: str) -> None:
        known = self.containers.get(own)
        if known is not None and known.status == "created":
            self.containers[own] = msgspec.structs.replace(known, error="exec: not found", exit_code=127)


class Answers:
    """The answers of a manager that were recorded: of each, only what had changed."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, object]] = {"nodes": {}, "tasks": {}, "services": {}}

    def take(self, changed: dict[str, list[Any]]) -> Swarm:
        """The whole answer."""
        for kind, rows in self._rows.items():
            rows.update({row["ID"]: row for row in changed.get(kind, ())})
            for own in changed.get(f"no {kind}", ()):
                del rows[own]
        nodes, tasks, services = (json.dumps(list(rows.values())).encode() for rows in self._rows.values())
        return Swarm(machines=read_machines(nodes), tasks=read_tasks(tasks), services=read_services(services))


Step = bytes | tuple[Swarm, float]
"""An event, or what a swarm's managers answered, and when."""


@cache
def story() -> tuple[Step, ...]:
    """A swarm's day: its events, and what its managers answered in between."""
    answers = Answers()
    found = map(json.loads, STORY.read_bytes().splitlines())
    return tuple(
        json.dumps(each["event"]).encode() if "event" in each else (answers.take(each), each["at"]) for each in found
    )


class Told:
    """A registry that is fed a stream, and looks at the truth as often as it asks for it."""

    def __init__(self, truth: Truth | None = None) -> None:
        self.truth = truth or Truth()
        self.registry = Registry(ENDPOINT, START)
        self.census = Census(self.registry)
        self.changes: list[Change] = []

    def hear(self, line: bytes, *, look: bool = True) -> None:
        """One line; the truth is what it was made before."""
        hint = read_hint(line)
        if hint is not None and not isinstance(hint, SwarmHint):
            heard = self.registry.hint(hint, hint.at / SECOND)
            self.changes += heard.changes
            if heard.look and look:
                self.look(hint.container, hint.at / SECOND)

    def look(self, own: str, now: float) -> None:
        self.changes += self.registry.observe(own, self.truth.containers.get(own), now)

    def resync(self, now: float) -> None:
        for own in dict.fromkeys((*self.truth.containers, *self.registry.alive())):
            self.look(own, now)

    def replay(self, lines: Iterator[bytes]) -> None:
        for line in lines:
            self.truth.apply(line)
            self.hear(line)

    def lines(self, *kinds: str) -> list[str]:
        """What was told, in words: `container update Running web`."""
        shown = [change for change in self.changes if not kinds or change.type in kinds]
        return [f"{change.type} {change.action} {change.state} {self.name(change)}" for change in shown]

    def take(self, *kinds: str) -> list[str]:
        """The same, and forget it."""
        lines = self.lines(*kinds)
        self.changes.clear()
        return lines

    def news(self) -> list[str]:
        """What there is to hear for people, of all that was told."""
        return [sentence(change.docker) for change in self.changes if change.docker is not None and change.docker.news]

    def happened(self) -> list[str]:
        """What happened, in Docker's words, of all that was told of containers."""
        return [change.docker.event for change in self.changes if change.docker is not None and change.docker.event]

    def name(self, change: Change) -> str:
        kind, own = change.resource_uri.split("/")[-3:-1]
        shown = get_resource(self.registry, kind, own) or {}
        return str(shown.get("action") or shown.get("name") or shown.get("nickname"))

    def count(self, swarm: Swarm, at: float) -> None:
        """What a swarm's managers say, asked just before."""
        self.changes += self.census.take(swarm, at - 0.01, at)

    def join(self, node: str = NODE, cluster: str = CLUSTER, at: float = START) -> None:
        """The engine is a manager of a swarm from now on."""
        member = Membership(state="active", node=node, manager=True, cluster=cluster, cluster_name="default")
        self.changes += self.registry.describe_engine(Engine(hostname="vm", swarm=member), at)

    def replay_story(self, steps: Iterable[Step] | None = None) -> None:
        """A swarm's day, or a part of it."""
        for step in story() if steps is None else steps:
            if isinstance(step, bytes):
                self.replay(iter([step]))
            else:
                self.count(*step)


def capture(name: str) -> Iterator[bytes]:
    """The events of a capture; the notes of whoever recorded it are left out."""
    for line in (CORPUS / name).read_bytes().splitlines():
        if b'"Type"' in line:
            yield line


@cache
def replayed(name: str) -> Told:
    """All that is told of a capture; to be looked at only."""
    told = Told()
    told.replay(capture(name))
    return told


class FakeEngine:
    """An `EngineClient` over a truth. `down` makes every request fail, `silent` leaves every one unanswered."""

    host = "unix:///test.sock"

    def __init__(self, truth: Truth | None = None) -> None:
        self.truth = truth or Truth()
        self.down: str | None = None
        self.silent = False
        self.asked: list[str] = []
        self.feeds: list[Feed] = []
        self.unreadable: set[str] = set()
        self.waiting: list[Deferred[None]] = []
        self.membership: Membership | None = None
        self.swarms = Swarm()
        self.closed = False

    def negotiate(self) -> Deferred[str]:
        return self._answer("negotiate", lambda: "1.41")

    def ping(self, timeout: float) -> Deferred[None]:
        if self.silent:
            return fail(DockerError(self.host, f"no answer in {timeout} s"))
        return self._answer("ping", lambda: None)

    def info(self) -> Deferred[Engine]:
        return self._answer("info", lambda: Engine(hostname="vm", version="20.10.24", swarm=self.membership))

    def swarm(self) -> Deferred[Swarm]:
        return self._answer("swarm", lambda: self.swarms)

    def containers(self) -> Deferred[list[str]]:
        return self._answer("containers", lambda: list(self.truth.containers))

    def inspect(self, container: str) -> Deferred[Container | None]:
        if container in self.unreadable:
            return fail(DockerError(self.host, "HTTP status 500"))
        return self._answer(f"inspect {container[-4:]}", lambda: self.truth.containers.get(container))

    def events(self, feed: Feed) -> Deferred[None]:
        self.feeds.append(feed)
        return self._answer("events", lambda: None)

    def close(self) -> Deferred[None]:
        self.closed = True
        return succeed(None)

    def send(self, line: bytes) -> None:
        """Change the truth and send the line to whoever listens."""
        self.truth.apply(line)
        self.feeds[-1].dataReceived(line + b"\n")

    def hang_up(self) -> None:
        self.feeds[-1].connectionLost()

    def answer_all(self) -> None:
        """Give the answers that were held back since `silent`."""
        self.silent = False
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one.callback(None)

    def _answer(self, question: str, answer: Callable[[], T]) -> Deferred[T]:
        self.asked.append(question)
        if self.silent:
            gate: Deferred[None] = Deferred()
            self.waiting.append(gate)
            return gate.addCallback(lambda _: answer())
        return fail(DockerError(self.host, self.down)) if self.down else succeed(answer())
