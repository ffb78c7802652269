"""Which container follows which in a swarm: it never starts a task again, but makes another one in the same slot."""

from collections.abc import MutableMapping
from typing import Final

import msgspec

from tutumstream.gateway.docker.identity import slot_of
from tutumstream.gateway.docker.known import Known
from tutumstream.gateway.docker.mishaps import FRESH, inherited


class Slots:
    """The newest container of each slot.

    Args:
        containers: all, by id.
    """

    def __init__(self, containers: MutableMapping[str, Known]) -> None:
        self._containers: Final = containers
        self._newest: Final[dict[str, str]] = {}

    def fill(self, heir: Known) -> Known:
        """A container is new: what was wrong with the one before it in its slot is wrong with it now. One that has a
        successor already, and is seen only now, has nothing to pass on."""
        slot = slot_of(heir.container, heir.place)
        if not slot:
            return heir
        before = self._containers.get(self._newest.get(slot, ""))
        if before is not None and heir.container.created < before.container.created:
            return heir
        self._newest[slot] = heir.container.id
        if before is None or before.container.id == heir.container.id:
            return heir
        left = msgspec.structs.replace(FRESH, health=before.record.health, oom=before.record.oom)
        self._containers[before.container.id] = msgspec.structs.replace(before, record=left)
        return msgspec.structs.replace(heir, record=inherited(before.record))

    def heir(self, known: Known) -> Known | None:
        """The container that has the slot of this one; None where that is itself, or there is none."""
        newest = self._newest.get(slot_of(known.container, known.place), known.container.id)
        return self._containers.get(newest) if newest != known.container.id else None

    def recall(self, known: Known) -> None:
        """A container is known from before a restart; what was wrong in its slot stands in its record already."""
        slot = slot_of(known.container, known.place)
        newest = self._containers.get(self._newest.get(slot, ""))
        if slot and (newest is None or newest.container.created <= known.container.created):
            self._newest[slot] = known.container.id

    def lines(self) -> list[list[Known]]:
        """The containers that followed each other, of each slot; the oldest first."""
        found: dict[str, list[Known]] = {}
        for known in sorted(self._containers.values(), key=lambda one: one.container.created):
            if slot := slot_of(known.container, known.place):
                found.setdefault(slot, []).append(known)
        return list(found.values())

    def forget(self, known: Known) -> None:
        """A container was forgotten."""
        slot = slot_of(known.container, known.place)
        if self._newest.get(slot) == known.container.id:
            del self._newest[slot]
