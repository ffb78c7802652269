"""Several engines in one gateway: the objects of each, side by side. One that is lost does not blind the others."""

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, fail, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from tutumstream.errors import DockerError
from tutumstream.gateway.docker.platform import DockerPlatform
from tutumstream.gateway.platform import ILogReader, ILogs, IPlatform, Listener, Order, OrderError, Resource, Taken

PATIENCE: Final = 10.0
"""Seconds for which the start waits for the engines that don't answer, once one does."""


@implementer(IPlatform)
class SeveralEngines:
    """Platforms of one engine each; they must go on after a failed start (`insist`)."""

    def __init__(self, engines: Sequence[DockerPlatform], clock: IReactorTime) -> None:
        self.synced = False
        self._engines = tuple(engines)
        self._clock = clock
        self._waiting: Deferred[None] | None = None
        self._late: IDelayedCall | None = None
        self._watchers: list[Callable[[], None]] = []
        for engine in self._engines:
            engine.watch(self._noticed)

    @property
    def in_sight(self) -> bool:
        return any(engine.in_sight for engine in self._engines)

    def troubles(self) -> Sequence[str]:
        return [trouble for engine in self._engines for trouble in engine.troubles()]

    def watch(self, noticed: Callable[[], None]) -> None:
        self._watchers.append(noticed)

    def start(self) -> Deferred[None]:
        """Connect to all. Fails where none can be reached."""
        started: Deferred[None] = Deferred()
        self._waiting = started
        for engine in self._engines:
            engine.start().addErrback(lambda reason: reason.trap(CancelledError))
        self._noticed()
        return started

    def stop(self) -> Deferred[None]:
        if self._late is not None and self._late.active():
            self._late.cancel()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
        return gatherResults([engine.stop() for engine in self._engines]).addCallback(lambda _: None)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        ends = [engine.subscribe(listener) for engine in self._engines]

        def unsubscribe() -> None:
            for end in ends:
                end()

        return unsubscribe

    def list(self, kind: str) -> Sequence[Resource]:
        return [resource for engine in self._engines for resource in engine.list(kind)]

    def get(self, kind: str, uuid: str) -> Resource | None:
        found = (engine.get(kind, uuid) for engine in self._engines)
        return next((resource for resource in found if resource is not None), None)

    def perform(self, order: Order) -> Deferred[Taken]:
        engine = self._of(order.kind, order.uuid)
        if engine is None:
            return fail(OrderError(404, f"there is no {order.kind} {order.uuid!r}"))
        return engine.perform(order)

    def logs(self, kind: str, uuid: str, tail: int, follow: bool, reader: ILogReader) -> ILogs | None:
        engine = self._of(kind, uuid)
        return engine.logs(kind, uuid, tail, follow, reader) if engine is not None else None

    def _of(self, kind: str, uuid: str) -> DockerPlatform | None:
        return next((engine for engine in self._engines if engine.get(kind, uuid) is not None), None)

    def _noticed(self) -> None:
        if self._waiting is not None:
            self._settle()
        for noticed in tuple(self._watchers):
            noticed()

    def _settle(self) -> None:
        """Begin as soon as every engine was tried, or a while after the first was reached."""
        reached = any(engine.synced for engine in self._engines)
        if all(engine.tried for engine in self._engines):
            self._begin(reached)
        elif reached and self._late is None:
            self._late = self._clock.callLater(PATIENCE, self._give_up_waiting)

    def _give_up_waiting(self) -> None:
        self._begin(True)
        for noticed in tuple(self._watchers):
            noticed()

    def _begin(self, reached: bool) -> None:
        waiting, self._waiting = self._waiting, None
        if self._late is not None and self._late.active():
            self._late.cancel()
        if waiting is None:
            return
        self.synced = reached
        if reached:
            waiting.callback(None)
        else:
            waiting.errback(DockerError("(any of them)", "; ".join(self.troubles())))
