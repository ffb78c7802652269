"""Brings a journal up to the form that this version knows: backs it up first, refuses what is newer or foreign."""

import os
import sqlite3
from pathlib import Path
from typing import Final, cast

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect
from twisted.logger import Logger

from tutumstream.errors import JournalError

MIGRATIONS: Final = Path(__file__).with_name("migrations")

_log = Logger()


def check_revision(connection: Connection, path: Path, migrations: Path = MIGRATIONS) -> str | None:
    """The revision that the journal is at, None for a new one. Changes nothing.

    Raises:
        JournalError: another program, or a newer version of this one, made it.
    """
    with connection.begin():
        revision = MigrationContext.configure(connection).get_current_revision()
        tables = inspect(connection).get_table_names()
    if revision is None:
        if tables:
            raise JournalError(str(path), "is the database of another program: choose another state folder")
        return None
    if revision not in {each.revision for each in ScriptDirectory.from_config(_config(migrations)).walk_revisions()}:
        problem = (
            f"was written by a newer version of tutumstream (its revision is {revision}): "
            "start that version, or choose another state folder"
        )
        raise JournalError(str(path), problem)
    return revision


def upgrade(connection: Connection, path: Path, revision: str | None, migrations: Path = MIGRATIONS) -> None:
    """Bring it from `revision` to the newest, in one transaction; a copy of what was there stays beside it."""
    config = _config(migrations)
    head = ScriptDirectory.from_config(config).get_current_head()
    if revision == head:
        return
    copy = path.with_name(f"{path.name}.revision-{revision}")
    if revision is not None:
        _back_up(connection, copy)
    config.attributes["connection"] = connection
    with connection.begin():
        command.upgrade(config, "head")
    if revision is not None:
        _log.info("Journal {path} upgraded to revision {head}; {copy} is how it was", path=path, head=head, copy=copy)


def driver(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection, for what SQLAlchemy has no words for."""
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def _back_up(connection: Connection, copy: Path) -> None:
    """Copy the whole journal; the name is taken only when the copy is complete."""
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    target = sqlite3.connect(unfinished)
    try:
        driver(connection).backup(target)
    finally:
        target.close()
    os.replace(unfinished, copy)


def _config(migrations: Path) -> Config:
    config = Config()
    # The option is a template in which a per cent sign stands for itself only when doubled.
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
