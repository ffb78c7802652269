"""When which container is to be looked at again, though nothing is heard of it. Pure."""

import heapq
from collections.abc import Iterator, Mapping
from typing import Final

from tutumstream.gateway.docker import folds, mishaps
from tutumstream.gateway.docker.known import Known

CHECKS: Final = (2.0, 10.0, folds.START_PATIENCE + 1)
"""Seconds after which a container that is neither here nor there is looked at again: one that fails to start sends no
event at all. A restart policy waits for a minute at most."""

_UNSETTLED: Final = frozenset({folds.STARTING, folds.TERMINATING})


def is_unsettled(known: Known) -> bool:
    """It is neither here nor there: on its way, or waits to be started again."""
    return known.state in _UNSETTLED or (known.state == folds.STOPPED and known.container.status == "restarting")


class Checks:
    """Times, in seconds since 1970, each with the id of a container.

    Args:
        containers: all, by id.
    """

    def __init__(self, containers: Mapping[str, Known]) -> None:
        self._containers: Final = containers
        self._waiting: Final[list[tuple[float, str]]] = []
        self._doubted: Final[dict[str, None]] = {}

    def at(self, when: float, key: str) -> None:
        """Look at it then."""
        heapq.heappush(self._waiting, (when, key))

    def often(self, key: str, now: float) -> None:
        """It is neither here nor there."""
        for check in CHECKS:
            self.at(now + check, key)

    def doubt(self, key: str, when: float) -> None:
        """Look at it then, whatever its state: that is not what was seen last."""
        self._doubted[key] = None
        self.at(when, key)

    def networked(self, known: Known, action: str, later: float) -> bool:
        """A network let it in (`connect`) or let go of it (`disconnect`). Whether to look at it now; or, by itself,
        later: what ended is being started again, or could not be."""
        if known.state == folds.STOPPED:
            self.doubt(known.container.id, later)
        # While it starts it is connected anyhow, and let go of only where it can't be started.
        return known.state == folds.RUNNING or (known.state == folds.STARTING and action == "disconnect")

    def seen(self, key: str) -> None:
        """It was looked at, or there is no more to see of it."""
        self._doubted.pop(key, None)

    def unseen(self, kind: str, uuid: str = "") -> list[str]:
        """The ids of the running containers that an object, or all of a kind, is shown by, and that were told of since
        somebody looked at them: their addresses and ports are not known yet."""
        running = [known for key in self._doubted if (known := self._containers[key]).runs]
        if kind == "container":
            return [known.container.id for known in running if uuid in ("", known.uuid)]
        if kind == "service":
            return [known.container.id for known in running if uuid in ("", known.place.service)]
        return []

    def resume(self, known: Known, now: float) -> None:
        """Wait again for all that it waited for before a restart."""
        key = known.container.id
        if is_unsettled(known):
            self.often(key, now)
        for due in (known.deadline, mishaps.next_look(known.record)):
            if due:
                self.at(due, key)

    def overdue(self, now: float) -> list[str]:
        """Those whose time has come, and that still wait for it; each time comes once."""
        due = dict.fromkeys(self._due(now))
        return [key for key in due if self._waits(self._containers.get(key), now)]

    def _due(self, now: float) -> Iterator[str]:
        while self._waiting and self._waiting[0][0] <= now:
            yield heapq.heappop(self._waiting)[1]

    def _waits(self, known: Known | None, now: float) -> bool:
        if known is None or known.destroyed or known.machine:
            return False
        due = mishaps.next_look(known.record)
        unsettled = is_unsettled(known) or known.state == folds.STOPPING or known.container.id in self._doubted
        return unsettled or (0.0 < due <= now)
