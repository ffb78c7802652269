"""What says nothing against a file is told from damage. How each error reads: `journal/test_trouble.py`."""

import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.trouble import in_words, passing, trouble


def error(code: int) -> sqlite3.Error:
    problem = sqlite3.OperationalError("as SQLite says")
    problem.sqlite_errorcode = code
    return problem


class TroubleTests(SynchronousTestCase):
    def test_what_passes_is_no_damage(self) -> None:
        for code in (
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_IOERR_READ,
            sqlite3.SQLITE_IOERR_SHMSIZE,
            sqlite3.SQLITE_LOCKED,
            sqlite3.SQLITE_NOMEM,
            sqlite3.SQLITE_PERM,
            sqlite3.SQLITE_READONLY,
        ):
            self.assertEqual(passing(error(code)), trouble(error(code)) or "nothing", code)

    def test_damage_does_not_pass(self) -> None:
        for code in (sqlite3.SQLITE_CORRUPT_INDEX, sqlite3.SQLITE_NOTADB):
            self.assertEqual(passing(error(code)), "")
            self.assertIn("move the file away", trouble(error(code)))

    def test_no_room_for_the_shared_memory_is_a_full_disk(self) -> None:
        self.assertIn("the disk is full", passing(error(sqlite3.SQLITE_IOERR_SHMSIZE)))

    def test_a_mistake_is_neither(self) -> None:
        for problem in (error(sqlite3.SQLITE_ERROR), sqlite3.ProgrammingError("as SQLite says"), OSError(2, "x")):
            self.assertEqual((passing(problem), trouble(problem)), ("", ""))
        self.assertEqual(in_words(error(sqlite3.SQLITE_ERROR)), "does not work: as SQLite says")
