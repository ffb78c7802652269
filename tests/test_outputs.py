"""Log lines reach whoever reads them, and harm nobody where nobody can."""

import os
import shutil
import stat
import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.outputs import FILE_BYTES, KEPT_FILES, KEPT_LINES, Apart, LogFile, Output, into, takes_at_once

LONG = 60.0
"""Seconds that no test takes."""


class Broken:
    """A pipe that nobody reads, or a disk that is full."""

    def __init__(self, problem: OSError) -> None:
        self.problem = problem
        self.tries = 0

    def write(self, _: bytes) -> int:
        self.tries += 1
        raise self.problem


class AnOutput(SynchronousTestCase):
    def test_that_knows_no_umlauts_shows_their_numbers(self) -> None:
        written: list[bytes] = []
        Output(written.append, "ascii").write("Ünïcode\n")
        self.assertEqual(written, [b"\\xdcn\\xefcode\n"])

    def test_that_was_closed_before_the_start_takes_nothing(self) -> None:
        Output(None).write("line\n")

    def test_that_nobody_reads_any_more_is_left_alone(self) -> None:
        pipe = Broken(BrokenPipeError())
        output = Output(pipe.write)
        output.write("line\n")
        output.write("line\n")
        self.assertEqual(pipe.tries, 1)

    def test_on_a_full_disk_is_tried_again_with_the_next_line(self) -> None:
        disk = Broken(OSError(28, "No space left on device"))
        output = Output(disk.write)
        output.write("line\n")
        output.write("line\n")
        self.assertEqual(disk.tries, 2)


class Reader:
    """Somebody who reads the log, or not, until all of the lines are there that are waited for."""

    def __init__(self, count: int = 1) -> None:
        self.lines: list[str] = []
        self.threads: set[int] = set()
        self.reads = threading.Event()
        self.has_all = threading.Event()
        self.left_out: list[int] = []
        self._count = count

    def take(self, line: str) -> None:
        self.reads.wait(LONG)
        self.lines.append(line)
        self.threads.add(threading.get_ident())
        if len(self.lines) >= self._count:
            self.has_all.set()


class LinesThatAreWrittenApart(SynchronousTestCase):
    def test_need_no_thread_where_they_are_taken_at_once(self) -> None:
        reader = Reader()
        reader.reads.set()
        Apart(reader.take, lambda _: True, reader.left_out.append, LONG).write("line")
        self.assertEqual((reader.lines, reader.threads), (["line"], {threading.get_ident()}))

    def test_are_there_when_they_were_written_where_somebody_reads(self) -> None:
        reader = Reader()
        reader.reads.set()
        apart = Apart(reader.take, lambda _: False, reader.left_out.append, LONG)
        for number in range(3):
            apart.write(f"line {number}")
            self.assertEqual(len(reader.lines), number + 1)

    def test_wait_for_one_who_does_not_read_and_keep_their_order(self) -> None:
        reader = Reader(3)
        ready = iter((False, True, True))
        apart = Apart(reader.take, lambda _: next(ready), reader.left_out.append, 0.0)
        for line in ("first", "second", "third"):
            apart.write(line)
        self.assertEqual(reader.lines, [])
        reader.reads.set()
        self.assertTrue(reader.has_all.wait(LONG))
        self.assertEqual(reader.lines, ["first", "second", "third"])

    def test_are_left_out_where_too_many_wait_and_that_is_told_once_they_are_read(self) -> None:
        reader = Reader(KEPT_LINES)
        apart = Apart(reader.take, lambda _: False, reader.left_out.append, 0.0)
        for number in range(KEPT_LINES + 5):
            apart.write(f"line {number}")
        reader.reads.set()
        self.assertTrue(reader.has_all.wait(LONG))
        self.assertEqual(reader.lines[-1], f"line {KEPT_LINES - 1}")
        while not reader.left_out:
            apart.write("after that")
        self.assertEqual(reader.left_out, [5])


