"""How the tests run: the same on every machine, however slow it is today, and quickly."""

import gc
import os
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from functools import cache
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from typing import Any, Final

import _pytest.unittest
import pytest
from _pytest.fixtures import FixtureManager
from twisted.trial import _synctest
from twisted.trial.unittest import SynchronousTestCase

from tests import forked
from tests.onestep import let_go
from tests.searching import choose_profile

choose_profile()

# There is no garbage in what is being imported.
gc.disable()

ACCEPTANCE: Final = Path(__file__).with_name("acceptance")

ROOM: Final = 1 << 29
"""Bytes that memory must have for the files of the tests."""

# What pytest and trial do anew for each of thousands of tests, a third of their time: to read Twisted's version from
# disk, and to make every module forget which warnings it gave, which Python does by itself where filters change.
_pytest.unittest._get_twisted_version = cache(_pytest.unittest._get_twisted_version)
_synctest._setWarningRegistryToNone = lambda modules: None

_look_for_fixtures = FixtureManager.parsefactories


def _look_for_fixtures_elsewhere(manager: FixtureManager, *place: Any, **named: Any) -> None:
    """No TestCase here has a fixture among its hundreds of attributes; to look at each takes a third of collecting."""
    if not isinstance(named.get("holder"), SynchronousTestCase):
        _look_for_fixtures(manager, *place, **named)


FixtureManager.parsefactories = _look_for_fixtures_elsewhere  # type: ignore[method-assign]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(forked)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Nothing is imported only to be left out."""
    unwanted = config.option.markexpr == "not acceptance" and collection_path == ACCEPTANCE
    return True if unwanted else None


def pytest_collection_finish(session: pytest.Session) -> None:
    """All that was imported stays: the garbage collector need not look at it again, and rarely at what tests leave."""
    for item in session.items:
        if isinstance(item, _pytest.unittest.TestCaseFunction):
            let_go(item)
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """Trial makes a test's temporary files in the working folder: that must not be the checkout.

    No fixture does this, as each is asked for anew by every test.
    """
    with TemporaryDirectory(prefix="trial-") as folder, chdir(folder), _in_memory(session):
        return (yield)


@contextmanager
def _in_memory(session: pytest.Session) -> Iterator[None]:
    """Thousands of journals are synced to nothing; the acceptance tests use the real disk."""
    before, memory = tempfile.tempdir, Path("/dev/shm")
    acceptance = any(item.get_closest_marker("acceptance") for item in session.items)
    if not acceptance and os.access(memory, os.W_OK) and disk_usage(memory).free > ROOM:
        tempfile.tempdir = str(memory)
    try:
        yield
    finally:
        tempfile.tempdir = before
