"""Facts in, a frozen snapshot out. Watches everything, changes nothing, and holds no secret."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from tutumstream.delivery.state import DestinationState
from tutumstream.stream.connection import Connected, Connection, NotBegun

Counter = Literal["events", "malformed"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known at one moment.

    Attributes:
        stream: the connection to the stream.
        journal: "ok", or in words why it can't be used.
        destinations: by name.
        counts: since the start.
    """

    stream: Connection
    journal: str
    destinations: Mapping[str, DestinationState]
    counts: Mapping[Counter, int]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the service is not ready; empty when it is."""
        reasons = []
        if not isinstance(self.stream, Connected):
            reasons.append(f"stream: {self.stream}")
        if self.journal != "ok":
            reasons.append(f"journal: {self.journal}")
        return tuple(reasons)

    def __str__(self) -> str:
        troubled = [f"{name} {state}" for name, state in self.destinations.items() if str(state) != "ok"]
        return "; ".join([f"stream {self.stream}", *troubled])


class Board:
    """Collects what the rooms publish.

    Args:
        journal_problem: what is wrong with the journal, "" where nothing is.
        changed: called after each change of a state (not of a count) with the new snapshot.
    """

    def __init__(self, journal_problem: Callable[[], str], changed: Callable[[Snapshot], None]) -> None:
        self._journal_problem = journal_problem
        self._changed = changed
        self._stream: Connection = NotBegun()
        self._journal_open = False
        self._destinations: dict[str, DestinationState] = {}
        self._counts: dict[Counter, int] = {"events": 0, "malformed": 0}

    def counted(self, counter: Counter) -> None:
        self._counts[counter] += 1

    def stream_is(self, connection: Connection) -> None:
        self._stream = connection
        self._changed(self.snapshot())

    @property
    def is_connected(self) -> bool:
        """Whether the stream is open."""
        return isinstance(self._stream, Connected)

    def journal_is_open(self) -> None:
        self._journal_open = True
        self._changed(self.snapshot())

    def destination_is(self, name: str, state: DestinationState) -> None:
        if self._destinations.get(name) != state:
            self._destinations[name] = state
            self._changed(self.snapshot())

    def snapshot(self) -> Snapshot:
        return Snapshot(
            stream=self._stream,
            journal=(self._journal_problem() or "ok") if self._journal_open else "not open yet",
            destinations=MappingProxyType(dict(self._destinations)),
            counts=MappingProxyType(dict(self._counts)),
        )
