"""What may be changed at an engine, and nothing else: made only where the operator allows control.

A list of verbs with their paths. Whatever stands in a path is an id that the engine itself gave us, checked once more
here; of a client's URL nothing ever comes so far.
"""

import json
import re
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.client import FileBodyProducer
from twisted.web.http_headers import Headers

from tutumstream.errors import DockerError
from tutumstream.event import escaped
from tutumstream.gateway.docker.exchange import Answer, whole
from tutumstream.gateway.docker.transport import Agents

PATIENCE: Final = 60.0
"""Seconds for an answer, beyond those that a container has to stop."""

LIMIT: Final = 4 * 1024 * 1024

_ID: Final = "[0-9a-f]{64}"
_SERVICE: Final = "[0-9a-z]{25}"
_ALLOWED: Final[Mapping[str, re.Pattern[str]]] = {
    "GET": re.compile(rf"/v1\.\d{{1,3}}/services/{_SERVICE}"),
    "POST": re.compile(
        rf"/v1\.\d{{1,3}}/(?:containers/{_ID}/(?:start|stop|restart)|services/{_SERVICE}/update\?version=\d{{1,19}})"
    ),
    "DELETE": re.compile(rf"/v1\.\d{{1,3}}/(?:containers/{_ID}\?force=1|services/{_SERVICE})"),
}


class DockerWriter:
    """Changes what runs on one engine. Every errback is a `DockerError`, but for a cancelled request.

    Args:
        host: the engine, for messages.
        prefix: the version of its API, as paths begin with it; asked anew each time.
    """

    def __init__(self, agents: Agents, clock: IReactorTime, host: str, prefix: Callable[[], str]) -> None:
        self._agents = agents
        self._clock = clock
        self._host = host
        self._prefix = prefix

    def start(self, container: str) -> Deferred[None]:
        """Start a container; harmless where it runs."""
        return self._does("POST", f"/containers/{container}/start", 0.0)

    def stop(self, container: str, grace: float) -> Deferred[None]:
        """Stop a container in its own way; fires when it has stopped, `grace` seconds and a little later at most."""
        return self._does("POST", f"/containers/{container}/stop", grace)

    def restart(self, container: str, grace: float) -> Deferred[None]:
        """Stop and start a container."""
        return self._does("POST", f"/containers/{container}/restart", grace)

    def remove(self, container: str) -> Deferred[None]:
        """Kill and remove a container; its volumes stay."""
        return self._does("DELETE", f"/containers/{container}?force=1", 0.0)

    def remove_service(self, service: str) -> Deferred[None]:
        """Remove a swarm's service and its tasks."""
        return self._does("DELETE", f"/services/{service}", 0.0)

    def service(self, service: str) -> Deferred[dict[str, Any]]:
        """A swarm's service as the engine tells it."""
        return Deferred.fromCoroutine(self._service(service))

    def update_service(self, service: str, version: int, spec: Mapping[str, Any]) -> Deferred[None]:
        """Give a service a new specification, if its version is still that one."""
        return self._does("POST", f"/services/{service}/update?version={int(version)}", 0.0, spec)

    async def _service(self, service: str) -> dict[str, Any]:
        answer = await self._ask("GET", f"/services/{service}", 0.0, None)
        if answer.code != 200:
            raise self._refused(answer)
        try:
            found = json.loads(answer.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise DockerError(self._host, "its answer can't be read")
        return found

    def _does(self, method: str, path: str, grace: float, body: object = None) -> Deferred[None]:
        async def do() -> None:
            answer = await self._ask(method, path, grace, body)
            # 304: it is as it was asked to be.
            if answer.code not in (200, 201, 204, 304):
                raise self._refused(answer)

        return Deferred.fromCoroutine(do())

    async def _ask(self, method: str, path: str, grace: float, body: object) -> Answer:
        target = self._prefix() + path
        if not _ALLOWED[method].fullmatch(target):
            raise DockerError(self._host, f"{method} {escaped(target, 80)!r} is not done by this client")
        data = b"" if body is None else json.dumps(body).encode()
        asking = self._agents.streams.request(
            method.encode(), b"http://docker" + target.encode("ascii"), _HEADERS, FileBodyProducer(BytesIO(data))
        )
        return await whole(self._host, self._clock, asking, LIMIT, grace + PATIENCE, self._agents.over_network)

    def _refused(self, answer: Answer) -> DockerError:
        advice = "; a proxy in between must allow POST, and DELETE" if answer.code == 403 else ""
        return DockerError(self._host, f"it answers with HTTP status {answer.code}: {answer.said()}{advice}")


_HEADERS: Final = Headers({"Content-Type": ["application/json"], "User-Agent": ["tutumstream"]})
