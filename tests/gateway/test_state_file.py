import resource
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from unittest import skipIf

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests import locks
from tests.journal.places import an_ordinary_user
from tests.searching import searching
from tutumstream.errors import StateError
from tutumstream.gateway.saving import Change
from tutumstream.gateway.state_file import NAME, OLDEST, VERSION, StateFile

ROW = Change("one", "kind", "key", b"value")


class TestStateFile(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "deep" / "state"
        self.path = self.folder / NAME
        self.aside = self.folder / f"{NAME}.unusable"
        self.files: list[StateFile] = []
        self.addCleanup(lambda: [file.close() for file in self.files])

    def file(self) -> StateFile:
        self.files.append(StateFile(self.folder, patience=0.0))
        return self.files[-1]

    def write(self, *changes: Change) -> None:
        file = self.file()
        file.open()
        file.write(changes)
        file.close()

    def opened(self) -> tuple[dict[str, dict[tuple[str, str], bytes]], list[str]]:
        """What is in it, and what the log says."""
        with capturedLogs() as logs:
            kept = self.file().open()
        return {part: dict(rows) for part, rows in kept.items()}, [log["log_format"].format(**log) for log in logs]

    def grow_no_file_beyond(self, size: int) -> Callable[[], object]:
        """As on a full disk, in bytes; what ends it."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, before)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def put_beside_before(self) -> None:
        """Something is there from an earlier time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.aside.write_text("earlier")

    def assert_refused_and_untouched(self, *words: str) -> None:
        before = self.path.read_bytes() if self.path.is_file() else b""
        for _ in range(2):
            with self.assertRaises(StateError) as caught:
                self.file().open()
            for word in (str(self.path), "--state-dir", *words):
                self.assertIn(word, str(caught.exception))
        self.assertEqual(self.path.read_bytes() if self.path.is_file() else b"", before)
        self.assertEqual(self.aside.read_text(), "earlier")

    def assert_begun_anew(self, why: str) -> None:
        kept, (said,) = self.opened()
        self.assertEqual(kept, {})
        for word in (why, f"{NAME}.unusable", "is not told"):
            self.assertIn(word, said)
        self.assertTrue(self.aside.exists())
        self.files[-1].write([ROW])
        self.files[-1].close()
        self.assertEqual(self.opened(), ({"one": {("kind", "key"): b"value"}}, []))

    def test_the_first_time_there_is_nothing_and_only_we_may_read_it(self) -> None:
        self.assertEqual(self.opened(), ({}, []))
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode), 0o700)

    def test_what_is_written_is_there_after_a_kill(self) -> None:
        file = self.file()
        file.open()
        file.write([ROW, Change("one", "kind", "other", b"x")])
        file.write([Change("one", "kind", "other", None), Change("two", "", "", b"")])
        # A kill closes nothing; a copy of the files is what the next process finds.
        copy = self.folder.with_name("copy")
        copy.mkdir()
        for each in self.folder.glob(f"{NAME}*"):
            if not each.name.endswith((".lock", "-shm")):
                (copy / each.name).write_bytes(each.read_bytes())
        self.folder = copy
        self.assertEqual(self.opened(), ({"one": {("kind", "key"): b"value"}, "two": {("", ""): b""}}, []))

    def test_all_of_a_write_or_nothing(self) -> None:
        def broken() -> object:
            yield ROW
            raise ValueError("can't be encoded")

        file = self.file()
        file.open()
        with self.assertRaises(ValueError):
            file.write(broken())  # type: ignore[arg-type]  # a generator that ends early
        file.close()
        self.assertEqual(self.opened(), ({}, []))

    def test_what_is_closed_can_not_be_written(self) -> None:
        with self.assertRaises(sqlite3.Error):
            self.file().write([ROW])

    def test_no_two_gateways_keep_their_state_in_one_folder(self) -> None:
        self.file().open()
        with self.assertRaises(StateError) as caught:
            self.file().open()
        for word in (str(self.folder), "in use by another gateway (process ", "--state-dir"):
            self.assertIn(word, str(caught.exception))
        self.files[0].close()
        self.file().open()

    def test_what_is_there_need_not_be_renewed(self) -> None:
        file = self.file()
        file.open()
        file.write([ROW])
        self.assertFalse(file.renew())

    @skipIf(not locks.are_shown(), "this system does not show its locks")
    def test_what_was_looked_for_is_still_locked(self) -> None:
        file = self.file()
        file.open()
        file.write([ROW])
        file.renew()
        self.assertTrue(locks.is_held(self.path))

    def test_what_was_deleted_replaced_or_overwritten_is_renewed(self) -> None:
        def all_of_it() -> None:
            shutil.rmtree(self.folder)

        def another() -> None:
            all_of_it()
            self.write(Change("other", "", "", b""))

        for word, taken_away in (
            ("deleted", all_of_it),
            ("deleted", lambda: self.path.unlink()),
            ("deleted", lambda: self.path.with_name(f"{NAME}-wal").unlink()),
            ("deleted", lambda: self.path.with_name(f"{NAME}.lock").unlink()),
            ("replaced", another),
            ("overwritten", lambda: self.path.write_text("once upon a time")),
        ):
            file = self.file()
            file.open()
            taken_away()
            with capturedLogs() as logs:
                self.assertTrue(file.renew(), word)
            (line,) = (formatEvent(log) for log in logs)
            self.assertTrue(line.startswith(f"The state {self.path} was {word} while it is in use"), line)
            file.write([ROW])
            self.assertFalse(file.renew())
            with self.assertRaises(StateError):
                self.file().open()
            file.close()
            self.assertEqual(self.opened(), ({"one": {("kind", "key"): b"value"}}, []), word)
            self.files[-1].close()
            shutil.rmtree(self.folder)

    def test_what_is_only_out_of_reach_is_written_as_before(self) -> None:
        file = self.file()
        file.open()
        self.addCleanup(self.folder.chmod, 0o700)
        self.folder.chmod(0)
        with an_ordinary_user(), capturedLogs() as logs:
            self.assertFalse(file.renew())
            file.write([ROW])
        self.folder.chmod(0o700)
        self.assertEqual(list(logs), [])
        file.close()
        self.assertEqual(self.opened(), ({"one": {("kind", "key"): b"value"}}, []))

    def test_what_another_gateway_took_meanwhile_is_left_to_it_until_it_ends(self) -> None:
        file = self.file()
        file.open()
        shutil.rmtree(self.folder)
        other = self.file()
        other.open()
        for _ in range(2):
            with self.assertRaises(StateError) as caught:
                file.renew()
            self.assertIn("in use by another gateway", str(caught.exception))
        with self.assertRaises(sqlite3.Error):
            file.write([ROW])
        other.write([ROW])
        other.close()
        self.assertTrue(file.renew())
        self.assertTrue(self.aside.exists(), "what it wrote is put beside")

    def test_a_folder_that_can_not_be_made_is_told_with_the_way_out(self) -> None:
        self.folder.parent.parent.mkdir()
        self.folder.parent.write_text("a file")
        with self.assertRaises(StateError) as caught:
            self.file().open()
        for word in (str(self.folder), "can't be written", "--state-dir"):
            self.assertIn(word, str(caught.exception))

    def test_a_full_disk_a_lock_or_a_missing_permission_is_no_damage(self) -> None:
        def full() -> Callable[[], object]:
            return self.grow_no_file_beyond(100)

        def locked() -> Callable[[], object]:
            other = sqlite3.connect(self.path, isolation_level=None)
            self.addCleanup(other.close)
            other.execute("PRAGMA locking_mode=EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            return other.close

        def not_ours() -> Callable[[], object]:
            beside = self.path.with_name(f"{NAME}-wal")
            beside.mkdir()
            return beside.rmdir

        self.put_beside_before()
        self.write(ROW)
        for begins, words in (
            (full, ("the disk is full", "free some space")),
            (locked, ("locked by another program", "end what has it open")),
            (not_ours, ("can't be opened", "writable for this user")),
        ):
            ends = begins()
            self.assert_refused_and_untouched(*words)
            ends()
            self.assertEqual(self.opened(), ({"one": {("kind", "key"): b"value"}}, []))
            self.files[-1].close()

    def test_what_can_not_be_opened_at_all_is_no_damage(self) -> None:
        self.put_beside_before()
        self.path.symlink_to(self.path)
        self.assert_refused_and_untouched("can't be written (Too many levels of symbolic links)")

    def test_an_empty_file_is_new(self) -> None:
        self.put_beside_before()
        self.path.touch()
        self.assertEqual(self.opened(), ({}, []))
        self.assertEqual(self.aside.read_text(), "earlier")

    def test_what_is_damaged_stays_where_it_is_while_nothing_can_take_its_place(self) -> None:
        self.put_beside_before()
        self.path.write_text("once upon a time " * 100)
        ends = self.grow_no_file_beyond(100)
        self.assert_refused_and_untouched("not a database", "nor replaced (can't be")
        ends()
        self.assert_begun_anew("not a database")

    def test_what_is_put_beside_is_put_there_with_its_log_or_not_at_all(self) -> None:
        self.put_beside_before()
        self.path.write_text("once upon a time " * 100)
        in_the_way = self.aside.with_name(f"{self.aside.name}-wal")
        in_the_way.mkdir()
        with self.assertRaises(StateError):
            self.file().open()
        self.assertTrue(self.path.read_text().startswith("once"))
        in_the_way.rmdir()
        self.assert_begun_anew("not a database")

    def test_what_was_begun_anew_in_vain_replaces_nothing_that_was_put_beside(self) -> None:
        file = self.file()
        file.open()
        file.write([ROW])
        self.put_beside_before()
        shutil.copy(self.path, self.aside)
        good = self.aside.read_bytes()
        self.path.unlink()
        ends = self.grow_no_file_beyond(100)
        for _ in range(2):
            with self.assertRaises(StateError):
                file.renew()
        ends()
        # Begun, but nothing could be written.
        self.assertTrue(file.renew())
        file.close()
        self.assertTrue(file.renew())
        self.assertEqual(self.aside.read_bytes(), good)

    def test_what_is_no_database_is_put_aside(self) -> None:
        self.folder.mkdir(parents=True)
        self.path.write_text("once upon a time " * 100)
        self.assert_begun_anew("not a database")
        self.assertEqual(self.aside.read_text()[:4], "once")

    def test_what_is_cut_short_is_put_aside(self) -> None:
        self.write(*(Change("one", "kind", str(number), b"v" * 1000) for number in range(100)))
        content = self.path.read_bytes()
        self.path.write_bytes(content[: len(content) // 2 // 4096 * 4096])
        self.assert_begun_anew("")

    def test_what_a_newer_version_wrote_is_put_aside(self) -> None:
        self.write(ROW)
        with sqlite3.connect(self.path) as connection:
            connection.execute(f"PRAGMA user_version={VERSION + 1}")
        connection.close()
        self.assert_begun_anew("a newer version of tutumstream wrote it")

    def test_what_an_older_version_wrote_is_read_and_of_this_version_from_then_on(self) -> None:
        for version in range(OLDEST, VERSION):
            self.write(ROW)
            with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
                connection.execute(f"PRAGMA user_version={version}")
            self.assertEqual(self.opened(), ({"one": {("kind", "key"): b"value"}}, []))
            self.files[-1].close()
            with closing(sqlite3.connect(self.path)) as connection:
                self.assertEqual(connection.execute("PRAGMA user_version").fetchone(), (VERSION,))

    def test_somebody_elses_database_is_put_aside(self) -> None:
        self.folder.mkdir(parents=True)
        with sqlite3.connect(self.path) as connection:
            connection.execute("CREATE TABLE recipes (name)")
        connection.close()
        self.assert_begun_anew("no state of a gateway")

    def test_of_what_is_put_aside_the_latest_is_kept(self) -> None:
        self.folder.mkdir(parents=True)
        for text in ("first", "second"):
            self.path.write_text(text * 500)
            self.opened()
            self.files[-1].close()
        self.assertTrue(self.aside.read_text().startswith("second"))

    def test_a_folder_in_the_place_of_the_file_is_put_aside(self) -> None:
        self.path.mkdir(parents=True)
        self.assert_begun_anew("")

    def test_what_can_not_be_put_aside_either_ends_the_start(self) -> None:
        self.path.mkdir(parents=True)
        (self.aside / "full").mkdir(parents=True)
        with self.assertRaises(StateError) as caught:
            self.file().open()
        self.assertIn("move it away by hand", str(caught.exception))
        # And the lock is free again.
        (self.aside / "full").rmdir()
        self.aside.rmdir()
        self.opened()


@given(st.binary(max_size=300), st.integers(0, 20_000))
@searching(3)
def test_whatever_happens_to_the_file_the_gateway_starts(noise: bytes, place: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = StateFile(Path(folder))
        file.open()
        file.write(Change("one", "kind", str(number), b"v" * 200) for number in range(50))
        file.close()
        content = file.path.read_bytes()
        at = place % len(content)
        file.path.write_bytes(content[:at] + noise + content[at + len(noise) :])
        file.open()
        file.write([ROW])
        file.close()
        assert file.open()["one"]["kind", "key"] == b"value"
        file.close()
