"""The account of a conservation run: what was read, what arrived, and everything that does not add up. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.acceptance.conservation_world import Arrival

SHOWN: Final = 5
"""Numbers named of each kind of problem."""


@dataclass(frozen=True)
class Look:
    """The journal as a killed service left it, or, at the end, a stopped one.

    Attributes:
        committed: numbers of all events in it.
        pending: numbers of events that were still to be delivered.
        dead: numbers of those that were given up, with the cause.
    """

    committed: frozenset[int]
    pending: frozenset[int]
    dead: Mapping[int, str]


@dataclass
class Account:
    """All that is known after the run.

    Attributes:
        uris: of the events sent; an event's number is its index.
        last_sent_from: the first number that was sent to the last life, which was not killed.
        arrivals: what the destination took, in order.
        refused: numbers that it answered with 400 at least once.
        looks: one for each kill, in order: the first is of life 0.
        end: after the last life.
    """

    uris: Sequence[str]
    last_sent_from: int
    arrivals: Sequence[Arrival]
    refused: set[int]
    looks: Sequence[Look]
    end: Look
    problems: list[str] = field(default_factory=list)

    @property
    def lost_unread(self) -> int:
        """Events that a kill took before they were committed."""
        return len(self.uris) - len(self.end.committed)

    def repeats(self) -> list[tuple[Arrival, Arrival]]:
        """Arrivals of what had arrived before, each with the arrival before it."""
        found = []
        latest: dict[int, Arrival] = {}
        for arrival in self.arrivals:
            if arrival.number in latest:
                found.append((latest[arrival.number], arrival))
            latest[arrival.number] = arrival
        return found

    def repeats_by_kill(self) -> Counter[int]:
        """Arrivals that each kill caused."""
        return Counter(before.life for before, _ in self.repeats())

    def check(self) -> list[str]:
        """Everything that breaks a promise, in words; empty when all of it was kept."""
        self.problems = []
        arrived = {arrival.number for arrival in self.arrivals}
        known = self.end.committed
        self._none("arrived, and was never sent like that", self._strangers())
        self._none("arrived, and was never committed", arrived - known)
        self._none("was committed, and neither arrived nor is a dead letter", known - arrived - self.end.dead.keys())
        self._none("is still pending at the end", self.end.pending)
        self._none("was sent to a service that nobody killed, and is not there", self._unread())
        for kill, look in enumerate(self.looks):
            self._none(f"was committed at kill {kill}, and is gone from the journal", look.committed - known)
        self._none("is a dead letter, and was not refused", self.end.dead.keys() - self.refused)
        self._none("arrived before an older one of its resource", self._overtakers())
        self._check_repeats()
        return self.problems

    def _none(self, what: str, numbers: Iterable[int]) -> None:
        found = sorted(numbers)
        if found:
            named = ", ".join(map(str, found[:SHOWN]))
            self.problems.append(f"{len(found)} x {what}: {named}{', …' if len(found) > SHOWN else ''}")

    def _strangers(self) -> set[int]:
        return {
            number
            for _, _, number, uri in self.arrivals
            if not (0 <= number < len(self.uris)) or self.uris[number] != uri
        }

    def _unread(self) -> set[int]:
        return set(range(self.last_sent_from, len(self.uris))) - self.end.committed

    def _overtakers(self) -> set[int]:
        """Of first arrivals only: what is repeated comes late by its nature."""
        newest: dict[str, int] = {}
        seen: set[int] = set()
        found = set()
        for _, _, number, uri in self.arrivals:
            if number in seen:
                continue
            seen.add(number)
            if number < newest.get(uri, -1):
                found.add(newest[uri])
            newest[uri] = max(number, newest.get(uri, -1))
        return found

    def _check_repeats(self) -> None:
        repeats = self.repeats()
        self._none("came twice without a kill", (now.number for before, now in repeats if before.life == now.life))
        self._none(
            "came twice, and was settled at the kill in between",
            (
                now.number
                for before, now in repeats
                if before.life < now.life and now.number not in self.looks[before.life].pending
            ),
        )
        self._none("came again under another id", (now.number for before, now in repeats if before.id != now.id))
