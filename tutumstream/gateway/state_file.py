"""The file in which the gateway keeps its state: one small SQLite database, and a lock that only one gateway can hold.

A transaction is all of one moment or nothing, whenever the process is killed. What can't be used is put beside it and
the start goes on without: the state saves news, it is never worth being without a gateway.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from twisted.logger import Logger

from tutumstream.errors import StateError
from tutumstream.gateway.saving import Change, Row
from tutumstream.place import Place

NAME: Final = "gateway.sqlite3"
VERSION: Final = 1
"""Of the form of what is in it; every change of that form, the rows' own too, needs another."""

BUSY_TIMEOUT: Final = 2.0
"""Seconds to wait for somebody who looks into it."""

_ELSEWHERE: Final = "or choose another folder with --state-dir (TUTUMGATEWAY_STATE_DIR)"
_TABLE: Final = (
    "CREATE TABLE kept (part TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, "
    "PRIMARY KEY (part, kind, key)) WITHOUT ROWID"
)
_FILES: Final = ("", "-wal", "-shm")
"""SQLite's: https://www.sqlite.org/tempfiles.html"""


class StateFile:
    """The file in this folder, which is made where it is missing."""

    log = Logger()

    def __init__(self, folder: Path) -> None:
        self.path: Final = folder / NAME
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._place: Place | None = None

    def open(self) -> Mapping[str, Mapping[Row, bytes]]:
        """Everything that was written, by part; nothing where that is of no use.

        Raises:
            StateError: nothing can be kept there, or another gateway keeps its own there.
        """
        self._lock = _locked(self.path)
        try:
            return self._read()
        except (sqlite3.Error, OSError, ValueError) as problem:
            return self.set_aside(str(problem))

    def set_aside(self, why: str) -> Mapping[str, Mapping[Row, bytes]]:
        """What was written is of no use: put it beside, in the place of what was put there before, and begin anew.

        Raises:
            StateError: that can't be done.
        """
        kept = self._begin_anew(why)
        self.log.error(
            "The state of before can't be used ({why}) and is {aside} now. So what happened while no gateway ran is "
            "not told; all that happens from now on is",
            why=why,
            aside=self._aside,
        )
        return kept

    def renew(self) -> bool:
        """Begin anew where what was opened is not there any more, or not open; whether that was so. What lies there
        instead is put beside.

        Raises:
            StateError: nothing can be kept there now, or another gateway keeps its own there.
        """
        problem = self._place.problem() if self._place is not None else ""
        if self._connection is not None and not problem:
            return False
        self.close()
        self._lock = _locked(self.path)
        self._begin_anew(problem)
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

    def _begin_anew(self, why: str) -> Mapping[str, Mapping[Row, bytes]]:
        """With an empty file; what lies there is put beside, in the place of what was put there before."""
        self._disconnect()
        aside = self._aside
        try:
            files = [suffix for suffix in _FILES if self.path.with_name(NAME + suffix).exists()]
            for suffix in _FILES if files else ():
                aside.with_name(aside.name + suffix).unlink(missing_ok=True)
            for suffix in files:
                self.path.with_name(NAME + suffix).replace(aside.with_name(aside.name + suffix))
            return self._read()
        except (sqlite3.Error, OSError) as problem:
            self.close()
            raise StateError(
                str(self.path), f"can't be used ({why}), nor replaced ({problem}): move it away by hand, {_ELSEWHERE}"
            ) from problem

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        place, self._place = self._place, None
        if place is not None:
            place.close()

    def _read(self) -> Mapping[str, Mapping[Row, bytes]]:
        # SQLite would make it readable by everybody.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # Whatever thread writes, it does so alone.
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        self._connection = connection
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise ValueError(f"it is damaged: {found}")
        ((version,), (tables,)) = (
            connection.execute("PRAGMA user_version").fetchone(),
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone(),
        )
        if tables == 0 and version == 0:
            connection.execute("PRAGMA journal_mode=WAL")
            with _transaction(connection):
                connection.execute(_TABLE)
                connection.execute(f"PRAGMA user_version={VERSION}")
        elif version > VERSION:
            raise ValueError(
                f"a newer version of tutumstream wrote it, in form {version}, and this one knows {VERSION}"
            )
        elif version != VERSION:
            raise ValueError("it is no state of a gateway")
        # On the disk, not only in the kernel: https://www.sqlite.org/pragma.html#pragma_synchronous
        connection.execute("PRAGMA synchronous=FULL")
        kept: dict[str, dict[Row, bytes]] = {}
        for part, kind, key, value in connection.execute("SELECT part, kind, key, value FROM kept"):
            kept.setdefault(part, {})[kind, key] = value
        self._place = Place(self.path)
        return kept


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
        words = f"can't be written ({problem.strerror}): make it writable for this user, {_ELSEWHERE}"
        raise StateError(str(path.parent), words) from problem
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
        words = f"can't be written ({problem.strerror}): make room there, {_ELSEWHERE}"
        raise StateError(str(path.parent), words) from problem
    return lock
