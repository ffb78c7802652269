"""From engines' addresses to one platform."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tutumstream.gateway.docker.address import Ssh
from tutumstream.gateway.docker.client import DockerClient
from tutumstream.gateway.docker.engines import LOCAL, Engine
from tutumstream.gateway.docker.inspector import IN_FLIGHT
from tutumstream.gateway.docker.log_reading import LogClient
from tutumstream.gateway.docker.platform import DockerPlatform
from tutumstream.gateway.docker.several import SeveralEngines
from tutumstream.gateway.docker.transport import POOLED_SSH, agents
from tutumstream.gateway.docker.writer import DockerWriter

NOTHING: Final[Mapping[str, str]] = {}


def docker_platform(
    reactor: Any,
    engines: Sequence[Engine],
    *,
    jitter: Callable[[], float],
    environment: Mapping[str, str] = NOTHING,
    control: bool = False,
    logs: bool = False,
    insist: bool = False,
    **settings: Any,
) -> DockerPlatform | SeveralEngines:
    """A platform for one engine or for several.

    Args:
        environment: for ssh.
        control: may change what runs there. Without it there is nothing that could.
        logs: may read logs. Without it there is nothing that could.
        insist: go on trying where no engine can be reached at the start; that fails else.
    """

    def one(engine: Engine) -> DockerPlatform:
        speaking = agents(reactor, engine.address, environment)
        host = engine.url if engine.name == LOCAL else f"{engine.name} ({engine.url})"
        client = DockerClient(speaking, reactor, host)

        def prefix() -> str:
            return client.prefix

        return DockerPlatform(
            client,
            reactor,
            name=engine.name,
            jitter=jitter,
            writer=DockerWriter(speaking, reactor, host, prefix) if control else None,
            log_client=LogClient(speaking, reactor, host, prefix) if logs else None,
            in_flight=POOLED_SSH if isinstance(engine.address, Ssh) else IN_FLIGHT,
            insist=insist or len(engines) > 1,
            **settings,
        )

    found = [one(engine) for engine in engines]
    return found[0] if len(found) == 1 else SeveralEngines(found, reactor, insist)
