"""Several engines in one gateway: the objects of each, side by side. One that is lost does not blind the others.

Two managers of one swarm know the same objects, and would tell each change twice, at different times and in different
words. So only one of them may be named: two at the start are a mistake; where it turns out later, because an engine was
away or joined, the one that was named later is left out, and that is a trouble like an engine that is lost.

A worker may be named beside its manager: what both know of its tasks is told and shown by the manager alone.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, fail, gatherResults
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from tutumstream.errors import DockerError
from tutumstream.gateway.docker.memory import EngineMemory
from tutumstream.gateway.docker.platform import DockerPlatform
from tutumstream.gateway.docker.worker import is_left
from tutumstream.gateway.platform import (
    Change,
    ILogReader,
    ILogs,
    IPlatform,
    Listener,
    Order,
    OrderError,
    Resource,
    Taken,
)

PATIENCE: Final = 10.0
"""Seconds for which the start waits for the engines that don't answer, once one does."""


@implementer(IPlatform)
class SeveralEngines:
    """Platforms of one engine each; they must go on after a failed start (`insist`).

    Args:
        insist: wait for the first engine for as long as it takes; else the start fails where none can be reached.
    """

    log = Logger()

    def __init__(self, engines: Sequence[DockerPlatform], clock: IReactorTime, insist: bool = False) -> None:
        self.synced = False
        self._all = self._engines = tuple(engines)
        self._clock = clock
        self._insist = insist
        self._waiting: Deferred[None] | None = None
        self._late: IDelayedCall | None = None
        self._watchers: list[Callable[[], None]] = []
        self._left_out: list[str] = []
        for engine in self._engines:
            engine.watch(self._noticed)
            engine.subscribe(self._heard)

    @property
    def in_sight(self) -> bool:
        return any(engine.in_sight for engine in self._engines)

    @property
    def memories(self) -> Sequence[EngineMemory]:
        """What lasts over a restart, of each."""
        return [memory for engine in self._all for memory in engine.memories]

    def troubles(self) -> Sequence[str]:
        return [*(trouble for engine in self._engines for trouble in engine.troubles()), *self._left_out]

    def watch(self, noticed: Callable[[], None]) -> None:
        self._watchers.append(noticed)

    def start(self) -> Deferred[None]:
        """Connect to all. Fails where none can be reached, unless it insists."""
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
        return gatherResults([engine.stop() for engine in self._all]).addCallback(lambda _: None)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        ends = [engine.subscribe(partial(self._pass_on, engine, listener)) for engine in self._engines]

        def unsubscribe() -> None:
            for end in ends:
                end()

        return unsubscribe

    def caught_up(self, kind: str, uuid: str = "") -> Deferred[None]:
        return gatherResults([engine.caught_up(kind, uuid) for engine in self._engines]).addCallback(lambda _: None)

    def list(self, kind: str) -> Sequence[Resource]:
        return [
            resource
            for engine in self._engines
            for resource in engine.list(kind)
            if not self._is_left(engine, kind, resource["uuid"])
        ]

    def get(self, kind: str, uuid: str) -> Resource | None:
        engines = (engine for engine in self._engines if not self._is_left(engine, kind, uuid))
        return next((resource for engine in engines if (resource := engine.get(kind, uuid)) is not None), None)

    def perform(self, order: Order) -> Deferred[Taken]:
        engine = self._of(order.kind, order.uuid)
        if engine is None:
            return fail(OrderError(404, f"there is no {order.kind} {order.uuid!r}"))
        return engine.perform(order)

    def logs(self, kind: str, uuid: str, tail: int, follow: bool, reader: ILogReader) -> ILogs | None:
        engine = self._of(kind, uuid)
        return engine.logs(kind, uuid, tail, follow, reader) if engine is not None else None

    def _of(self, kind: str, uuid: str) -> DockerPlatform | None:
        """Who can do something with it: for a container the engine that runs it, whoever tells of it."""
        knowing = [engine for engine in self._engines if engine.get(kind, uuid) is not None]
        best = [engine for engine in knowing if self._is_left(engine, kind, uuid) == (kind == "container")]
        return next(iter(best or knowing), None)

    def _is_left(self, engine: DockerPlatform, kind: str, uuid: str) -> bool:
        others = [other.registry for other in self._engines if other is not engine]
        return is_left(engine.registry, others, kind, uuid)

    def _pass_on(self, engine: DockerPlatform, listener: Listener, change: Change) -> None:
        if not self._is_left(engine, change.type, change.resource_uri.split("/")[-2]):
            listener(change)

    def _heard(self, change: Change) -> None:
        if change.type == "nodecluster" and self.synced:
            self._leave_out_rivals()

    def _noticed(self) -> None:
        if self._waiting is not None:
            self._settle()
        elif self.synced:
            self._leave_out_rivals()
        for noticed in tuple(self._watchers):
            noticed()

    def _rivals(self) -> Sequence[tuple[DockerPlatform, DockerPlatform]]:
        """Each engine that manages the same swarm as one that was named before it, behind that one."""
        first: dict[str, DockerPlatform] = {}
        managers = [(engine, cluster) for engine in self._engines if (cluster := engine.registry.nodes.cluster)]
        return [
            (first[cluster.id], engine)
            for engine, cluster in managers
            if engine.synced and first.setdefault(cluster.id, engine) is not engine
        ]

    def _leave_out_rivals(self) -> None:
        for one, other in self._rivals():
            self._engines = tuple(engine for engine in self._engines if engine is not other)
            self._left_out.append(str(DockerError(other.host, _same_swarm(one))))
            self.log.error("{problem}; it is left out from now on", problem=self._left_out[-1])
            # Not now: it is just telling us something.
            self._clock.callLater(0, self._stop_one, other)

    def _stop_one(self, engine: DockerPlatform) -> None:
        engine.stop().addErrback(lambda reason: self.log.failure("An engine did not stop", reason))

    def _settle(self) -> None:
        """Begin as soon as every engine was tried, or a while after the first was reached."""
        reached = any(engine.synced for engine in self._engines)
        if all(engine.tried for engine in self._engines) and (reached or not self._insist):
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
        rivals = self._rivals()
        if rivals:
            waiting.errback(DockerError(rivals[0][1].host, _same_swarm(rivals[0][0])))
            return
        self.synced = reached
        if reached:
            waiting.callback(None)
        else:
            waiting.errback(DockerError("(any of them)", "; ".join(self.troubles())))


def _same_swarm(one: DockerPlatform) -> str:
    return f"it manages the same swarm as {one.host}, which knows all of it: name only one of the two"
