"""Fakes, shipped: for our own tests and for the authors of notifiers and platforms.

To run a Tutum of your own in a test, put a `ScriptedPlatform` behind
`tutumstream.gateway.service.GatewayService(reactor, endpoint, platform, gate)`, with
`gate = Gate(Access([Credentials("alice", "k3y")]), reactor)`.
"""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from tutumstream.gateway.platform import Change, ILogReader, ILogs, IPlatform, Listener, Order, Resource, Taken


@implementer(IPlatform)
class ScriptedPlatform:
    """A platform that has the objects, and tells the changes, that a test gives it.

    Args:
        starting: what `start` returns; by default it succeeds at once. `synced` becomes true when it fires.

    Attributes:
        running: between `start` and `stop`.
        in_sight: true until `lose` is called.
        orders: what it was asked to do, in order.
        performing: what comes of an order; by default it is taken at once.
        catching_up: what `caught_up` returns; by default it succeeds at once.
        readings: of logs, in the order in which they began.
    """

    def __init__(self, starting: Deferred[None] | None = None) -> None:
        self.synced = False
        self.running = False
        self.in_sight = True
        self._troubles: list[str] = []
        self._watchers: list[Callable[[], None]] = []
        self.orders: list[Order] = []
        self.performing: Callable[[Order], Deferred[Taken]] = self._taken
        self.catching_up: Callable[[], Deferred[None]] = lambda: succeed(None)
        self.readings: list[ScriptedLogs] = []
        self._starting = succeed(None) if starting is None else starting
        self._resources: dict[str, dict[str, Resource]] = {}
        self._listeners: list[Listener] = []

    def put(self, kind: str, resource: Resource) -> None:
        """Show an object from now on; it is found by its `uuid`, or by its URI where it has none."""
        key = resource.get("uuid") or resource["resource_uri"].removeprefix(f"/api/v1/{kind}/").rstrip("/")
        self._resources.setdefault(kind, {})[key] = resource

    def remove(self, kind: str, uuid: str) -> None:
        """Show an object no longer; KeyError where there is none."""
        del self._resources[kind][uuid]

    def emit(self, change: Change) -> None:
        """Tell a change; what `list` and `get` say is the test's own business."""
        for listener in tuple(self._listeners):
            listener(change)

    def lose(self, why: str, everything: bool = True) -> None:
        """Something can't be seen any more, by default nothing can."""
        self._troubles.append(why)
        self.in_sight = not everything
        self._notice()

    def find(self) -> None:
        """All can be seen again."""
        self._troubles.clear()
        self.in_sight = True
        self._notice()

    def watch(self, noticed: Callable[[], None]) -> None:
        """Call this at every change of what can be seen."""
        self._watchers.append(noticed)

    def troubles(self) -> Sequence[str]:
        """What was lost and not found again."""
        return tuple(self._troubles)

    def start(self) -> Deferred[None]:
        """Begin, in the way that the test chose."""
        self.running = True
        return self._starting.addCallback(self._started)

    def _started(self, _result: None) -> None:
        self.synced = True
        self._notice()

    def _notice(self) -> None:
        for noticed in tuple(self._watchers):
            noticed()

    def stop(self) -> Deferred[None]:
        """End."""
        self.running = False
        return succeed(None)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell every change from now on."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def caught_up(self, kind: str, uuid: str = "") -> Deferred[None]:  # noqa: ARG002 -- the same for all
        """Fires with what `catching_up` returns; by default at once."""
        return self.catching_up()

    def list(self, kind: str) -> Sequence[Resource]:
        """All objects of a kind, in the order in which they were put."""
        return [*self._resources.get(kind, {}).values()]

    def get(self, kind: str, uuid: str) -> Resource | None:
        """One object."""
        return self._resources.get(kind, {}).get(uuid)

    def perform(self, order: Order) -> Deferred[Taken]:
        """Note the order; `performing` decides what comes of it."""
        self.orders.append(order)
        return self.performing(order)

    def _taken(self, order: Order) -> Deferred[Taken]:
        return succeed(Taken(self._resources[order.kind][order.uuid], "/api/v1/action/5c/"))

    def logs(self, kind: str, uuid: str, tail: int, follow: bool, reader: ILogReader) -> ILogs | None:
        """A reading that the test brings lines to; None for what was not put."""
        if self.get(kind, uuid) is None:
            return None
        reading = ScriptedLogs(tail, follow, reader)
        self.readings.append(reading)
        return reading


@implementer(ILogs)
class ScriptedLogs:
    """One reading of logs: give lines to its `reader`."""

    def __init__(self, tail: int, follow: bool, reader: ILogReader) -> None:
        self.tail = tail
        self.follow = follow
        self.reader = reader
        self.state = "running"

    def pause(self) -> None:
        """Noted."""
        self.state = "paused"

    def resume(self) -> None:
        """Noted."""
        self.state = "running"

    def close(self) -> None:
        """Noted."""
        self.state = "closed"
