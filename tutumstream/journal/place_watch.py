"""Looks whether the journal is still where it was opened, and tells as soon as it is not."""

from errno import EACCES, EPERM
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tutumstream.journal.worker import Worker
from tutumstream.place import Place

EVERY: Final = 5.0
"""Seconds between two looks."""

_WAY_OUT: Final = (
    "end this service with SIGTERM, not by a kill, for then it writes down what it still has; then see to it that only "
    "one runs there, and start it again"
)

_WAY_BACK: Final = (
    "make its folder, and what is in it, this user's again; it is still written, but a restart could not open it"
)

_WAY_ON: Final = "check the disk, or the share that it is on, and the system's log; it is written as long as that works"


class PlaceWatch:
    """Looks after the place for as long as the journal is open.

    Args:
        place: the files.
        worker: looks.
        clock: for the time between two looks.

    Attributes:
        problem: what became of the files, in words that say what to do; "" while they are there.
    """

    log = Logger()

    def __init__(self, place: Place, worker: Worker, clock: IReactorTime) -> None:
        self.problem = ""
        self._place = place
        self._worker = worker
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._loop.start(EVERY, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> Deferred[None]:
        return self._worker.run(self._what_became_of_it).addCallback(self._seen)

    def _what_became_of_it(self) -> str:
        try:
            problem = self._place.problem()
        except OSError as trouble:
            if trouble.errno in (EACCES, EPERM):
                return f"is out of reach ({trouble.strerror}): {_WAY_BACK}"
            return f"can't be looked for ({trouble.strerror}): {_WAY_ON}"
        return f"{problem}: {_WAY_OUT}" if problem else ""

    def _seen(self, problem: str) -> None:
        before, self.problem = self.problem, problem
        if problem and problem != before:
            self.log.error("Journal {place} {problem}", place=self._place.path, problem=self.problem)
        elif before and not problem:
            self.log.info("Journal {place} is where it was again", place=self._place.path)