class WhatIsTakenAtOnce(SynchronousTestCase):
    def setUp(self) -> None:
        self.reader, self.writer = os.pipe()
        self.addCleanup(os.close, self.reader)
        self.addCleanup(os.close, self.writer)
        self.at_once = takes_at_once(self.writer)

    def test_is_a_line_for_a_pipe_that_has_room(self) -> None:
        self.assertTrue(self.at_once("line\n"))
        into(self.writer)(b"line\n")
        self.assertEqual(os.read(self.reader, 100), b"line\n")

    def test_is_none_for_a_pipe_that_is_full_until_it_is_read(self) -> None:
        written = 0
        while self.at_once("x" * 4096):
            into(self.writer)(b"x" * 4096)
            written += 4096
        self.assertFalse(self.at_once("line\n"))
        os.read(self.reader, written)
        self.assertTrue(self.at_once("line\n"))

    def test_is_none_that_may_be_longer_than_the_room(self) -> None:
        self.assertFalse(self.at_once("x" * 4097))
        self.assertFalse(self.at_once("ü" * 410))

    def test_is_never_known_of_a_terminal(self) -> None:
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, theirs)
        self.assertFalse(takes_at_once(theirs)("line\n"))


class TheWayIntoAFile(SynchronousTestCase):
    def test_waits_for_room_though_the_file_itself_would_not(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        data = b"more than a pipe takes\n" * 10_000

        def write() -> None:
            with open(writer, "wb", buffering=0):
                into(writer)(data)

        thread = threading.Thread(target=write)
        thread.start()
        with open(reader, "rb") as file:
            self.assertEqual(file.read(), data)
        thread.join(LONG)


class ALogFile(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "twistd.log"
        self.path.write_bytes(b"before\n")
        self.path.chmod(0o640)
        self.log = LogFile(str(self.path))

    def aside(self, number: int) -> Path:
        return self.folder / f"twistd.log.{number}"

    def test_goes_on_at_its_end(self) -> None:
        self.log.write(b"line\n")
        self.assertEqual(self.path.read_bytes(), b"before\nline\n")

    def test_that_was_renamed_begins_anew_under_its_name_with_its_mode(self) -> None:
        self.path.rename(self.aside(1))
        self.log.write(b"line\n")
        self.assertEqual((self.aside(1).read_bytes(), self.path.read_bytes()), (b"before\n", b"line\n"))
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o640)

    def test_that_was_replaced_goes_on_in_the_new_one_and_leaves_its_mode(self) -> None:
        self.path.rename(self.aside(1))
        self.path.touch(0o600)
        self.log.write(b"line\n")
        self.assertEqual(self.path.read_bytes(), b"line\n")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_that_was_emptied_begins_at_its_beginning(self) -> None:
        os.truncate(self.path, 0)
        self.log.write(b"line\n")
        self.assertEqual(self.path.read_bytes(), b"line\n")

    def test_whose_folder_is_gone_is_still_written(self) -> None:
        shutil.rmtree(self.folder)
        self.log.write(b"line\n")
        self.folder.mkdir()
        self.log.write(b"next\n")
        self.assertEqual(self.path.read_bytes(), b"next\n")

    def test_that_is_large_is_put_aside(self) -> None:
        os.truncate(self.path, FILE_BYTES)
        self.log.write(b"line\n")
        self.assertEqual(self.path.read_bytes(), b"line\n")
        self.assertEqual(self.aside(1).stat().st_size, FILE_BYTES)

    def test_leaves_so_many_of_those_that_were_put_aside_and_no_more(self) -> None:
        for number in range(KEPT_FILES + 2):
            self.log.write(b"%d\n" % number)
            os.truncate(self.path, FILE_BYTES)
        self.log.write(b"last\n")
        self.assertEqual(len(list(self.folder.iterdir())), 1 + KEPT_FILES)
        self.assertTrue(self.aside(1).read_bytes().startswith(b"%d\n" % (KEPT_FILES + 1)))
        self.assertTrue(self.aside(KEPT_FILES).read_bytes().startswith(b"2"))
