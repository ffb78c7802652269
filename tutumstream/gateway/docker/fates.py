"""What the managers of a swarm say of the ends of tasks.

A swarm ends a task that is ill in the same way as one that it wants no more, and only its managers know which of the
two it was. They say so a moment after the engine told of the end. That another task follows one that ended well is
known before, of its service.
"""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from tutumstream.gateway.docker import runs
from tutumstream.gateway.docker.checks import Checks
from tutumstream.gateway.docker.facts import Container
from tutumstream.gateway.docker.groups import Orders
from tutumstream.gateway.docker.identity import swarm_service
from tutumstream.gateway.docker.known import Known

FATE_PATIENCE: Final = 3.0
"""Seconds for which the managers may say how a task ended; they are asked several times in them."""


class Fates:
    """The fates of the tasks that ended and are still listed.

    Args:
        containers: all, by id.
        orders: the services that the managers list, by uuid.
    """

    def __init__(self, containers: Mapping[str, Known], checks: Checks, orders: Mapping[str, Orders]) -> None:
        self._containers: Final = containers
        self._checks: Final = checks
        self._orders: Final = orders
        self._fates: Mapping[str, str] = {}
        self._restless: Collection[str] = ()

    def take(self, fates: Mapping[str, str], restless: Collection[str] = ()) -> list[Known]:
        """Take what they say now. Returns the containers that waited for that.

        Args:
            fates: the states in which the engine's own tasks ended, by the ids of their containers.
            restless: the services that soon put another task in the place of each, however well it ended.
        """
        self._fates, self._restless = fates, restless
        known = (self._containers.get(key) for key in fates)
        return [one for one in known if one is not None and one.waits]

    def of(self, known: Known, seen: Container) -> Container:
        """What was seen of it, with its fate where that is known."""
        fate = self._fates.get(seen.id, seen.fate)
        if seen.exit_code == 0 and seen.health != "unhealthy" and self._is_repeated(known, seen, fate):
            fate = runs.REPEATED
        return msgspec.structs.replace(seen, fate=fate) if fate != seen.fate else seen

    def _is_repeated(self, known: Known, seen: Container, fate: str) -> bool:
        if swarm_service(seen.labels) not in self._restless:
            return False
        # Where nobody heard of the end, it may have been wanted.
        return fate == "complete" or (fate == "" and known.death is not None and known.death.at > seen.started)

    def waits(self, known: Known, seen: Container, now: float) -> Known | None:
        """The container as it waits for its fate before its end is told; None where there is nothing to wait for."""
        orders = self._orders.get(known.place.service)
        if orders is None or orders.service is None or not runs.is_undecided(known, seen):
            return None
        if known.waits:
            return known if now < known.deadline else None
        self._checks.at(now + FATE_PATIENCE, seen.id)
        return msgspec.structs.replace(known, deadline=now + FATE_PATIENCE)
