"""A platform with objects that change, a stream with events on their way, a REST API whose answers a test gives."""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from tutumstream.docker_details import DockerDetails
from tutumstream.errors import ExchangeError, JournalError
from tutumstream.event import Event
from tutumstream.journal.memory import MemoryJournal
from tutumstream.journal.objects import ObjectState
from tutumstream.net.http import Answer
from tutumstream.resources.inventory import Lister
from tutumstream.resync.service import Resync
from tutumstream.routing.delivery import Delivery

KINDS = ("service", "container")
"""What the server lists."""

LIMIT = 3
"""Objects on a page at most: little, so that there are many."""


def uri_of(kind: str, number: int) -> str:
    return f"/api/v1/{kind}/{number}/"


class Platform:
    """Objects by URI, and what became of each since the beginning, `None` for not being there."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.history: dict[str, list[str | None]] = {}
        self.listener: Callable[[Event], None] = lambda _: None
        self.events = 0

    def change(self, kind: str, number: int, state: str | None, *, when: str = "", **more: Any) -> None:
        """An object comes, changes its state, or goes (None). What stays as it is is no change.

        Args:
            when: it happened, as its event says.
        """
        uri = uri_of(kind, number)
        before = self.objects.get(uri)
        past = self.history.setdefault(uri, [None])
        # What is gone does not come back: uuids are new each time.
        if (before is None and (state is None or len(past) > 1)) or (before and before["state"] == state):
            return
        action = "create" if before is None else "delete" if state is None else "update"
        if state is None:
            del self.objects[uri]
        else:
            self.objects[uri] = {"resource_uri": uri, "uuid": str(number), "state": state, **more}
        past.append(state)
        self.events += 1
        parents = tuple(value for value in more.values() if isinstance(value, str))
        self.listener(
            Event(
                id=f"live-{self.events}",
                received_at=0.0,
                type=kind,
                action=action,
                state=state or "Terminated",
                resource_uri=uri,
                parents=parents,
                docker=DockerDetails(time=when) if when else None,
            )
        )

    def feel(self, number: int, health: str) -> None:
        """A container that runs becomes `unhealthy`, or `healthy`; its state is what it was."""
        uri = uri_of("container", number)
        shown = self.objects.get(uri)
        if shown is None or shown["state"] != "Running" or shown.get("docker", {}).get("health") == health:
            return
        shown["docker"] = {"event": "unhealthy" if health == "unhealthy" else "start", "health": health}
        self.events += 1
        self.listener(
            Event(
                id=f"live-{self.events}",
                received_at=0.0,
                type="container",
                action="update",
                state="Running",
                resource_uri=uri,
                docker=DockerDetails(event=health, health=health),
            )
        )

    def answer(self, url: str) -> Answer:
        """What the REST API says now."""
        asked = urlsplit(url)
        kind = asked.path.split("/")[3]
        if asked.path.count("/") == 5:
            found = self.objects.get(asked.path)
            return Answer(200, {}, json.dumps(found).encode()) if found else Answer(404)
        query = {name: int(values[0]) for name, values in parse_qs(asked.query).items()}
        limit, offset = min(LIMIT, query["limit"]), query["offset"]
        objects = [each for each in self.objects.values() if each["resource_uri"].split("/")[3] == kind]
        following = f"/api/v1/{kind}/?offset={offset + limit}" if offset + limit < len(objects) else None
        meta = {"next": following, "offset": offset, "limit": limit, "total_count": len(objects)}
        return Answer(200, {}, json.dumps({"meta": meta, "objects": objects[offset : offset + limit]}).encode())


class Requests:
    """`Exchanges` whose answers wait for the test."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.waiting: deque[tuple[str, Deferred[Answer]]] = deque()

    def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        timeout: float = 10.0,
        limit: int = 65536,
        idempotent: bool = False,
    ) -> Deferred[Answer]:
        """Wait."""
        asked: Deferred[Answer] = Deferred(self._cancelled)
        self.waiting.append((url, asked))
        return asked

    def serve(self) -> None:
        """Answer the oldest with what there is now."""
        if self.waiting:
            url, asked = self.waiting.popleft()
            asked.callback(self.platform.answer(url))

    def fail(self, status: int) -> None:
        """Refuse the oldest; 0 cuts its connection."""
        if self.waiting:
            _, asked = self.waiting.popleft()
            if status:
                asked.callback(Answer(status, {"retry-after": "3"} if status == 429 else {}))
            else:
                asked.errback(ExchangeError("http://tutum.example", "the connection was cut"))

    def _cancelled(self, asked: Deferred[Answer]) -> None:
        self.waiting = deque(each for each in self.waiting if each[1] is not asked)


