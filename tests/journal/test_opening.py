"""What stands in the way of opening a journal is told in one sentence that says what to do."""

import os
import resource
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.journal.places import NOBODY, a_folder, an_ordinary_user
from tutumstream.errors import JournalError
from tutumstream.journal.opening import file_of, open_file


class OpeningTests(SynchronousTestCase):
    """Each in a folder of its own."""

    def setUp(self) -> None:
        self.folder = a_folder(self)

    def refusal(self, place: Path | str) -> str:
        """Why it can't be opened; nothing may stay locked or open."""
        before = os.listdir("/proc/self/fd")
        words = str(self.assertRaises(JournalError, lambda: open_file(file_of(str(place)))))
        self.assertEqual(len(os.listdir("/proc/self/fd")), len(before))
        return words

    def test_its_folder_is_made_and_nobody_else_may_read_it(self) -> None:
        place = self.folder / "state" / "deeper" / "journal.sqlite3"
        file = open_file(file_of(str(place)))
        self.addCleanup(file.close)
        self.assertEqual(stat.S_IMODE(place.parent.stat().st_mode), 0o700)
        self.assertEqual(
            {each.name: stat.S_IMODE(each.stat().st_mode) for each in place.parent.iterdir()},
            {f"journal.sqlite3{end}": 0o600 for end in ("", ".lock", "-wal", "-shm")},
        )

    def test_it_is_set_up_to_lose_nothing(self) -> None:
        file = open_file(file_of(str(self.folder / "j")))
        self.addCleanup(file.close)
        pragmas = {"synchronous": 2, "foreign_keys": 1, "journal_mode": "wal", "busy_timeout": 2000, "auto_vacuum": 2}
        found = {name: file.connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas}
        self.assertEqual(found, pragmas)

    def test_a_second_holder_is_refused_until_the_first_lets_go(self) -> None:
        place = self.folder / "j"
        first = open_file(file_of(str(place)))
        words = self.refusal(place)
        self.assertIn(f"in use by another tutumstream (process {os.getpid()}): stop that one", words)
        first.close()
        open_file(file_of(str(place))).close()

    def test_a_lock_file_that_was_left_behind_is_no_hindrance(self) -> None:
        (self.folder / "j.lock").write_text("4194304999\n")
        open_file(file_of(str(self.folder / "j"))).close()
        self.assertEqual((self.folder / "j.lock").read_text(), f"{os.getpid()}\n")

    def test_a_folder_that_cannot_be_made(self) -> None:
        (self.folder / "file").touch()
        words = self.refusal(self.folder / "file" / "j")
        self.assertIn("its folder can't be made (File exists): make it by hand, or choose another", words)

    def test_a_folder_that_is_read_only(self) -> None:
        self.become_an_ordinary_user()
        self.folder.chmod(0o555)
        words = self.refusal(self.folder / "j")
        self.assertIn("its folder can't be written (Permission denied): make it writable, or choose another", words)

    def test_a_folder_that_must_not_be_made(self) -> None:
        self.become_an_ordinary_user()
        self.folder.chmod(0o555)
        words = self.refusal(self.folder / "deeper" / "j")
        self.assertIn("its folder can't be made (Permission denied): make it by hand, or choose another", words)

    def test_a_file_that_is_read_only(self) -> None:
        (self.folder / "j").touch()
        (self.folder / "j").chmod(0o444)
        self.become_an_ordinary_user()
        self.folder.chmod(0o777)
        self.assertIn(
            "can't be written (Permission denied): make it writable for this user", self.refusal(self.folder / "j")
        )

    def test_a_lock_that_is_somebody_elses(self) -> None:
        (self.folder / "j.lock").touch(0o400)
        self.become_an_ordinary_user()
        words = self.refusal(self.folder / "j")
        self.assertIn("j.lock beside it can't be written (Permission denied): make it writable, or choose", words)

    def test_a_disk_that_takes_no_more(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, before)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        words = self.refusal(self.folder / "j")
        self.assertIn("can't be read or written: check the disk", words)

    def become_an_ordinary_user(self) -> None:
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        self.enterContext(an_ordinary_user())

    def test_a_folder_in_its_place(self) -> None:
        (self.folder / "j").mkdir()
        self.assertIn(
            "is no file (Is a directory): move it away, or choose another state folder",
            self.refusal(self.folder / "j"),
        )

    def test_a_file_that_is_no_database(self) -> None:
        (self.folder / "j").write_bytes(b"Dear diary, " * 100)
        self.assertIn("is not a SQLite database: move the file away", self.refusal(self.folder / "j"))
        self.assertEqual((self.folder / "j").read_bytes(), b"Dear diary, " * 100)

    def test_a_damaged_journal(self) -> None:
        open_file(file_of(str(self.folder / "j"))).close()
        content = bytearray((self.folder / "j").read_bytes())
        content[100:108] = b"\xff" * 8
        (self.folder / "j").write_bytes(content)
        self.assertIn("is damaged: stop the service", self.refusal(self.folder / "j"))
        self.assertNotIn("rescued", self.refusal(self.folder / "j"))
        (self.folder / "j.rescued").touch()
        self.assertIn("; j.rescued beside it is what a service had in it", self.refusal(self.folder / "j"))

    def test_a_place_may_be_a_url(self) -> None:
        url = file_of("sqlite:////var/lib/tutumstream/j?timeout=0")
        self.assertEqual((url.database, url.query["timeout"]), ("/var/lib/tutumstream/j", "0"))
        self.assertEqual(file_of("j").database, str(Path("j").absolute()))

    def test_a_place_that_is_no_file_of_sqlite_is_refused_without_its_password(self) -> None:
        for place in ("postgresql://me:hunter2@db/x?password=hunter2", "sqlite://", "sqlite:///:memory:"):
            words = str(self.assertRaises(JournalError, file_of, place))
            self.assertIn("give the path of a file, or sqlite:///FILE", words)
            self.assertNotIn("hunter2", words)

    def test_a_place_that_is_no_url_is_refused_without_its_password(self) -> None:
        words = str(self.assertRaises(JournalError, file_of, "://me:hunter2@db"))
        self.assertIn("is not a database URL: give the path of a file", words)
        self.assertNotIn("hunter2", words)
