"""Where the tests keep their journals."""

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase


def a_folder(case: SynchronousTestCase) -> Path:
    """A new folder that is gone after the test."""
    folder = TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    return Path(folder.name)
