"""Where an event comes in: routed, then remembered with all that it causes, then the lanes are woken."""

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.defer import Deferred

from tutumstream.event import Event, Malformed
from tutumstream.journal.interface import IJournal
from tutumstream.outstanding import Outstanding
from tutumstream.routing.delivery import Delivery
from tutumstream.routing.router import Router
from tutumstream.status.board import Board


class Intake:
    """The one way into the journal.

    Args:
        router: decides.
        journal: remembers.
        wake: called with a destination once its delivery is on disk.
        changed: called with the URI of each object that changed: what was looked up of it is old.
        board: counts.
    """

    def __init__(
        self,
        router: Router,
        journal: IJournal,
        wake: Callable[[str], None],
        changed: Callable[[str], None],
        board: Board,
    ) -> None:
        self._router = router
        self._journal = journal
        self._wake = wake
        self._changed = changed
        self._board = board
        self._outstanding = Outstanding()

    def take(self, event: Event) -> None:
        """Take an event; order is kept."""
        self._board.counted("events")
        self._changed(event.resource_uri)
        deliveries = self._router.deliveries(event)
        recorded = self._journal.record(event, deliveries)
        recorded.addCallback(partial(self._recorded, deliveries))
        self._outstanding.own(recorded, "remember an event")

    def keep(self, malformed: Malformed) -> None:
        """Keep a message that is no event."""
        self._board.counted("malformed")
        self._outstanding.own(self._journal.keep(malformed), "keep a malformed message")

    def settled(self) -> Deferred[None]:
        """Fires when everything that was taken is on disk."""
        return self._outstanding.settled()

    def _recorded(self, deliveries: Sequence[Delivery], _: None) -> None:
        for destination in {delivery.destination for delivery in deliveries}:
            self._wake(destination)
