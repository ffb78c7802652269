"""Where the tests keep their journals."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.journal.opening import file_of, open_file


def a_folder(case: SynchronousTestCase) -> Path:
    """A new folder that is gone after the test."""
    folder = TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    return Path(folder.name)


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
