"""A Docker platform, built from its parts."""

from collections.abc import Callable
from typing import Any

from tutumstream.gateway.docker.address import DEFAULT_HOST
from tutumstream.gateway.docker.client import unix_client
from tutumstream.gateway.docker.log_reading import LogClient
from tutumstream.gateway.docker.platform import DockerPlatform
from tutumstream.gateway.docker.writer import DockerWriter


def docker_platform(
    reactor: Any,
    host: str = DEFAULT_HOST,
    *,
    name: str = "local",
    jitter: Callable[[], float],
    control: bool = False,
    logs: bool = False,
    **settings: Any,
) -> DockerPlatform:
    """A platform for the engine that a value of DOCKER_HOST names. Raises `DockerError` where it names none.

    Args:
        control: may change what runs there. Without it there is nothing that could.
        logs: may read logs. Without it there is nothing that could.
    """
    client = unix_client(reactor, host)

    def prefix() -> str:
        return client.prefix

    return DockerPlatform(
        client,
        reactor,
        name=name,
        jitter=jitter,
        writer=DockerWriter(client.agents, reactor, host, prefix) if control else None,
        log_client=LogClient(client.agents, reactor, host, prefix) if logs else None,
        **settings,
    )
