"""Tutum's actions, derived: Docker has none, but says enough to tell what somebody is doing. Pure.

An action's identity follows from its object and the engine's own time, so what is seen again is the same action.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from tutumstream.gateway.docker import folds
from tutumstream.gateway.docker.identity import derived, resource_uri
from tutumstream.gateway.platform import Change

IN_PROGRESS: Final = "In progress"
SUCCESS: Final = "Success"
FAILED: Final = "Failed"
CANCELED: Final = "Canceled"

REDEPLOY: Final = "Service Redeploy"
ROLLBACK: Final = "Service Rollback"
SCALE: Final = "Service Scale"
RESTART: Final = "Container Restart"

KEPT: Final = 1000
"""Actions that are remembered."""

_ON_THE_WAY: Final = frozenset({folds.STARTING, folds.SCALING})

_CAME_UP: Final = {"start": True, "stop": True, "finish": True, "crash": False}
"""What is told of a container that Compose made, and whether it runs by that, or did."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One action. Times are seconds since 1970; `ended` is 0 while it goes on.

    Attributes:
        name: what is done, in Tutum's words.
        object: the URI of what it is done to.
    """

    uuid: str
    name: str
    object: str
    state: str
    started: float
    ended: float = 0.0

    @property
    def uri(self) -> str:
        return resource_uri("action", self.uuid)


class Actions:
    """The latest actions, the oldest first."""

    def __init__(self) -> None:
        self.known: Final[dict[str, Action]] = {}
        self._open: Final[dict[tuple[str, str], str]] = {}
        self._exchanging: Final[set[str]] = set()
        self._new: Final[dict[str, dict[str, bool | None]]] = {}

    def recall(self, actions: Iterable[Action], exchanging: Iterable[str] = ()) -> None:
        """Go on from what was told before a restart, the oldest first.

        Args:
            exchanging: the URIs of the services that are `Redeploying`.
        """
        self._exchanging.update(exchanging)
        for action in actions:
            self.known[action.uuid] = action
            if action.state == IN_PROGRESS:
                self._open[action.name, action.object] = action.uuid

    def expect(self, service: str, container: str) -> None:
        """A container was made before a restart and has yet to come up; which did, of those made with it, nobody knows
        any more."""
        self._new.setdefault(service, {})[container] = None

    def begin(self, name: str, target: str, at: int, now: float) -> Iterator[Change]:
        """Something began that takes time. Another one of the same name on the same object is over by that.

        Args:
            target: the URI of the object.
            at: nanoseconds since 1970 by the engine's clock; with the object and the name, who it is.
        """
        uuid = derived("action", target, name, str(at))
        if uuid in self.known:
            return
        yield from self.end(name, target, CANCELED, now)
        self._open[name, target] = uuid
        yield self._keep(Action(uuid=uuid, name=name, object=target, state=IN_PROGRESS, started=at / 1e9), "create")

    def end(self, name: str, target: str, state: str, now: float) -> Iterator[Change]:
        """It came to its end; nothing is told where none was going on."""
        uuid = self._open.pop((name, target), None)
        action = self.known.get(uuid or "")
        if action is not None:
            yield self._keep(msgspec.structs.replace(action, state=state, ended=now), "update")

    def done(self, name: str, target: str, at: int) -> Iterator[Change]:
        """Something was done, at once."""
        uuid = derived("action", target, name, str(at))
        if uuid not in self.known:
            action = Action(uuid=uuid, name=name, object=target, state=SUCCESS, started=at / 1e9, ended=at / 1e9)
            yield self._keep(action, "create")

    def since(self, name: str, target: str) -> float | None:
        """When it began, if it goes on."""
        action = self.known.get(self._open.get((name, target), ""))
        return action.started if action is not None else None

    def follow(self, changes: Iterable[Change], now: float) -> Iterator[Change]:
        """The same changes, each followed by what it says of actions.

        Compose redeploys a service by exchanging its containers, which is all that one sees of it. How that went, the
        new ones say, once each of them came up or did not: others of the service may be stopped, or ill, all the while.
        """
        for change in changes:
            yield change
            if change.type == "container" and change.docker is not None and not change.docker.slot:
                yield from self._meet(change, change.parents[0], change.docker.event, now)
            elif change.type == "service":
                yield from self._go_with(change, change.resource_uri, now)

    def _go_with(self, change: Change, service: str, now: float) -> Iterator[Change]:
        if change.action == "delete":
            self._exchanging.discard(service)
            self._new.pop(service, None)
            for name in (REDEPLOY, ROLLBACK, SCALE):
                yield from self.end(name, service, CANCELED, now)
        elif change.state == folds.REDEPLOYING:
            self._exchanging.add(service)
            if self.since(REDEPLOY, service) is None:
                yield from self.begin(REDEPLOY, service, int(now * 1e9), now)
        else:
            self._exchanging.discard(service)
            yield from self._judge(service, change.state, now)

    def _meet(self, change: Change, service: str, event: str, now: float) -> Iterator[Change]:
        """Remember of the containers that are new how they came up: True or False, None for not yet."""
        new = self._new.setdefault(service, {})
        taken_back = change.action == "delete" and change.resource_uri in new
        if change.action == "create":
            new[change.resource_uri] = None
        elif change.action == "delete" or (event in _CAME_UP and self.since(REDEPLOY, service) is None):
            new.pop(change.resource_uri, None)
        elif change.resource_uri in new:
            new[change.resource_uri] = _CAME_UP.get(event, new[change.resource_uri])
        if new:
            yield from self._judge(service, "", now)
        else:
            del self._new[service]
            if taken_back and service not in self._exchanging:
                # The state of the service may stay what it is, and then nothing else would end it.
                yield from self.end(REDEPLOY, service, CANCELED, now)

    def _judge(self, service: str, state: str, now: float) -> Iterator[Change]:
        """End the redeployment of a service, if it is over: where nobody knows what is new, by the service's state."""
        if service in self._exchanging or self.since(REDEPLOY, service) is None:
            return
        new = self._new.get(service, {}).values()
        if None in new or (not new and state in _ON_THE_WAY):
            return
        self._new.pop(service, None)
        well = all(new) if new else state == folds.RUNNING
        yield from self.end(REDEPLOY, service, SUCCESS if well else FAILED, now)

    def _keep(self, action: Action, verb: str) -> Change:
        self.known[action.uuid] = action
        while len(self.known) > KEPT:
            del self.known[next(iter(self.known))]
        return Change(type="action", action=verb, state=action.state, resource_uri=action.uri, parents=(action.object,))
