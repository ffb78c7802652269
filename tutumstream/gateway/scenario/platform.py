"""The scenario as a platform: time passes, the story goes on, the listeners hear of it."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

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
from tutumstream.gateway.scenario.chatter import Chatter
from tutumstream.gateway.scenario.objects import Container, Service
from tutumstream.gateway.scenario.places import PLACES
from tutumstream.gateway.scenario.shapes import resource
from tutumstream.gateway.scenario.story import Story
from tutumstream.gateway.scenario.world import World


@implementer(IPlatform)
class ScenarioPlatform:
    """A scripted, endless, believable day of a small shop; for demonstrations and tests.

    Args:
        clock: the reactor, or a fake; its time is taken for seconds since 1970.
        random: decides what varies. The same seed tells the same story.

    Attributes:
        synced: true once started.
        in_sight: always true.
        on_interrupt: called where the story wants the stream itself to be lost for a moment; the platform has no
            stream, so whoever serves one connects this to it. Does nothing by default.
    """

    def __init__(self, clock: IReactorTime, random: Random) -> None:
        self.synced = False
        self.in_sight = True
        self.on_interrupt: Callable[[], object] = _nothing
        self._clock = clock
        self._listeners: list[Listener] = []
        self._watchers: list[Callable[[], None]] = []
        self._world = World(self._tell)
        self._steps: Iterator[float] = Story(self._world, clock.seconds, random, self._interrupt).steps()
        self._next: IDelayedCall | None = None

    def start(self) -> Deferred[None]:
        """Begin, or go on after `stop`."""
        if self._next is None:
            self._step()
        self.synced = True
        for noticed in tuple(self._watchers):
            noticed()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Let the story rest."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        return succeed(None)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell every change from now on."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def watch(self, noticed: Callable[[], None]) -> None:
        """Call this once it has started; nothing changes after that."""
        self._watchers.append(noticed)

    def troubles(self) -> Sequence[str]:
        """None, ever."""
        return ()

    def caught_up(self, kind: str, uuid: str = "") -> Deferred[None]:  # noqa: ARG002 -- it always is
        """At once."""
        return succeed(None)

    def list(self, kind: str) -> Sequence[Resource]:
        """All objects of a kind; providers, regions and node types too, as clients look them up."""
        if kind in ("provider", "region", "nodetype"):
            return [place for uri, place in PLACES.items() if uri.startswith(f"/api/v1/{kind}/")]
        return [resource(one, self._world) for one in self._world.kind(kind)]

    def get(self, kind: str, uuid: str) -> Resource | None:
        """One object."""
        one = self._world.find(kind, uuid)
        return resource(one, self._world) if one is not None else PLACES.get(f"/api/v1/{kind}/{uuid}/")

    def perform(self, order: Order) -> Deferred[Taken]:  # noqa: ARG002  (the interface's)
        """The story is written: nobody changes it."""
        return fail(OrderError(405, "this is a scripted day: it can be watched, not changed"))

    def logs(self, kind: str, uuid: str, tail: int, follow: bool, reader: ILogReader) -> ILogs | None:
        """What the containers would have written."""
        one = self._world.find(kind, uuid)
        if not isinstance(one, Container | Service):
            return None
        return Chatter(self._clock, self._world, one, tail, follow, reader)

    def _step(self) -> None:
        self._next = self._clock.callLater(next(self._steps), self._step)

    def _tell(self, change: Change) -> None:
        for listener in tuple(self._listeners):
            listener(change)

    def _interrupt(self) -> None:
        self.on_interrupt()


def _nothing() -> None:
    """Nobody listens for interruptions."""
