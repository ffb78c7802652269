"""Where the tests keep their journals."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.journal.opening import file_of, open_file

NOBODY = 65534


def a_folder(case: SynchronousTestCase) -> Path:
    """A new folder that is gone after the test."""
    folder = TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    return Path(folder.name)


@contextmanager
def an_ordinary_user() -> Iterator[None]:
    """Nothing is out of reach of the superuser."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def an_empty_journal(path: Path) -> Path:
    """Put one there, as opening makes it, for tests that are not about that."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(_empty())
    return path


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder:
        open_file(file_of(f"{folder}/journal")).close()
        assert [each.name for each in Path(folder).glob("journal-*")] == [], "not all of it is in one file"
        return Path(folder, "journal").read_bytes()
