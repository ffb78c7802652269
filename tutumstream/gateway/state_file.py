"""The file in which the gateway keeps its state: one small SQLite database, and a lock that only one gateway can hold.

A transaction is all of one moment or nothing, whenever the process is killed. What is damaged, or can't be understood,
is put beside it and the start goes on without: the state saves news, it is never worth being without a gateway. A full
disk, a lock or a missing permission is no damage: the file is left as it is, and the start refused until that is over.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from twisted.logger import Logger

from tutumstream import room
from tutumstream.errors import StateError
from tutumstream.gateway.saving import Change, Row
from tutumstream.place import Place
from tutumstream.trouble import cannot_open, in_words, passing

NAME: Final = "gateway.sqlite3"
VERSION: Final = 2
"""Of the form of what is in it. Every change of that form, the rows' own too (`docker/memory.py`, `clientele.py`),
needs another, so that a gateway that is older than what it finds can say so."""

OLDEST: Final = 1
"""The oldest form that is still understood: what was added since has a value where it is missing."""

BUSY_TIMEOUT: Final = 2.0
"""Seconds to wait for somebody who looks into it."""

_ELSEWHERE: Final = "or choose another folder with --state-dir (TUTUMGATEWAY_STATE_DIR)"
_TABLE: Final = (
    "CREATE TABLE kept (part TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, "
    "PRIMARY KEY (part, kind, key)) WITHOUT ROWID"
)


class StateFile:
    """The file in this folder, which is made where it is missing.

    Args:
        patience: seconds to wait for somebody who looks into it.
    """

    log = Logger()

    def __init__(self, folder: Path, patience: float = BUSY_TIMEOUT) -> None:
        self.path: Final = folder / NAME
        self._patience = patience
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._place: Place | None = None

    def open(self) -> Mapping[str, Mapping[Row, bytes]]:
        """Everything that was written, by part; nothing where that is of no use.

        Raises:
            StateError: nothing can be kept there now, or another gateway keeps its own there.
        """
        self._lock = _locked(self.path)
        try:
            return self._read()
        except _UselessError as problem:
            return self.set_aside(str(problem))

    def set_aside(self, why: str) -> Mapping[str, Mapping[Row, bytes]]:
        """What was written is of no use: put it beside, in the place of what was put there before, and begin anew.

        Raises:
            StateError: that can't be done.
        """
        self._begin_anew(why)
        self.log.error(
            "The state of before can't be used ({why}) and is {aside} now. So what happened while no gateway ran is "
            "not told; all that happens from now on is",
            why=why,
            aside=self._aside,
        )
        return {}

    def renew(self) -> bool:
        """Begin anew where what was opened is not there any more, or not open; whether that was so. What lies there
        instead is put beside, unless it is empty.

        Raises:
            StateError: nothing can be kept there now, or another gateway keeps its own there.
        """
        try:
            problem = self._place.problem() if self._place is not None else ""
        except OSError:
            # Out of our reach now, but what is open is written as before.
            problem = ""
        if self._connection is not None and not problem:
            return False
        self.close()
        self._lock = _locked(self.path)
        try:
            _index(self.path).unlink(missing_ok=True)
        except OSError as trouble:
            self.close()
            raise _refused(self.path, trouble) from trouble
        try:
            useless = "it is another one's" if self._read() else ""
        except _UselessError as damage:
            useless = str(damage)
        if useless:
            self._begin_anew(useless)
        if problem:
            self.log.error("The state {path} {problem}; all of it is written anew", path=self.path, problem=problem)
        return True

    def write(self, changes: Iterable[Change]) -> None:
        """All of it or nothing, on the disk when it returns. Raises sqlite3.Error."""
        if self._connection is None:
            raise sqlite3.ProgrammingError("the state is not open")
        with _transaction(self._connection):
            for part, kind, key, value in changes:
                if value is None:
                    self._connection.execute("DELETE FROM kept WHERE (part, kind, key) = (?, ?, ?)", (part, kind, key))
                else:
                    self._connection.execute(
                        "INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", (part, kind, key, value)
                    )

    def close(self) -> None:
        """Let go of the file, then of the lock; harmless when it is not open."""
        self._disconnect()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def _aside(self) -> Path:
        return self.path.with_name(f"{NAME}.unusable")

    def _begin_anew(self, why: str) -> None:
        """With an empty file; what lies there is put beside, in the place of what was put there before.

        The empty one is made first, so that it is known that it can be, and takes the other's place at last.
        """
        self._disconnect()
        new = self.path.with_name(f"{NAME}.new")
        try:
            for each in _with_log(new):
                each.unlink(missing_ok=True)
            with closing(_connected(new, self._patience)) as connection:
                _make_empty(connection)
            self._put_beside()
            new.replace(self.path)
            self._read()
        except (sqlite3.Error, OSError, StateError) as problem:
            self.close()
            words = problem.problem if isinstance(problem, StateError) else in_words(problem)
            raise StateError(
                str(self.path), f"can't be used ({why}), nor replaced ({words}): move it away by hand, {_ELSEWHERE}"
            ) from problem

    def _put_beside(self) -> None:
        """Both files or none. The log of one database must never meet another, which it would be written into."""
        (database, log), (aside, aside_log) = _with_log(self.path), _with_log(self._aside)
        database.replace(aside)
        try:
            aside_log.unlink(missing_ok=True)
            if log.exists():
                log.replace(aside_log)
            _index(self.path).unlink(missing_ok=True)
        except OSError:
            aside.replace(database)
            raise

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        place, self._place = self._place, None
        if place is not None:
            place.close()

    def _read(self) -> Mapping[str, Mapping[Row, bytes]]:
        """Open it, made where it is missing or empty.

        Raises:
            _UselessError: it is damaged, or no state that can be understood.
            StateError: it can't be read or written now; it may be as good as ever.
        """
        try:
            self._connection = _connected(self.path, self._patience)
            kept = _contents(self._connection)
            self._place = Place(self.path)
        except IsADirectoryError as problem:
            raise _UselessError("it is a folder") from problem
        except OSError as problem:
            self.close()
            raise _refused(self.path, problem) from problem
        except (sqlite3.Error, ValueError) as problem:
            # A text that is none is a ValueError, also in the words of an error.
            if not passing(problem):
                raise _UselessError(str(problem)) from problem
            self.close()
            if cannot_open(problem) and (full := room.lack(self.path.parent)):
                raise _refused(self.path, full) from problem
            raise StateError(str(self.path), f"{in_words(problem)}, {_ELSEWHERE}") from problem
        return kept


class _UselessError(Exception):
    """What is in the file is damaged, or is no state of a gateway of this version; the text says what."""


def _connected(path: Path, patience: float) -> sqlite3.Connection:
    # SQLite would make it readable by everybody.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    # Whatever thread writes, it does so alone.
    return sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)


def _contents(connection: sqlite3.Connection) -> Mapping[str, Mapping[Row, bytes]]:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise _UselessError(f"it is damaged: {found}")
    ((version,), (tables,)) = (
        connection.execute("PRAGMA user_version").fetchone(),
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone(),
    )
    if tables == 0 and version == 0:
        _make_empty(connection)
    elif version > VERSION:
        raise _UselessError(f"a newer version of tutumstream wrote it, in form {version}, and this one knows {VERSION}")
    elif version < OLDEST:
        raise _UselessError("it is no state of a gateway")
    # On the disk, not only in the kernel: https://www.sqlite.org/pragma.html#pragma_synchronous
    connection.execute("PRAGMA synchronous=FULL")
    kept: dict[str, dict[Row, bytes]] = {}
    for part, kind, key, value in connection.execute("SELECT part, kind, key, value FROM kept"):
        kept.setdefault(part, {})[kind, key] = value
    if version < VERSION:
        # Its rows are written anew soon, and can be read until then.
        connection.execute(f"PRAGMA user_version={VERSION}")
    return kept


def _make_empty(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    with _transaction(connection):
        connection.execute(_TABLE)
        connection.execute(f"PRAGMA user_version={VERSION}")


def _with_log(path: Path) -> tuple[Path, Path]:
    """A database, and beside it what was written last: https://www.sqlite.org/tempfiles.html"""
    return path, path.with_name(f"{path.name}-wal")


def _index(path: Path) -> Path:
    """Of a database's log. SQLite makes it anew, but not while somebody else has it open: a backup of the database that
    was there before."""
    return path.with_name(f"{path.name}-shm")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _locked(path: Path) -> int:
    """A lock that ends with the process, however that ends; its file stays, so that no two can lock different ones."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise _refused(path.parent, problem) from problem
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        holder = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        words = f"is in use by another gateway (process {holder}): stop that one, {_ELSEWHERE}"
        raise StateError(str(path.parent), words) from problem
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as problem:
        os.close(lock)
        raise _refused(path.parent, problem) from problem
    return lock


def _refused(place: Path, problem: OSError) -> StateError:
    way_out = room.to_free(problem, place) or "make it writable for this user"
    return StateError(str(place), f"can't be written ({problem.strerror}): {way_out}, {_ELSEWHERE}")
