"""Whether the journal is still where it was opened: a folder may be deleted, or put back from a copy, under our feet.

SQLite goes on with a file that has no name any more, and all of it is gone when the process ends; and with the lock
gone, too, a second service could begin at the same place. Both are told as soon as they are noticed.
"""

from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tutumstream.journal.worker import Worker

EVERY: Final = 5.0
"""Seconds between two looks."""

_HEADER: Final = b"SQLite format 3\x00"
"""What every such file begins with: https://www.sqlite.org/fileformat.html#the_database_header"""

_WAY_OUT: Final = (
    "end this service with SIGTERM, not by a kill, for then it writes down what it still has; then see to it that only "
    "one runs there, and start it again"
)


class Place:
    """The files of an open journal.

    Args:
        path: of the journal; its lock and its write-ahead log lie beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Without its log the journal lacks what was written last.
        self._files = {each: _identity(each) for each in (path, Path(f"{path}.lock"), Path(f"{path}-wal"))}

    @property
    def is_ours(self) -> bool:
        """Whether the journal itself, at least, is what we have open."""
        return _identity(self.path) == self._files[self.path] and _begins_as_it_must(self.path)

    def problem(self) -> str:
        """What became of them, in words that say what to do; "" while they are there."""
        for file, known in self._files.items():
            found = _identity(file)
            if found is None:
                return f"was deleted while it is in use ({file.name} is gone): {_WAY_OUT}"
            if found != known:
                return f"was replaced while it is in use ({file.name} is another file): {_WAY_OUT}"
        if not self.is_ours:
            return f"was overwritten while it is in use: {_WAY_OUT}"
        return ""


class PlaceWatch:
    """Looks after the place for as long as the journal is open.

    Args:
        place: the files.
        worker: looks.
        clock: for the time between two looks.

    Attributes:
        problem: as `Place.problem` said last.
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
        return self._worker.run(self._place.problem).addCallback(self._seen)

    def _seen(self, problem: str) -> None:
        before, self.problem = self.problem, problem
        if problem and not before:
            self.log.error("Journal {place} {problem}", place=self._place.path, problem=problem)
        elif before and not problem:
            self.log.info("Journal {place} is where it was again", place=self._place.path)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _begins_as_it_must(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_HEADER)) == _HEADER
    except OSError:
        # Who may not read it any more is told by SQLite.
        return True
