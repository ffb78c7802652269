"""Builds the gateway that twistd runs, of settings: its platform, its gate, its port."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import sdnotify
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.threads import deferToThreadPool
from twisted.logger import ILogObserver
from twisted.python.failure import Failure

from tutumstream import listening
from tutumstream.gateway.access import Access, Elsewhere
from tutumstream.gateway.gate import Gate
from tutumstream.gateway.platform import IPlatform
from tutumstream.gateway.saving import Saving
from tutumstream.gateway.service import GatewayService
from tutumstream.gateway.settings import Settings, read_hashed
from tutumstream.gateway.standalone import Standalone
from tutumstream.gateway.state_file import StateFile
from tutumstream.status.systemd import Systemd


def assemble(
    settings: Settings,
    reactor: Any,
    fatal: Callable[[Failure], None],
    lines: ILogObserver | None,
    environment: Mapping[str, str],
) -> Standalone:
    """The service, ready to start; nothing is dialled and no port is open yet.

    Args:
        fatal: called when it can't begin.
        lines: where all logs go; None leaves twistd its own way.
        environment: systemd's variables, and those that ssh needs.
    """
    access = Access(settings.users, settings.hashed, _in_a_thread(reactor))
    platform, saving = _platform(settings, reactor, environment)
    gateway = GatewayService(
        reactor,
        listening.server(reactor, settings.listen),
        platform,
        Gate(access, reactor, settings.query_auth, settings.origins),
        lambda problem: fatal(Failure(problem)),
        settings.allow,
        settings.conceal,
        saving,
    )
    return Standalone(
        gateway=gateway,
        access=access,
        settings=settings,
        systemd=Systemd(sdnotify.SystemdNotifier().notify, reactor, environment, reactor.callWhenRunning),
        fatal=fatal,
        lines=lines,
        read_hashed=lambda: read_hashed(settings.users_file),
    )


def _platform(settings: Settings, reactor: Any, environment: Mapping[str, str]) -> tuple[IPlatform, Saving | None]:
    """The platform, and what keeps its state: nothing for the scenario, which is told anew each time."""
    if settings.scenario:
        from tutumstream.gateway.scenario.platform import ScenarioPlatform

        return ScenarioPlatform(reactor, random.Random()), None  # noqa: S311  (a story, no secret)
    from tutumstream.gateway.docker.wiring import docker_platform

    platform = docker_platform(
        reactor,
        settings.engines,
        environment=environment,
        jitter=random.random,
        control="control" in settings.allow,
        logs="logs" in settings.allow,
    )

    def in_a_thread(work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(reactor, reactor.getThreadPool(), work, *arguments)

    return platform, Saving(StateFile(settings.state_dir), platform.memories, reactor, in_a_thread)


def _in_a_thread(reactor: Any) -> Elsewhere:
    """One guess at a time: the other processor is for those who are in already."""
    turn = DeferredSemaphore(1)

    def elsewhere(work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return turn.run(deferToThreadPool, reactor, reactor.getThreadPool(), work, *arguments)

    return elsewhere
