"""Trouble of the disk is told from mistakes, in words that say what to do."""

import errno
import sqlite3

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from twisted.trial.unittest import SynchronousTestCase

from tests.journal.places import a_folder
from tutumstream.journal.trouble import in_words, trouble


class TroubleTests(SynchronousTestCase):
    """Errors are made by SQLite itself."""

    def raised(self, *statements: str, database: str = "") -> DBAPIError:
        """What the last of these statements raises."""
        engine = create_engine(f"sqlite:///{database}", connect_args={"timeout": 0})
        self.addCleanup(engine.dispose)

        def run(connection: Connection) -> None:
            for statement in statements:
                connection.execute(text(statement))

        with engine.connect() as connection:
            problem: DBAPIError = self.assertRaises(DBAPIError, run, connection)
            return problem

    def test_a_full_disk(self) -> None:
        problem = self.raised("CREATE TABLE t (x)", "PRAGMA max_page_count=2", "INSERT INTO t VALUES (zeroblob(90000))")
        self.assertEqual(trouble(problem), "can't grow, the disk is full: free some space")

    def test_a_full_disk_by_the_system_s_own_words(self) -> None:
        for code in (errno.ENOSPC, errno.EDQUOT):
            self.assertEqual(in_words(OSError(code, "x")), "can't grow, the disk is full: free some space")

    def test_a_read_only_database(self) -> None:
        problem = self.raised("PRAGMA query_only=ON", "CREATE TABLE t (x)")
        self.assertIn("is read-only: make the file", trouble(problem))

    def test_a_file_that_is_no_database(self) -> None:
        file = a_folder(self) / "j"
        file.write_bytes(b"Dear diary, " * 100)
        self.assertIn("is not a SQLite database: move", trouble(self.raised("CREATE TABLE t (x)", database=str(file))))

    def test_a_folder_in_its_place(self) -> None:
        self.assertIn(
            "can't be opened: make sure", trouble(self.assertRaises(sqlite3.Error, sqlite3.connect, a_folder(self)))
        )

    def test_a_damaged_file(self) -> None:
        file = a_folder(self) / "j"
        with sqlite3.connect(file) as whole:
            whole.execute("CREATE TABLE t (x)")
        whole.close()
        content = bytearray(file.read_bytes())
        content[100:108] = b"\xff" * 8
        file.write_bytes(content)
        self.assertIn("is damaged: stop the service", trouble(self.raised("SELECT * FROM t", database=str(file))))

    def test_a_lock_held_by_another(self) -> None:
        file = a_folder(self) / "j"
        other = sqlite3.connect(file, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN EXCLUSIVE")
        self.assertIn("is locked by another program", trouble(self.raised("CREATE TABLE t (x)", database=str(file))))

    def test_a_mistake_is_no_trouble_and_shows_neither_statement_nor_values(self) -> None:
        problem = self.raised("SELECT 'confidential' FROM nowhere")
        self.assertEqual(trouble(problem), "")
        self.assertEqual(in_words(problem), "does not work: no such table: nowhere")

    def test_other_errors_are_told_by_name(self) -> None:
        self.assertEqual(in_words(OSError(13, "Permission denied")), "can't be used: Permission denied")
        self.assertEqual(in_words(ValueError("odd")), "does not work: ValueError: odd")
        self.assertEqual(trouble(ValueError("odd")), "")
