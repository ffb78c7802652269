"""When which container is to be looked at again, though nothing is heard of it. Pure."""

import heapq
from collections.abc import Iterator
from typing import Final

from tutumstream.gateway.docker import folds, mishaps
from tutumstream.gateway.docker.known import Known

CHECKS: Final = (2.0, 10.0, folds.START_PATIENCE + 1)
"""Seconds after which a container that is neither here nor there is looked at again: one that fails to start sends no
event at all."""

UNSETTLED: Final = frozenset({folds.STARTING, folds.TERMINATING})


class Checks:
    """Times, in seconds since 1970, each with the id of a container."""

    def __init__(self) -> None:
        self._waiting: Final[list[tuple[float, str]]] = []

    def at(self, when: float, key: str) -> None:
        """Look at it then."""
        heapq.heappush(self._waiting, (when, key))

    def often(self, key: str, now: float) -> None:
        """It is neither here nor there."""
        for check in CHECKS:
            self.at(now + check, key)

    def resume(self, known: Known, now: float) -> None:
        """Wait again for all that it waited for before a restart."""
        key = known.container.id
        if known.state in UNSETTLED:
            self.often(key, now)
        for due in (known.deadline, mishaps.next_look(known.record)):
            if due:
                self.at(due, key)

    def due(self, now: float) -> Iterator[str]:
        """Those whose time has come; each time comes once."""
        while self._waiting and self._waiting[0][0] <= now:
            yield heapq.heappop(self._waiting)[1]
