"""Which journals are taken, how they are brought up to date, and that the tables are what the code thinks."""

import resource
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, inspect
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.journal.places import a_folder, an_empty_journal
from tutumstream.errors import JournalError
from tutumstream.journal.objects import ObjectState
from tutumstream.journal.opening import file_of, open_file
from tutumstream.journal.schema import metadata
from tutumstream.journal.sql import SqlJournal
from tutumstream.journal.upgrade import MIGRATIONS, check_revision, revisions, upgrade
from tutumstream.journal.worker import InlineWorker
from tutumstream.routing.delivery import Incident

TODAY = revisions()[-1]

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{today}"


def upgrade() -> None:
    op.add_column("events", sa.Column("colour", sa.Text))
    {more}
"""


def migrate(connection: Connection, revision: str) -> None:
    """Bring a journal to this revision, as the versions of then did."""
    # Alembic takes long to import: not while nothing else can run.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def compared(connection: Connection) -> tuple[list[Any], str | None]:
    """In what a journal's tables are others than those of today, and its revision."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"compare_server_default": True})
    return compare_metadata(context, metadata), context.get_current_revision()


class UpgradeTests(SynchronousTestCase):
    """With a further revision that exists only here."""

    def setUp(self) -> None:
        self.folder = a_folder(self)
        self.path = self.folder / "journal.sqlite3"

    def made(self) -> None:
        """A journal of today, with an event in it."""
        file = open_file(file_of(str(an_empty_journal(self.path))))
        with file.connection.begin():
            file.connection.exec_driver_sql("INSERT INTO events VALUES (1, 'a', 1.0, 0, '{}')")
        file.close()

    def migrations(self, more: str = "") -> Path:
        """Ours, and one that comes after."""
        copy = self.folder / "100% of the migrations"
        shutil.copytree(MIGRATIONS, copy)
        (copy / "versions" / "r9999_next.py").write_text(NEXT.format(more=more, today=TODAY))
        return copy

    def connect(self) -> Connection:
        """The file, as it is."""
        connection = create_engine(f"sqlite:///{self.path}").connect()
        self.addCleanup(connection.close)
        return connection

    def test_the_migrations_make_the_tables_that_the_code_thinks_of(self) -> None:
        connection = self.connect()
        with connection.begin():
            migrate(connection, "head")
        self.assertEqual(compared(connection), ([], TODAY))

    def test_a_new_journal_is_like_one_that_was_migrated_all_the_way(self) -> None:
        self.made()
        self.assertEqual(compared(self.connect()), ([], TODAY))

    def test_a_journal_of_the_first_revision_is_kept_whole(self) -> None:
        connection = self.connect()
        with connection.begin():
            migrate(connection, "0001")
            connection.exec_driver_sql(
                'INSERT INTO events VALUES (1, \'a\', 7.5, 2, \'{"id":"a","received_at":7.5,"type":"node"}\')'
            )
            connection.exec_driver_sql(
                "INSERT INTO deliveries (seq, event_seq, ordinal, destination, route, reason, ordering_key,"
                " incident_action, incident_key) VALUES (1, 1, 1, 'pagerduty', 'r', 'why', 'k', 'trigger', 'k'),"
                " (2, 1, 2, 'slack', 'r', 'why', 'k', NULL, NULL)"
            )
        connection.close()
        journal = SqlJournal(self.path, InlineWorker(), Clock())
        self.successResultOf(journal.open())
        (page,) = self.successResultOf(journal.pending("pagerduty", 0, 9, urgent=True))
        (told,) = self.successResultOf(journal.pending("slack", 0, 9))
        self.assertEqual(
            (page.born_at, page.delivery.urgent, page.delivery.incident), (7.5, True, Incident("trigger", "k"))
        )
        self.assertEqual((told.born_at, told.delivery.urgent), (7.5, False))
        self.successResultOf(journal.close())

    def test_a_journal_of_the_second_revision_knows_its_dead_letters_and_its_index_is_of_today(self) -> None:
        connection = self.connect()
        with connection.begin():
            migrate(connection, "0002")
            for statement in (
                # As the first journals of this revision have it.
                "DROP INDEX urgent",
                "CREATE INDEX urgent ON deliveries (destination, seq) WHERE settled_at IS NULL AND urgent = 1",
                'INSERT INTO events VALUES (1, \'a-b\', 7.5, 2, \'{"id":"a-b","received_at":7.5,"type":"node"}\')',
                "INSERT INTO deliveries (seq, event_seq, ordinal, destination, route, reason, ordering_key, settled_at)"
                " VALUES (1, 1, 1, 'slack', 'r', 'why', 'k', 9.0), (2, 1, 2, 'slack', 'r', 'why', 'k', 9.0)",
                "INSERT INTO dead_letters VALUES (1, 2, 'rejected', 'it answered 400', '', 9.0)",
                "INSERT INTO standings VALUES ('slack', 'held', 5.0, 0.0, ''), ('webhook', 'failing', 5.0, 0.0, '')",
            ):
                connection.exec_driver_sql(statement)
        connection.close()
        journal = SqlJournal(self.path, InlineWorker(), Clock())
        self.successResultOf(journal.open())
        (found,) = self.successResultOf(journal.dead_letters_named(["a-b-2", "a-b-1"]))
        self.assertEqual((found.pending.seq, found.reason), (2, "it answered 400"))
        stood = self.successResultOf(journal.standings())
        self.assertEqual((stood["slack"].told, stood["webhook"].told), (True, False))
        self.successResultOf(journal.close())
        (index,) = [each for each in inspect(self.connect()).get_indexes("deliveries") if each["name"] == "urgent"]
        self.assertEqual(index["column_names"], ["destination", "urgent", "seq"])

    def test_a_journal_of_the_fourth_revision_keeps_its_states_and_knows_of_no_health(self) -> None:
        connection = self.connect()
        with connection.begin():
            migrate(connection, "0004")
            connection.exec_driver_sql("INSERT INTO states VALUES ('/a/', 'container', 'Running', '[\"/s/\"]', 7.5)")
        connection.close()
        journal = SqlJournal(self.path, InlineWorker(), Clock())
        self.successResultOf(journal.open())
        states = self.successResultOf(journal.states())
        self.assertEqual(states, [ObjectState("/a/", "container", "Running", ("/s/",), 7.5)])
        self.successResultOf(journal.close())

    def test_a_new_journal_has_no_revision_and_gets_no_copy(self) -> None:
        connection = self.connect()
        self.assertIsNone(check_revision(connection, self.path))
        upgrade(connection, self.path, None)
        self.assertEqual([each.name for each in self.folder.iterdir()], ["journal.sqlite3"])
        self.assertEqual(check_revision(connection, self.path), TODAY)

    def test_one_of_today_is_left_alone(self) -> None:
        self.made()
        upgrade(self.connect(), self.path, TODAY)
        self.assertEqual([each.name for each in self.folder.iterdir() if "revision" in each.name], [])

    def test_an_older_one_is_copied_and_then_upgraded(self) -> None:
        self.made()
        connection = self.connect()
        with capturedLogs() as logged:
            upgrade(connection, self.path, TODAY, self.migrations())
        [line] = [formatEvent(each) for each in logged]
        self.assertIn("upgraded to revision 9999", line)
        self.assertIn(f"{self.folder / f'journal.sqlite3.revision-{TODAY}'} is how it was", line)
        self.assertIn("colour", [each["name"] for each in inspect(connection).get_columns("events")])
        kept = sqlite3.connect(self.folder / f"journal.sqlite3.revision-{TODAY}")
        self.addCleanup(kept.close)
        self.assertEqual(kept.execute("SELECT * FROM events").fetchall(), [(1, "a", 1.0, 0, "{}")])

    def test_what_an_upgrade_left_behind_that_was_killed_is_no_hindrance(self) -> None:
        self.made()
        (self.folder / f"journal.sqlite3.revision-{TODAY}.unfinished").write_bytes(b"half a copy" * 1000)
        upgrade(self.connect(), self.path, TODAY, self.migrations())
        names = [each.name for each in self.folder.iterdir() if "revision" in each.name]
        self.assertEqual(names, [f"journal.sqlite3.revision-{TODAY}"])

    def test_a_copy_that_the_disk_has_no_room_for_changes_nothing_and_leaves_nothing(self) -> None:
        self.made()
        file = open_file(file_of(str(self.path)))
        self.addCleanup(file.close)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, before)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        self.assertRaises(sqlite3.Error, upgrade, file.connection, self.path, TODAY, self.migrations())
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        self.assertEqual([each.name for each in self.folder.iterdir() if "revision" in each.name], [])
        self.assertEqual(check_revision(file.connection, self.path), TODAY)

    def test_an_upgrade_that_fails_leaves_the_journal_as_it_was(self) -> None:
        self.made()
        file = open_file(file_of(str(self.path)))
        self.addCleanup(file.close)
        migrations = self.migrations(more="raise ValueError('half way')")
        self.assertRaises(ValueError, upgrade, file.connection, self.path, TODAY, migrations)
        self.assertEqual(check_revision(file.connection, self.path), TODAY)
        self.assertNotIn("colour", [each["name"] for each in inspect(file.connection).get_columns("events")])

    def test_a_newer_one_is_refused_and_not_touched(self) -> None:
        self.made()
        upgrade(self.connect(), self.path, TODAY, self.migrations())
        self.connect().close()
        before = self.path.read_bytes()
        refusal = self.assertRaises(JournalError, open_file, file_of(str(self.path)))
        self.assertIn("newer version of tutumstream (its revision is 9999): start that version", str(refusal))
        self.assertEqual(self.path.read_bytes(), before)

    def test_the_database_of_another_program_is_refused_and_not_touched(self) -> None:
        with sqlite3.connect(self.path) as other:
            other.execute("CREATE TABLE recipes (name)")
        other.close()
        before = self.path.read_bytes()
        refusal = self.assertRaises(JournalError, open_file, file_of(str(self.path)))
        self.assertIn("another program: choose another state folder", str(refusal))
        self.assertEqual(self.path.read_bytes(), before)
