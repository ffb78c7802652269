"""What errors of SQLite and of the disk mean: trouble that passes, damage, or a mistake in what was asked."""

import sqlite3
from typing import Final

from tutumstream.room import FULL

# Primary result codes, https://www.sqlite.org/rescode.html
_PASSING: Final = {
    sqlite3.SQLITE_BUSY: "is locked by another program: end what has it open",
    sqlite3.SQLITE_LOCKED: "is locked by another program: end what has it open",
    sqlite3.SQLITE_NOMEM: "needs more memory than there is",
    sqlite3.SQLITE_READONLY: "is read-only: make the file and its folder writable for this user",
    sqlite3.SQLITE_PERM: "is not accessible: make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "can't be opened: make sure that its folder exists and is writable for this user",
    sqlite3.SQLITE_IOERR: "can't be read or written: check the disk and the system's log",
    sqlite3.SQLITE_FULL: "can't grow, the disk is full: free some space",
    sqlite3.SQLITE_PROTOCOL: "can't be locked: keep it on a local disk, not on a network share",
}
_DAMAGE: Final = {
    sqlite3.SQLITE_CORRUPT: "is damaged: stop the service, then restore a copy or move the file away to begin anew",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database: move the file away or choose another state folder",
}


def trouble(problem: BaseException) -> str:
    """What is wrong with the disk or the file, and what to do; "" where the error has another cause."""
    return passing(problem) or _DAMAGE.get(_code(problem), "")


def passing(problem: BaseException) -> str:
    """The same of what says nothing against the contents of the file: they are as good as ever once it is over."""
    return _PASSING.get(_code(problem), "")


def cannot_open(problem: BaseException) -> bool:
    """Whether SQLite could not open, or make, one of its files; it does not say why, nor which."""
    return _code(problem) == sqlite3.SQLITE_CANTOPEN


def in_words(problem: BaseException) -> str:
    """Whatever it is, on one line."""
    known = trouble(problem)
    if known:
        return known
    if isinstance(problem, sqlite3.Error):
        return f"does not work: {problem}"
    if isinstance(problem, OSError):
        if problem.errno in FULL:
            return _PASSING[sqlite3.SQLITE_FULL]
        return f"can't be used: {problem.strerror or problem}"
    return f"does not work: {type(problem).__name__}: {problem}"


def _code(problem: BaseException) -> int:
    """SQLite's primary result code; 0 where it has none."""
    code = getattr(problem, "sqlite_errorcode", 0) if isinstance(problem, sqlite3.Error) else 0
    # No room for the -shm file, which is a kind of SQLITE_IOERR. Else an extended code keeps its primary one in the low
    # byte.
    return sqlite3.SQLITE_FULL if code == sqlite3.SQLITE_IOERR_SHMSIZE else code & 0xFF
