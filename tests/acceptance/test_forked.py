"""The unit tests are run by several processes, most in one step, and told as by one process in three."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.forked import FEW

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
MODULES = 8
EACH = FEW // MODULES + 1

CONFTEST = """
import os
import time
from tests import forked

FIRST = os.getpid()

def pytest_configure(config):
    config.pluginmanager.register(forked)

def has_begun():
    # Both have something to do before either is done with all.
    name = "first" if os.getpid() == FIRST else "fork"
    open(name, "w").close()
    while not (os.path.exists("first") and os.path.exists("fork")):
        time.sleep(0.01)
    return name
"""

MODULE = f"""
import os
import threading
import unittest
import warnings
import pytest
from conftest import has_begun

def test_fails():
    name = has_begun()
    warnings.warn(f"careful in {{name}}", source=threading.Lock())
    print("said in", name)
    assert name == "nobody"

@pytest.mark.parametrize("number", range({EACH - 2}))
def test_holds(number, tmp_path):
    assert list(tmp_path.parent.glob("test_holds*"))

class TestOfUnittest(unittest.TestCase):
    held = []

    def setUp(self):
        self.held.append(self.id())

    def test_fails(self):
        print("said by a method")
        self.assertEqual(1, 2)

    def test_is_run_once(self):
        self.assertEqual(len(self.held), len(set(self.held)))

    @unittest.skip("not today")
    def test_is_skipped(self):
        pass

    @pytest.mark.xfail
    def test_is_known_to_fail(self):
        self.assertEqual(1, 2)

    def test_warns(self):
        warnings.warn("careful in a method")

class TestWithAClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.number = 1

    def test_has_it(self):
        self.assertEqual(self.number, 1)

def test_holds_in_the_first():
    if has_begun() == "fork":
        getattr(os, os.environ.get("LAST", "getpid"))()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for number in range(MODULES):
        (tmp_path / f"test_{number}.py").write_text(MODULE)
    return tmp_path


def run(folder: Path, *options: str, last: str = "getpid") -> tuple[int, str]:
    """Exit status and all that was written."""
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:logging", "-v", *options)
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LAST": last},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="there is one processor")
class TestTwoProcesses:
    def test_each_result_is_told_once_with_what_its_test_wrote(self, folder: Path) -> None:
        status, said = run(folder)
        assert status == pytest.ExitCode.TESTS_FAILED
        passed = MODULES * (EACH + 2)
        counts = f"{2 * MODULES} failed, {passed} passed, {MODULES} skipped, {MODULES} xfailed, {2 * MODULES} warnings"
        assert counts in said
        for number in range(MODULES):
            assert len(re.findall(rf"^FAILED test_{number}.py::test_fails", said, re.MULTILINE)) == 1
            assert len(re.findall(rf"^test_{number}.py::test_holds\[0\] PASSED", said, re.MULTILINE)) == 1
        assert len(re.findall("^E +AssertionError: 1 != 2$", said, re.MULTILINE)) == MODULES
        assert len(re.findall("^said by a method$", said, re.MULTILINE)) == MODULES
        assert "UserWarning: careful in a method" in said
        for name in ("first", "fork"):
            assert re.search(rf"^said in {name}$", said, re.MULTILINE)
            assert f"UserWarning: careful in {name}" in said

    def test_one_that_dies_is_told_with_the_test_that_it_died_of(self, folder: Path) -> None:
        status, said = run(folder, last="abort")
        assert status == pytest.ExitCode.INTERNAL_ERROR
        assert re.search(r"ended with -6; the last that it began was test_\d.py::test_holds_in_the_first", said)

    def test_whoever_wants_to_stop_at_the_first_failure_has_one(self, folder: Path) -> None:
        (folder / "fork").touch()
        status, said = run(folder, "--exitfirst")
        assert status == pytest.ExitCode.TESTS_FAILED
        assert re.search(r"= 1 failed, 1 warning in", said)
        assert "said in first" in said
