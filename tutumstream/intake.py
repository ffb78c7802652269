"""Where an event comes in: routed, then remembered with all that it causes, then given to the lanes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from twisted.internet.defer import Deferred

from tutumstream.delivery.incidents import Incidents
from tutumstream.delivery.state import DestinationState, Held, Ok, standing
from tutumstream.event import Event, Malformed
from tutumstream.ids import mint
from tutumstream.journal.interface import IJournal, Pending
from tutumstream.journal.objects import ObjectState
from tutumstream.outstanding import Outstanding
from tutumstream.routing.delivery import Delivery
from tutumstream.routing.router import Router
from tutumstream.status.board import Board

FULL: Final = 5000
"""Events, malformed ones included, that may wait to be written down; beyond, no more are asked for."""

ROOM: Final = 1000
"""From here on there is room again."""


class Intake:
    """The one way into the journal.

    Args:
        router: decides.
        incidents: knows which resolves are owed.
        journal: remembers.
        offer: called with the deliveries of events once they are on disk.
        changed: called with the URI of each object that changed: what was looked up of it is old.
        board: counts.
        now: seconds since 1970.
        most: how many may wait to be written down before no more are asked for.
        room: with how many there is room again.

    Attributes:
        full: called with True when no more events should come, and with False when they may come again.
    """

    full: Callable[[bool], None] = staticmethod(lambda _: None)

    def __init__(
        self,
        router: Router,
        incidents: Incidents,
        journal: IJournal,
        offer: Callable[[Sequence[Pending]], None],
        changed: Callable[[str], None],
        board: Board,
        now: Callable[[], float],
        most: int = FULL,
        room: int = ROOM,
    ) -> None:
        self._router = router
        self._incidents = incidents
        self._journal = journal
        self._offer = offer
        self._changed = changed
        self._board = board
        self._now = now
        self._most = most
        self._room = room
        self._outstanding = Outstanding()
        self._together = False
        self._taken: list[tuple[Event, Sequence[Delivery]]] = []
        self._waiting = 0
        self._is_full = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is taken within this is remembered together, and at the end of it: at thousands a second, that pays."""
        self._together = True
        try:
            yield
        finally:
            self._together = False
            self._remember()

    def take(self, event: Event) -> None:
        """Take an event; order is kept."""
        self._board.counted("events")
        self._changed(event.resource_uri)
        deliveries = self._router.deliveries(event)
        owed = self._incidents.duties(event, deliveries)
        self._taken.append((event, (*deliveries, *owed) if owed else deliveries))
        if not self._together:
            self._remember()

    def catch_up(self, events: Sequence[Event], found: Sequence[ObjectState], until: float) -> Deferred[None]:
        """Take what was missed, and note that all is told up to then: all of it or nothing.

        Returns:
            Fires when it is on disk, or fails with `JournalError`. Who cancels it only waits no longer.
        """
        # What was taken before goes before.
        self._remember()
        told = []
        for event in events:
            self._board.counted("events")
            self._changed(event.resource_uri)
            told.append((event, self._router.deliveries(event)))
        done: Deferred[None] = Deferred()

        def recorded(rows: Sequence[Pending]) -> None:
            if rows:
                self._offer(rows)
            done.callback(None)

        writing = self._journal.catch_up(told, found, until).addCallbacks(recorded, done.errback)
        self._own(writing, 1, "tell what was missed")
        return done

    def keep(self, malformed: Malformed) -> None:
        """Keep a message that is no event."""
        self._board.counted("malformed")
        self._own(self._journal.keep(malformed), 1, "keep a malformed message")

    def turned(self, destination: str, before: DestinationState, after: DestinationState) -> None:
        """A destination's state changed its kind: that it is held or refuses what it is sent, or is failing or limited
        for long, is told like any other event, and so is the end of that."""
        if after.told and (not before.told or (isinstance(after, Held) and not isinstance(before, Held))):
            self._tell_of(destination, standing(after).kind, f"{destination} is {after}")
        elif before.told and isinstance(after, Ok):
            self._tell_of(destination, "recovered", f"{destination} works again")

    def settled(self) -> Deferred[None]:
        """Fires when everything that was taken is on disk."""
        return self._outstanding.settled()

    def _remember(self) -> None:
        taken, self._taken = self._taken, []
        if taken:
            recorded = self._journal.record_all(taken)
            recorded.addCallback(self._offer)
            self._own(recorded, len(taken), "remember events")

    def _own(self, writing: Deferred[Any], count: int, what: str) -> None:
        self._waiting += count
        self._outstanding.own(writing, what)
        if not self._is_full and self._waiting >= self._most:
            self._is_full = True
            self.full(True)
        writing.addCallback(self._relieved, count)

    def _relieved(self, _: object, count: int) -> None:
        self._waiting -= count
        if self._is_full and self._waiting <= self._room:
            self._is_full = False
            self.full(False)

    def _tell_of(self, destination: str, action: str, words: str) -> None:
        self.take(
            Event(
                id=mint(),
                received_at=self._now(),
                type="destination",
                action=action,
                resource_uri=f"destination/{destination}",
                message=words,
            )
        )
