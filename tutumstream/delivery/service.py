"""All lanes: started with what the journal remembers, stopped with a grace for what is under way."""

from collections.abc import Iterable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tutumstream.delivery.incidents import Incidents
from tutumstream.delivery.lane import Lane
from tutumstream.delivery.orphans import Orphans
from tutumstream.journal.interface import IJournal, Pending, Standing

AGING: Final = 60.0
"""Seconds between two looks for deliveries that grew too old."""

GRACE: Final = 10.0
"""Seconds that a message under way may still take when the service stops."""


class Lanes:
    """Starts and stops the lanes, and gives each what was recorded for it.

    Args:
        lanes: one per destination.
        journal: remembers how the destinations stood, and which incidents are open.
        incidents: gets the open ones at the start.
        clock: for the grace, and for looking after what grows old.
    """

    log = Logger()

    def __init__(self, lanes: Iterable[Lane], journal: IJournal, incidents: Incidents, clock: IReactorTime) -> None:
        self._lanes = {lane.destination: lane for lane in lanes}
        self._journal = journal
        self._incidents = incidents
        self._clock = clock
        self.running = False
        self._aging = LoopingCall(self._give_up_old)
        self._aging.clock = clock
        self._orphans = Orphans(self._lanes, journal, clock.seconds)

    def start(self) -> Deferred[None]:
        """Fires when every lane goes on from where it was."""
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        open_incidents, opened = await self._journal.open_incidents(), await self._journal.recent_opens()
        self._incidents.load(open_incidents, opened, self._clock.seconds())
        await self._orphans.look()
        standings = await self._journal.standings()
        self.running = True
        for name, lane in self._lanes.items():
            lane.start(standings.get(name, Standing("ok")))
        self._aging.start(AGING, now=False)

    def offer(self, rows: Sequence[Pending]) -> None:
        """These were just recorded, or taken back. Those for a destination that is off stay as they are."""
        if len(rows) == 1:
            self._offer(rows[0].delivery.destination, rows)
            return
        for name in {row.delivery.destination for row in rows}:
            self._offer(name, [row for row in rows if row.delivery.destination == name])

    def stop(self) -> Deferred[None]:
        """Fires when nothing is under way any more: after `GRACE` seconds at the latest, the rest stays pending."""
        self.running = False
        if self._aging.running:
            self._aging.stop()
        stopped: Deferred[None] = DeferredList([self._stop(lane) for lane in self._lanes.values()]).addCallback(
            lambda _: None
        )
        return stopped

    def _give_up_old(self) -> Deferred[None]:
        for lane in self._lanes.values():
            lane.give_up_old()
        return Deferred.fromCoroutine(self._orphans.give_up_old())

    def _offer(self, name: str, rows: Sequence[Pending]) -> None:
        lane = self._lanes.get(name)
        if lane is not None:
            lane.offer(rows)
        else:
            self._orphans.add(name)

    def _stop(self, lane: Lane) -> Deferred[None]:
        def abandoned(*_: object) -> None:
            self.log.warn(
                "{destination} did not finish in {grace} s; it goes on at the next start",
                destination=lane.destination,
                grace=GRACE,
            )

        return lane.stop().addTimeout(GRACE, self._clock, onTimeoutCancel=abandoned)
