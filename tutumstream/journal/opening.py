"""Opens the journal's file, and makes sure that this process is the only one to have it open.

Whatever stands in the way is told in one sentence that says what to do.
"""

import fcntl
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from tutumstream import room
from tutumstream.errors import JournalError, JournalInUseError
from tutumstream.journal.reads import last_seqs
from tutumstream.journal.trouble import cannot_open, in_words
from tutumstream.journal.upgrade import back_up, check_revision, driver, upgrade
from tutumstream.place import Place

BUSY_TIMEOUT: Final = 2
"""Seconds to wait for another program that holds the file for a moment: an operator who looks into it."""

_PRAGMAS: Final = (
    # Means something to a new file only, and before anything is written. It lets `pruning` give room back.
    "auto_vacuum=INCREMENTAL",
    "foreign_keys=ON",
    # Every commit is on the platter, not only in the kernel: https://www.sqlite.org/pragma.html#pragma_synchronous
    "synchronous=FULL",
    "journal_mode=WAL",
    "journal_size_limit=67108864",
)


@dataclass(frozen=True, slots=True)
class OpenFile:
    """An open journal; to be used in the thread that opened it.

    Attributes:
        event_seq, delivery_seq: the last that were given out.
    """

    place: Place
    connection: Connection
    event_seq: int
    delivery_seq: int
    _held: ExitStack

    @property
    def path(self) -> Path:
        """Of the journal."""
        return self.place.path

    def rescue(self) -> Path | None:
        """Write all of it to where it was, or beside what is there now; None where nothing is wrong with the place.

        Raises:
            OSError, sqlite3.Error: that can't be done.
        """
        if self.place.is_ours:
            return None
        path = self.path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = _rescued(path) if path.exists() else path
        back_up(self.connection, copy)
        return copy

    def close(self) -> None:
        """Let go of the file, then of the lock."""
        self._held.close()
        self.place.close()


def file_of(place: str) -> URL:
    """The URL of a journal that is given as a path or as a SQLAlchemy URL.

    Raises:
        JournalError: it is no file of SQLite.
    """
    if "://" not in place:
        return URL.create("sqlite", database=str(Path(place).absolute()))
    try:
        url = make_url(place)
    except ArgumentError:
        raise JournalError(
            place.partition("://")[0] + "://…", "is not a database URL: give the path of a file"
        ) from None
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        shown = url.set(query={}).render_as_string(hide_password=True)
        raise JournalError(shown, "can't be used: give the path of a file, or sqlite:///FILE")
    return url.set(database=str(Path(url.database or "").absolute()))


def open_file(url: URL) -> OpenFile:
    """Create or open it, upgraded where it is older.

    Raises:
        JournalInUseError: another process has it.
        JournalError: it can't be used.
    """
    path = Path(url.database or "")
    with ExitStack() as held:
        try:
            _make_folder(path)
            held.callback(os.close, _lock(path))
            _make_file(path)
            connection = held.enter_context(_engine(url).connect())
            revision = check_revision(connection, path)
            for pragma in _PRAGMAS:
                driver(connection).execute(f"PRAGMA {pragma}")
            upgrade(connection, path, revision)
            with connection.begin():
                event_seq, delivery_seq = last_seqs(connection)
        except JournalError:
            raise
        except Exception as problem:
            if cannot_open(problem) and (full := room.lack(path.parent)):
                raise _refusal(path, "can't get another file beside it", full, "") from problem
            raise JournalError(str(path), in_words(problem) + _and_rescued(path)) from problem
        return OpenFile(Place(path), connection, event_seq, delivery_seq, held.pop_all())


def _rescued(path: Path) -> Path:
    return path.with_name(f"{path.name}.rescued")


def _and_rescued(path: Path) -> str:
    """Where a service wrote what was in the journal before that was overwritten under it; "" where none did."""
    rescued = _rescued(path)
    return f"; {rescued.name} beside it is what a service had in it: move that here" if rescued.exists() else ""


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise _refusal(path, "its folder can't be made", problem, "make it by hand") from problem


def _make_file(path: Path) -> None:
    """SQLite would make it readable by everybody, and open a read-only one without a word."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except IsADirectoryError as problem:
        raise _refusal(path, "is no file", problem, "move it away") from problem
    except OSError as problem:
        raise _refusal(path, "can't be written", problem, "make it writable for this user") from problem


def _refusal(path: Path, what: str, problem: OSError, way_out: str) -> JournalError:
    way_out = room.to_free(problem, path.parent) or way_out
    return JournalError(str(path), f"{what} ({problem.strerror}): {way_out}, or choose another state folder")


def _lock(path: Path) -> int:
    """A lock that ends with the process, however that ends; the file stays, so that no two can lock different ones."""
    file = Path(f"{path}.lock")
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        what = f"{file.name} beside it" if os.path.exists(file) else "its folder"
        raise _refusal(path, f"{what} can't be written", problem, "make it writable") from problem
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        holder = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        words = f"is in use by another tutumstream (process {holder}): stop that one, or choose another state folder"
        raise JournalInUseError(str(path), words) from problem
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        os.close(lock)
        raise
    return lock


def _engine(url: URL) -> Engine:
    if "timeout" not in url.query:
        url = url.update_query_dict({"timeout": str(BUSY_TIMEOUT)})
    engine = create_engine(url, poolclass=NullPool, connect_args={"isolation_level": None})

    # Left alone, the driver begins a transaction late, at the first change, and none for DDL:
    # https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine
