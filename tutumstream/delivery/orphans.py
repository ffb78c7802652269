"""Deliveries to destinations that are off: they wait for as long as any others, then they are given up."""

from collections.abc import Callable, Collection
from typing import Final

from twisted.logger import Logger

from tutumstream.delivery.decision import GIVE_UP_AFTER, expired, is_too_old
from tutumstream.errors import JournalError
from tutumstream.journal.interface import IJournal

STEP: Final = 500
"""Deliveries that are looked at in one go."""


class Orphans:
    """What the journal still has for destinations that nobody configured any more.

    Args:
        destinations: the names of those that are on.
        now: seconds since 1970.
    """

    log = Logger()

    def __init__(self, destinations: Collection[str], journal: IJournal, now: Callable[[], float]) -> None:
        self._destinations = destinations
        self._journal = journal
        self._now = now
        self._names: set[str] = set()

    async def look(self) -> None:
        """Say at the start what waits, and for whom it waits in vain."""
        for name, waiting in sorted((await self._journal.destinations()).items()):
            if name in self._destinations:
                self.log.info("{destination}: {waiting} still to be delivered", destination=name, waiting=waiting)
                continue
            self.add(name)
            self.log.warn(
                "{destination} is off, and {waiting} deliveries wait for it: set it up again, or they go to the dead "
                "letters, each when it is a day old",
                destination=name,
                waiting=waiting,
            )

    def add(self, name: str) -> None:
        """Something was recorded, or taken back from the dead letters, for this one."""
        self._names.add(name)

    async def give_up_old(self) -> None:
        """Give up what grew too old."""
        try:
            for name in sorted(self._names):
                await self._give_up_old(name)
        except JournalError as problem:
            self.log.warn("what waits for destinations that are off can't be given up: {problem}", problem=problem)

    async def _give_up_old(self, name: str) -> None:
        after, buried = 0, 0
        while rows := await self._journal.pending(name, after, STEP):
            now = self._now()
            old = [row for row in rows if is_too_old(row, now)]
            if old:
                await self._journal.bury([expired(row, "the destination is off", row.answer, now) for row in old])
            after, buried = rows[-1].seq, buried + len(old)
            # Resolves, and what was taken back, may stand before what is too old; what is younger does not.
            if now - rows[-1].event.received_at < GIVE_UP_AFTER:
                break
        if buried:
            self.log.error(
                "{destination} is off: gave up {count} deliveries to it, they are dead letters now",
                destination=name,
                count=buried,
            )
