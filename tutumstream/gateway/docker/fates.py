"""What the managers of a swarm say of the ends of an engine's own tasks.

A swarm ends a task that is ill in the same way as one that it wants no more, and only its managers know which of the
two it was. They say so a moment after the engine told of the end.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from tutumstream.gateway.docker import runs
from tutumstream.gateway.docker.checks import Checks
from tutumstream.gateway.docker.facts import Container
from tutumstream.gateway.docker.groups import Orders
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

    def take(self, fates: Mapping[str, str]) -> list[Known]:
        """The state that each ended in, by the id of its container. Returns the containers that waited for it."""
        self._fates = fates
        known = (self._containers.get(key) for key in fates)
        return [one for one in known if one is not None and one.waits]

    def of(self, seen: Container) -> Container:
        """The same, with its fate where that is known."""
        fate = self._fates.get(seen.id, seen.fate)
        return msgspec.structs.replace(seen, fate=fate) if fate != seen.fate else seen

    def waits(self, known: Known, seen: Container, now: float) -> Known | None:
        """The container as it waits for its fate before its end is told; None where there is nothing to wait for."""
        orders = self._orders.get(known.place.service)
        if orders is None or orders.service is None or not runs.is_undecided(known, seen):
            return None
        if known.waits:
            return known if now < known.deadline else None
        self._checks.at(now + FATE_PATIENCE, seen.id)
        return msgspec.structs.replace(known, deadline=now + FATE_PATIENCE)
