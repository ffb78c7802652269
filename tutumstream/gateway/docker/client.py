"""The Docker client. It knows one verb, GET, and eight paths; nobody else's text ever becomes part of one.

Docker's socket is as good as root, so what can't be asked for can't be abused: no archive, no logs, no attach (which is
a GET that writes), no secrets.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import urlencode

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from tutumstream.errors import DockerError
from tutumstream.event import escaped
from tutumstream.gateway.docker.explain import explain, no_engine, was_cancelled
from tutumstream.gateway.docker.facts import Container, Engine
from tutumstream.gateway.docker.reading import container_id, read_container, read_engine, read_ids
from tutumstream.gateway.docker.swarm.facts import Swarm
from tutumstream.gateway.docker.swarm.reading import read_machines, read_services, read_tasks
from tutumstream.gateway.docker.transport import Agents, Feed, read_body

T = TypeVar("T")

OURS: Final = (1, 52)
"""The newest version of the API that this client was written for."""

OLDEST: Final = (1, 24)

HEAD_TIMEOUT: Final = 60.0
"""Seconds for an answer to begin. A daemon that starts accepts connections long before it answers (12 s were seen)."""

_SMALL: Final = 64 * 1024
_OBJECT: Final = 16 * 1024 * 1024
_LIST: Final = 64 * 1024 * 1024

_ALLOWED = re.compile(
    r"/_ping|/v1\.\d{1,3}/(?:info|events|nodes|tasks|services|containers/json|containers/[0-9a-f]{64}/json)(?:\?.*)?"
)
_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})", re.ASCII)

# Both are lines of JSON; from API 1.52 on an engine offers other forms to clients that don't say what they want.
_HEADERS: Final = Headers({"Accept": ["application/x-ndjson, application/json"], "User-Agent": ["tutumstream"]})

# Podman < 4.4 loses `die` where `event` is filtered, and labels hide whole types: only types are asked for.
_EVENTS: Final = urlencode({"filters": json.dumps({"type": ["container", "network", "service", "node"]})})


_PROXY: Final = (
    "; a proxy in between must allow PING, INFO, EVENTS and CONTAINERS, and for a swarm also SERVICES, TASKS and NODES"
)


class _Answer(NamedTuple):
    code: int
    headers: Headers
    body: bytes


class DockerClient:
    """Reads one engine. Every errback is a `DockerError`, but for a cancelled request.

    Args:
        agents: what it speaks by; others who speak to the same engine use them, too.
        host: the engine, as in DOCKER_HOST; for messages.
    """

    def __init__(self, agents: Agents, clock: IReactorTime, host: str) -> None:
        self.host: Final = host
        self.agents = agents
        self._clock = clock
        self._version = OLDEST

    @property
    def prefix(self) -> str:
        """How paths begin in the version that was agreed on."""
        return self._path("")

    def negotiate(self) -> Deferred[str]:
        """Agree on the version of the API, which everything but `ping` needs; fires with it."""
        return Deferred.fromCoroutine(self._negotiate())

    def ping(self, timeout: float) -> Deferred[None]:
        """Ask whether the engine answers, on a connection of its own."""
        return Deferred.fromCoroutine(self._ping(timeout))

    def info(self) -> Deferred[Engine]:
        """The machine. Takes over a second on a busy engine: for once a connection."""
        return Deferred.fromCoroutine(self._read("/info", _OBJECT, read_engine))

    def containers(self) -> Deferred[list[str]]:
        """The ids of all containers, those that don't run included."""
        return Deferred.fromCoroutine(self._read("/containers/json?all=1", _LIST, read_ids))

    def inspect(self, container: str) -> Deferred[Container | None]:
        """One container, None where there is none of this id (64 hex digits)."""
        return Deferred.fromCoroutine(self._inspect(container))

    def swarm(self) -> Deferred[Swarm]:
        """All that the managers of a swarm know of it. Fails where this engine is none of them."""
        return Deferred.fromCoroutine(self._swarm())

    def events(self, feed: Feed) -> Deferred[None]:
        """Open the event stream; fires when its head has come. From then on nothing is missing in the feed."""
        return Deferred.fromCoroutine(self._events(feed))

    def close(self) -> Deferred[None]:
        """End the connections that are kept."""
        return self.agents.close()

    async def _negotiate(self) -> str:
        answer = await self._get(self.agents.requests, "/_ping", _SMALL, HEAD_TIMEOUT)
        theirs = _VERSION.fullmatch((answer.headers.getRawHeaders("Api-Version") or [""])[0])
        if answer.code != 200 or theirs is None:
            raise DockerError(self.host, f"HTTP status {answer.code}: {no_engine(self.agents.over_network)}")
        offered = (int(theirs[1]), int(theirs[2]))
        if not OLDEST <= offered < (2, 0):
            raise DockerError(self.host, f"it speaks API {theirs[0]}, and at least 1.24 is needed: update Docker")
        self._version = min(OURS, offered)
        return "{}.{}".format(*self._version)

    async def _ping(self, timeout: float) -> None:  # noqa: ASYNC109 - Twisted has no timeout blocks
        answer = await self._get(self.agents.pings or self.agents.streams, "/_ping", _SMALL, timeout)
        if answer.code != 200:
            raise self._unexpected(answer)

    async def _inspect(self, container: str) -> Container | None:
        if container_id(container) is None:
            raise DockerError(self.host, f"{escaped(container, 80)!r} is no container id")
        path = self._path(f"/containers/{container}/json")
        answer = await self._get(self.agents.requests, path, _OBJECT, HEAD_TIMEOUT)
        return None if answer.code == 404 else self._decoded(answer, read_container)

    async def _swarm(self) -> Swarm:
        # One after the other, services last: whatever happens in between then looks like something on its way.
        machines = await self._read("/nodes", _LIST, read_machines)
        tasks = await self._read("/tasks", _LIST, read_tasks)
        return Swarm(machines=machines, tasks=tasks, services=await self._read("/services", _LIST, read_services))

    async def _events(self, feed: Feed) -> None:
        path = self._path("/events?" + _EVENTS)
        opening = self._request(self.agents.streams, path).addTimeout(HEAD_TIMEOUT, self._clock, _late)
        response: IResponse = await self._explained(opening)
        if response.code != 200:
            body = await self._explained(read_body(response, _SMALL).addTimeout(HEAD_TIMEOUT, self._clock, _late))
            raise self._unexpected(_Answer(response.code, response.headers, body))
        response.deliverBody(feed)

    async def _read(self, path: str, limit: int, read: Callable[[bytes], T]) -> T:
        return self._decoded(await self._get(self.agents.requests, self._path(path), limit, HEAD_TIMEOUT), read)

    async def _get(self, agent: IAgent, path: str, limit: int, seconds: float) -> _Answer:
        async def exchange() -> _Answer:
            response: IResponse = await self._request(agent, path)
            return _Answer(response.code, response.headers, await read_body(response, limit))

        return await self._explained(Deferred.fromCoroutine(exchange()).addTimeout(seconds, self._clock, _late))

    def _request(self, agent: IAgent, path: str) -> Deferred[Any]:
        if not _ALLOWED.fullmatch(path):
            raise DockerError(self.host, f"{escaped(path, 80)!r} is not asked for by this client")
        return agent.request(b"GET", b"http://docker" + path.encode("ascii"), _HEADERS, None)

    async def _explained(self, exchange: Deferred[T]) -> T:
        try:
            return await exchange
        except DockerError:
            raise
        except Exception as problem:
            if was_cancelled(problem):
                raise CancelledError from problem
            raise DockerError(self.host, explain(problem, self.agents.over_network)) from problem

    def _decoded(self, answer: _Answer, read: Callable[[bytes], T]) -> T:
        if answer.code != 200:
            raise self._unexpected(answer)
        try:
            return read(answer.body)
        except ValueError as problem:
            raise DockerError(self.host, f"its answer can't be read: {escaped(str(problem), 120)}") from problem

    def _unexpected(self, answer: _Answer) -> DockerError:
        said = escaped(answer.body[:200].decode("utf-8", "replace"), 200)
        advice = _PROXY if answer.code == 403 else ""
        return DockerError(self.host, f"it answers with HTTP status {answer.code}: {said}{advice}")

    def _path(self, path: str) -> str:
        return "/v{}.{}".format(*self._version) + path


def _late(outcome: T | Failure, seconds: float) -> T:
    # Without this a timeout shows as whatever the Agent makes of being cancelled.
    if isinstance(outcome, Failure):
        raise DeferredTimeoutError(seconds)
    return outcome
