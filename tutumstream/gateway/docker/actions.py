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

    def recall(self, actions: Iterable[Action]) -> None:
        """Go on from what was told before a restart, the oldest first."""
        for action in actions:
            self.known[action.uuid] = action
            if action.state == IN_PROGRESS:
                self._open[action.name, action.object] = action.uuid

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

        Compose redeploys a service by exchanging its containers, which is all that one sees of it.
        """
        for change in changes:
            yield change
            if change.type != "service":
                continue
            if change.state == folds.REDEPLOYING:
                yield from self.begin(REDEPLOY, change.resource_uri, int(now * 1e9), now)
            elif change.action == "delete":
                for name in (REDEPLOY, ROLLBACK, SCALE):
                    yield from self.end(name, change.resource_uri, CANCELED, now)
            elif change.state not in _ON_THE_WAY:
                state = SUCCESS if change.state == folds.RUNNING else FAILED
                yield from self.end(REDEPLOY, change.resource_uri, state, now)

    def _keep(self, action: Action, verb: str) -> Change:
        self.known[action.uuid] = action
        while len(self.known) > KEPT:
            del self.known[next(iter(self.known))]
        return Change(type="action", action=verb, state=action.state, resource_uri=action.uri, parents=(action.object,))
