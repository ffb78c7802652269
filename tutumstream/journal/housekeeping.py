"""Keeps the journal within its limits, for as long as the service runs."""

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tutumstream.journal.interface import IJournal, Limits, Pruned

INTERVAL: Final = 60.0
"""Seconds between two prunings."""


class Housekeeping:
    """Prunes the journal once a minute.

    Args:
        journal: to be pruned.
        limits: how much it keeps.
        clock: for the interval.
        now: seconds since 1970.
    """

    log = Logger()

    def __init__(self, journal: IJournal, limits: Limits, clock: IReactorTime, now: Callable[[], float]) -> None:
        self._journal = journal
        self._limits = limits
        self._now = now
        self._loop = LoopingCall(self._prune)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin, a minute from now."""
        self._loop.start(INTERVAL, now=False)

    def stop(self) -> None:
        """End; harmless when not begun."""
        if self._loop.running:
            self._loop.stop()

    def _prune(self) -> Deferred[None]:
        pruned = self._journal.prune(self._now(), self._limits).addCallback(self._report)
        # Trouble with the disk is told by the journal itself; the next minute is another chance.
        return pruned.addErrback(lambda failure: self.log.debug("not pruned: {problem}", problem=failure.value))

    def _report(self, pruned: Pruned) -> None:
        if pruned.overflow:
            self.log.error(
                "more than {limit} deliveries wait: {count} of them went to the dead letters",
                limit=self._limits.pending_rows,
                count=pruned.overflow,
            )
        if pruned.events:
            self.log.debug("{count} old events were forgotten", count=pruned.events)
