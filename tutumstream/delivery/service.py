"""All lanes, as one service."""

from collections.abc import Iterable
from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tutumstream.delivery.lane import Lane

GRACE: Final = 10.0
"""Seconds that a message in flight may still take when the service stops."""


class Lanes(Service):
    """Starts and stops the lanes, and wakes the right one.

    Args:
        lanes: one per destination.
        clock: for the grace.
    """

    log = Logger()

    def __init__(self, lanes: Iterable[Lane], clock: IReactorTime) -> None:
        self._lanes = {lane.destination: lane for lane in lanes}
        self._clock = clock

    def startService(self) -> None:
        super().startService()
        for lane in self._lanes.values():
            lane.start()

    def wake(self, destination: str) -> None:
        """A delivery for this destination was recorded; one that no longer exists is left as it is."""
        if self.running and destination in self._lanes:
            self._lanes[destination].wake()

    def stopService(self) -> Deferred[None]:
        """Fires when nothing is in flight any more: after `GRACE` seconds at the latest, the rest stays pending."""
        super().stopService()
        stopped: Deferred[None] = DeferredList([self._stop(lane) for lane in self._lanes.values()]).addCallback(
            lambda _: None
        )
        return stopped

    def _stop(self, lane: Lane) -> Deferred[None]:
        def abandoned(*_: object) -> None:
            self.log.warn(
                "{destination} did not finish in {grace} s; it goes on at the next start",
                destination=lane.destination,
                grace=GRACE,
            )

        return lane.stop().addTimeout(GRACE, self._clock, onTimeoutCancel=abandoned)
