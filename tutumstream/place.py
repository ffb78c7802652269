"""Whether the files of an open database are still where they were opened.

A folder may be deleted, or put back from a copy, under our feet. SQLite goes on with a file that has no name any more,
and all of it is gone when the process ends; and with the lock gone, too, a second process could begin there.
"""

import os
from pathlib import Path
from typing import Final

_HEADER: Final = b"SQLite format 3\x00"
"""What every such file begins with: https://www.sqlite.org/fileformat.html#the_database_header"""


class Place:
    """The files of an open SQLite database in WAL mode. Close it after the database, never before.

    The database is looked into through one descriptor, which stays open: whoever closes any descriptor of a file lets
    go of all locks of his process on it, SQLite's too. The next program that looks into the database would then take
    itself for the last one, and delete the log under us.
    (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_)

    Args:
        path: of the database; its lock and its write-ahead log lie beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        # Without its log the database lacks what was written last.
        self._files = {each: _identity(each) for each in (path, Path(f"{path}.lock"), Path(f"{path}-wal"))}

    def close(self) -> None:
        """Let go of it; the database must be closed."""
        os.close(self._database)

    @property
    def is_ours(self) -> bool:
        """Whether the database itself, at least, is what we have open, as far as we may look."""
        try:
            return _identity(self.path) == self._files[self.path] and self._begins_as_it_must()
        except OSError:
            return True

    def problem(self) -> str:
        """What became of them: `was deleted while it is in use (journal.sqlite3 is gone)`; "" while they are there.

        Raises:
            OSError: We may not look, or the disk does not let us.
        """
        for file, known in self._files.items():
            found = _identity(file)
            if found is None:
                return f"was deleted while it is in use ({file.name} is gone)"
            if found != known:
                return f"was replaced while it is in use ({file.name} is another file)"
        return "" if self.is_ours else "was overwritten while it is in use"

    def _begins_as_it_must(self) -> bool:
        try:
            return os.pread(self._database, len(_HEADER), 0) == _HEADER
        except OSError:
            # A disk that can't be read is told by SQLite.
            return True


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
