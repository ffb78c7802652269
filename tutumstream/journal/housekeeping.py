"""Keeps the journal within its limits, for as long as the service runs."""

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from tutumstream.errors import JournalError
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
        self._failing = False

    def start(self) -> None:
        """Begin, a minute from now."""
        self._loop.start(INTERVAL, now=False)

    def stop(self) -> None:
        """End; harmless when not begun."""
        if self._loop.running:
            self._loop.stop()

    def _prune(self) -> Deferred[None]:
        return self._journal.prune(self._now(), self._limits).addCallback(self._report).addErrback(self._not_pruned)

    def _not_pruned(self, failure: Failure) -> None:
        """The next minute is another chance; but if it goes on, the disk fills up."""
        if not failure.check(JournalError):
            self.log.failure("a bug: the journal can't be pruned", failure)
        elif self._loop.running and not self._failing:
            self._failing = True
            self.log.warn("the journal can't be pruned, so it grows: {problem}", problem=failure.value)

    def _report(self, pruned: Pruned) -> None:
        if self._failing:
            self._failing = False
            self.log.info("the journal is pruned again")
        if pruned.overflow:
            self.log.error(
                "more than {limit} deliveries wait: {count} of them went to the dead letters",
                limit=self._limits.pending_rows,
                count=pruned.overflow,
            )
        if pruned.events:
            self.log.debug("{count} old events were forgotten", count=pruned.events)
