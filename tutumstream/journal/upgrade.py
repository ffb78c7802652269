"""Brings a journal up to the form that this version knows: backs it up first, refuses what is newer or foreign."""

import os
import sqlite3
from pathlib import Path
from typing import Final, cast

from sqlalchemy import Connection
from twisted.logger import Logger

from tutumstream.errors import JournalError
from tutumstream.journal.schema import metadata

MIGRATIONS: Final = Path(__file__).with_name("migrations")

_TABLES: Final = r"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'"
"""Those that somebody made, not SQLite itself. SQLAlchemy's inspector takes ten times as long."""

_log = Logger()


def check_revision(connection: Connection, path: Path, migrations: Path = MIGRATIONS) -> str | None:
    """The revision that the journal is at, None for a new one. Changes nothing.

    Raises:
        JournalError: another program, or a newer version of this one, made it.
    """
    with connection.begin():
        tables = connection.exec_driver_sql(_TABLES).scalars().all()
        stamp = None
        if "alembic_version" in tables:
            stamp = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if stamp is None:
        if tables:
            raise JournalError(str(path), "is the database of another program: choose another state folder")
        return None
    revision = str(stamp)
    if revision not in revisions(migrations):
        problem = (
            f"was written by a newer version of tutumstream (its revision is {revision}): "
            "start that version, or choose another state folder"
        )
        raise JournalError(str(path), problem)
    return revision


def revisions(migrations: Path = MIGRATIONS) -> list[str]:
    """All that there are, the oldest first: `r0001_first.py` makes revision 0001."""
    return sorted(each.name[1:5] for each in (migrations / "versions").glob("r????_*.py"))


def upgrade(connection: Connection, path: Path, revision: str | None, migrations: Path = MIGRATIONS) -> None:
    """Bring it from `revision` to the newest, in one transaction; a copy of what was there stays beside it.

    A new journal is made of the tables as they are today. Alembic, and the memory that it takes, is for older ones.
    """
    head = revisions(migrations)[-1]
    if revision == head:
        return
    if revision is None:
        with connection.begin():
            metadata.create_all(connection)
            connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (head,))
        return
    copy = path.with_name(f"{path.name}.revision-{revision}")
    back_up(connection, copy)
    _migrate(connection, migrations)
    _log.info("Journal {path} upgraded to revision {head}; {copy} is how it was", path=path, head=head, copy=copy)


def driver(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection, for what SQLAlchemy has no words for."""
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def back_up(connection: Connection, copy: Path) -> None:
    """Copy the whole journal; the name is taken only when the copy is complete."""
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    # SQLite would make it readable by everybody.
    unfinished.touch(mode=0o600)
    target = sqlite3.connect(unfinished)
    try:
        driver(connection).backup(target)
        target.close()
        os.replace(unfinished, copy)
    finally:
        target.close()
        # Where it is there still, it was too large for the disk: the room is needed.
        unfinished.unlink(missing_ok=True)


def _migrate(connection: Connection, migrations: Path) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    # The option is a template in which a per cent sign stands for itself only when doubled.
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with connection.begin():
        command.upgrade(config, "head")
