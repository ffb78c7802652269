"""Where the stream comes from: somebody's Tutum, or a gateway of our own in this process."""

from __future__ import annotations

import random
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from tutumstream.settings import Settings
from tutumstream.stream.credentials import Credentials, of_user

if TYPE_CHECKING:
    # Where the Tutum is somebody else's, nothing of the gateway needs to be in memory.
    from tutumstream.gateway.gate import Gate
    from tutumstream.gateway.service import GatewayService

_log = Logger("tutumstream")


@dataclass(frozen=True, slots=True)
class Source:
    """A Tutum to listen to.

    Attributes:
        stream_url: `ws(s)://…/events`.
        api_url: scheme, host and port of the REST API.
        name: says whose objects these are, the same after every restart.
        gateway: to be started and stopped with the service; None where the Tutum is somebody else's.
    """

    stream_url: str
    api_url: str
    credentials: Credentials
    name: str
    gateway: GatewayService | None = None


def source(settings: Settings, reactor: Any, fatal: Callable[[Failure], None]) -> Source:
    """The source that the settings ask for.

    Args:
        fatal: called when an embedded gateway can't begin.
    """
    if settings.credentials is not None:
        found = settings.credentials
        if found.passed_over:
            _log.info(
                "credentials: {source} is used, and not {others}",
                source=found.source,
                others=", ".join(found.passed_over),
            )
        return Source(settings.stream_url, settings.api_url, found, f"{found.account} at {settings.api_url}")
    from tutumstream.gateway.access import Access
    from tutumstream.gateway.access import Credentials as Account
    from tutumstream.gateway.gate import Gate

    endpoint, port = _free_port(reactor)
    # Known to this process only, and new each time.
    user, key = "tutumstream", secrets.token_urlsafe(24)
    make = _scenario if settings.source == "demo" else _docker
    gateway = make(settings, reactor, endpoint, Gate(Access([Account(user, key)]), reactor), fatal)
    gateway.started.addErrback(fatal)
    name = "the scenario" if settings.source == "demo" else f"Docker at {settings.engines[0].url}"
    return Source(f"ws://127.0.0.1:{port}/v1/events", f"http://127.0.0.1:{port}", of_user(user, key), name, gateway)


def _free_port(reactor: Any) -> tuple[IStreamServerEndpoint, int]:
    """A loopback port that is ours from now on."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(128)
    bound.setblocking(False)
    port: int = bound.getsockname()[1]
    return AdoptedStreamServerEndpoint(reactor, bound.detach(), socket.AF_INET), port


def _scenario(
    _: Settings, reactor: Any, endpoint: IStreamServerEndpoint, gate: Gate, __: Callable[[Failure], None]
) -> GatewayService:
    from tutumstream.gateway.scenario.platform import ScenarioPlatform
    from tutumstream.gateway.service import GatewayService

    platform = ScenarioPlatform(reactor, random.Random())  # noqa: S311  (a story, no secret)
    gateway = GatewayService(reactor, endpoint, platform, gate)
    platform.on_interrupt = gateway.interrupt
    return gateway


def _docker(
    settings: Settings, reactor: Any, endpoint: IStreamServerEndpoint, gate: Gate, fatal: Callable[[Failure], None]
) -> GatewayService:
    from tutumstream.gateway.docker.wiring import docker_platform
    from tutumstream.gateway.service import GatewayService

    # A Docker that is down is an outage to be told like any other: who ends now tells nobody.
    platform = docker_platform(
        reactor, settings.engines, environment=settings.environment, jitter=random.random, insist=True
    )
    return GatewayService(reactor, endpoint, platform, gate, lambda problem: fatal(Failure(problem)))