class World:
    """All of it, with a `Resync` in the middle that may be killed and started again; only the journal stays."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.platform = Platform()
        self.journal = MemoryJournal()
        self.journal.open()
        self.wire: deque[Event | Deferred[None]] = deque()
        self.connected = False
        self.source = "tutum"
        self.ids = 0
        self.start()

    def start(self) -> None:
        """A new process."""
        self.requests = Requests(self.platform)
        lister = Lister(
            self.requests,
            "http://tutum.example",
            {kind: f"/api/v1/{kind}/" for kind in KINDS},
            "Basic a2V5",
            self.clock,
            self.clock.seconds,
            lambda: 0.0,
        )
        self.resync = Resync(
            source=self.source,
            lister=lister,
            journal=self.journal,
            take=self.take,
            catch_up=self.catch_up,
            clock=self.clock,
            now=self.clock.seconds,
            new_id=self.new_id,
        )
        self.resync.caught_up = self.ping
        self.resync.start()

    def new_id(self) -> str:
        self.ids += 1
        return f"own-{self.ids}"

    def take(self, event: Event) -> None:
        """The intake's part."""
        self.journal.record(event, [Delivery("log", "", "", event.resource_uri)])

    def catch_up(self, events: Sequence[Event], found: Sequence[Any], until: float) -> Deferred[None]:
        """The intake's part."""
        return self.journal.catch_up([(event, []) for event in events], found, until).addCallback(lambda _: None)

    def refuse(self) -> Deferred[None]:
        """The journal does not take it."""
        return fail(JournalError("in memory", "no"))

    def ping(self) -> Deferred[None]:
        """The server answers behind what it has sent already."""
        pong: Deferred[None] = Deferred()
        if self.connected:
            self.wire.append(pong)
        return pong

    def connect(self) -> None:
        if not self.connected:
            self.connected = True
            self.platform.listener = self.wire.append
            self.resync.opened()

    def cut(self) -> None:
        """What is on its way is lost."""
        if self.connected:
            self.connected = False
            self.platform.listener = lambda _: None
            self.wire.clear()
            self.resync.lost(self.clock.seconds())

    def kill(self) -> None:
        """A process that is killed does nothing any more; its timers are gone with it."""
        self.connected = False
        self.platform.listener = lambda _: None
        self.wire.clear()
        dead, self.clock = self.clock, Clock()
        self.clock.advance(dead.seconds())
        self.start()

    def deliver(self) -> None:
        """The next that is on its way arrives."""
        if self.wire:
            arrived = self.wire.popleft()
            if isinstance(arrived, Event):
                fields = {name: getattr(arrived, name) for name in arrived.__struct_fields__}
                self.resync.take(Event(**{**fields, "received_at": self.clock.seconds()}))
            elif not arrived.called:
                arrived.callback(None)

    def settle(self) -> None:
        """Let everything work until all is told."""
        self.connect()
        for _ in range(400):
            while self.wire or self.requests.waiting:
                self.deliver()
                self.requests.serve()
            if self.resync.complete and not self.wire:
                return
            self.clock.advance(1.0)
        raise AssertionError("it never comes to an end")

    def told(self) -> list[Event]:
        """All events, in order."""
        events: list[Event] = []
        self.journal.history(10**6).addCallback(lambda told: events.extend(each.event for each in reversed(told)))
        return events

    def known(self) -> dict[str, ObjectState]:
        """What is known of the objects."""
        states: dict[str, ObjectState] = {}
        self.journal.states().addCallback(lambda known: states.update({each.uri: each for each in known}))
        return states
