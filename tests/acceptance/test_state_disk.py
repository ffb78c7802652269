"""The gateway's state on a disk that is really full, or has no inode left."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.small_disk import small_disk
from tutumstream.errors import StateError
from tutumstream.gateway.saving import Change
from tutumstream.gateway.state_file import StateFile

pytestmark = pytest.mark.acceptance

KEPT = {"one": {("kind", "key"): b"value"}}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """With a state in it, on a file system of 1 MiB."""
    with small_disk(tmp_path / "disk", "1m"):
        state = StateFile(tmp_path / "disk" / "state")
        state.open()
        state.write([Change("one", "kind", "key", b"value")])
        state.close()
        yield tmp_path / "disk" / "state"


def refused(folder: Path) -> str:
    """Why it can't be opened."""
    with pytest.raises(StateError) as caught:
        StateFile(folder).open()
    return str(caught.value)


def assert_kept(folder: Path) -> None:
    state = StateFile(folder)
    assert state.open() == KEPT
    state.close()
    assert not list(folder.glob("*.unusable*"))


def test_a_full_disk_ends_the_start_and_the_state_stays(folder: Path) -> None:
    rest = folder.parent / "somebody-elses"
    for left in (0, 4096, 20_000):
        free = os.statvfs(folder)
        rest.write_bytes(bytes(free.f_bavail * free.f_frsize - left))
        assert "free some space, or choose another" in refused(folder)
        rest.unlink()
        assert_kept(folder)


def test_a_disk_without_an_inode_left_ends_the_start_and_the_state_stays(folder: Path) -> None:
    def inodes(most: int) -> None:
        subprocess.run(["mount", "-o", f"remount,nr_inodes={most}", folder.parent], check=True)

    # Two folders, the lock and the state are there; SQLite wants a log and its index.
    for most in (4, 5):
        inodes(most)
        words = refused(folder)
        assert "can't be written (No space left on device): delete some files, as the file system has no inode" in words
    with pytest.raises(StateError, match=r"can't be written .* no inode left"):
        StateFile(folder.parent / "another").open()
    inodes(6)
    assert_kept(folder)


READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT * FROM kept").fetchall()
print("reading", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def read_by_another(tmp_path: Path) -> Iterator[StateFile]:
    """Open, and another process reads it all the time."""
    state = StateFile(tmp_path)
    state.open()
    state.write([Change("one", "kind", "key", b"value")])
    with subprocess.Popen(
        [sys.executable, "-c", READER, state.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        yield state
        reader.kill()
    state.close()


def test_what_can_not_be_understood_is_put_beside_though_somebody_reads_it(read_by_another: StateFile) -> None:
    assert read_by_another.set_aside("of no use") == {}
    read_by_another.write([Change("one", "kind", "key", b"new")])


def test_what_was_deleted_is_written_anew_though_somebody_reads_it(read_by_another: StateFile) -> None:
    read_by_another.path.unlink()
    assert read_by_another.renew()
    read_by_another.write([Change("one", "kind", "key", b"new")])
