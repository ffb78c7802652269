"""The records of all containers: what went wrong with each is remembered with it, or in a swarm with who has its slot
now."""

from collections.abc import MutableMapping, Sequence
from typing import Final

import msgspec

from tutumstream.docker_details import DockerDetails
from tutumstream.gateway.docker import folds, mishaps, runs
from tutumstream.gateway.docker.checks import Checks
from tutumstream.gateway.docker.facts import Container
from tutumstream.gateway.docker.known import Known
from tutumstream.gateway.docker.mishaps import Patience, Record, Verdict
from tutumstream.gateway.docker.slots import Slots


class Records:
    """Judges what happens to containers by what happened to them before.

    Args:
        containers: all, by id.
        checks: is told when one is to be looked at for its record's sake.
    """

    def __init__(self, containers: MutableMapping[str, Known], checks: Checks, patience: Patience) -> None:
        self.slots: Final = Slots(containers)
        self.patience: Final = patience
        self._containers: Final = containers
        self._checks: Final = checks

    def remember(self, known: Known, record: Record) -> Known:
        """Keep it with its record, and look at it again when that asks for it."""
        key, due = known.container.id, mishaps.next_look(record)
        if due and due != mishaps.next_look(self._containers[key].record):
            self._checks.at(due, key)
        known = self._containers[key] = msgspec.structs.replace(known, record=record)
        return known

    def take_stock(self, now: float) -> None:
        """Nothing that is there now is news."""
        for known in tuple(self._containers.values()):
            self.remember(known, runs.baseline(known, now, self.patience))
        for line in self.slots.lines():
            self.remember(line[-1], runs.baseline_of_slot(line, now, self.patience))

    def conclude(self, known: Known, *, wanted: bool) -> Verdict:
        """What there is to tell where a swarm puts nothing more in the place of a container whose end was told.

        Args:
            wanted: its service still is.
        """
        # Where it has an heir, that has its troubles too, and nothing is left to tell of them here.
        if known.state != folds.STOPPED:
            return Verdict(known.record)
        return runs.given_up(known, self.patience) if wanted else runs.called_off(known)

    def judge(
        self, known: Known, before: Container, state: str, later: Sequence[str], now: float
    ) -> DockerDetails | None:
        """What there is to tell of a container that came to a state.

        Args:
            before: the container as it was before it was seen so.
            later: the states that it has come to since.
        """
        seen, heir = known.container, self.slots.heir(known)
        if heir is not None and runs.is_end(seen, state):
            told = runs.end_before(known, heir, before, seen, later, now, self.patience)
            self.remember(heir, told.record)
        else:
            told = runs.step(known, before, seen, state, later, now, self.patience)
            self.remember(known, told.record)
        return told.details
