"""What SQLite's errors mean for the journal: trouble of the disk, which passes, or a mistake in what was asked."""

import sqlite3
from typing import Final

from sqlalchemy.exc import DBAPIError

from tutumstream.room import FULL

# Primary result codes, https://www.sqlite.org/rescode.html
_WORDS: Final = {
    sqlite3.SQLITE_BUSY: "is locked by another program: end what has it open",
    sqlite3.SQLITE_LOCKED: "is locked by another program: end what has it open",
    sqlite3.SQLITE_NOMEM: "needs more memory than there is",
    sqlite3.SQLITE_READONLY: "is read-only: make the file and its folder writable for this user",
    sqlite3.SQLITE_PERM: "is not accessible: make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "can't be opened: make sure that its folder exists and is writable for this user",
    sqlite3.SQLITE_IOERR: "can't be read or written: check the disk and the system's log",
    sqlite3.SQLITE_FULL: "can't grow, the disk is full: free some space",
    sqlite3.SQLITE_PROTOCOL: "can't be locked: keep it on a local disk, not on a network share",
    sqlite3.SQLITE_CORRUPT: "is damaged: stop the service, then restore a copy or move the file away to begin anew",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database: move the file away or choose another state folder",
}


def trouble(problem: BaseException) -> str:
    """What is wrong with the disk or the file, and what to do; "" where the error has another cause."""
    return _WORDS.get(_code(problem), "")


def cannot_open(problem: BaseException) -> bool:
    """Whether SQLite could not open, or make, one of its files; it does not say why, nor which."""
    return _code(problem) == sqlite3.SQLITE_CANTOPEN


def _code(problem: BaseException) -> int:
    """SQLite's primary result code; 0 for what is none of its errors."""
    cause = problem.orig if isinstance(problem, DBAPIError) else problem
    code: int = getattr(cause, "sqlite_errorcode", 0) if isinstance(cause, sqlite3.Error) else 0
    # No room for the -shm file, which is a kind of SQLITE_IOERR. Else an extended code keeps its primary one in the low
    # byte.
    return sqlite3.SQLITE_FULL if code == sqlite3.SQLITE_IOERR_SHMSIZE else code & 0xFF


def in_words(problem: BaseException) -> str:
    """Whatever it is, on one line; never the SQL or its values, which hold what events said."""
    known = trouble(problem)
    if known:
        return known
    if isinstance(problem, DBAPIError):
        return f"does not work: {problem.orig}"
    if isinstance(problem, OSError):
        if problem.errno in FULL:
            return _WORDS[sqlite3.SQLITE_FULL]
        return f"can't be used: {problem.strerror or problem}"
    return f"does not work: {type(problem).__name__}: {problem}"
