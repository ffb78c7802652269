"""How pytest finds the tests of a `TestCase`: as ever, but without what takes most of the time and finds nothing here.

For every class, pytest looks for fixtures at each of its hundreds of attributes. For every test, it asks for a fixture
that sets up the class, and the disk whether the test's file is there.
"""

from functools import cache
from inspect import unwrap
from typing import Any, Final
from unittest import TestCase, TestLoader

from _pytest.fixtures import FixtureFunctionDefinition
from _pytest.unittest import TestCaseFunction, UnitTestCase
from twisted.trial.unittest import SynchronousTestCase


def is_plain(found: object) -> bool:
    """Whether it is a class of tests with nothing to be done for the class as a whole, and no fixtures."""
    return isinstance(found, type) and issubclass(found, TestCase) and not any(map(_sets_up, found.__mro__))


_UNUSUAL: Final = frozenset(
    ("setUpClass", "tearDownClass", "setup_class", "setup_method", "teardown_method", "__test__", "__unittest_skip__")
)
"""What a class has where there is more to do."""


@cache
def _sets_up(base: type) -> bool:
    if base is TestCase:
        return False
    mine = vars(base)
    return not _UNUSUAL.isdisjoint(mine) or any(isinstance(value, FixtureFunctionDefinition) for value in mine.values())


class PlainCase(UnitTestCase):
    """Such a class."""

    def collect(self) -> list["PlainTest"]:
        """Its tests."""
        names = TestLoader().getTestCaseNames(self.obj)
        if not names and getattr(self.obj, "runTest", SynchronousTestCase.runTest) is not SynchronousTestCase.runTest:
            names = ["runTest"]
        return [PlainTest.from_parent(self, name=name, callobj=getattr(self.obj, name)) for name in names]


class PlainTest(TestCaseFunction):
    """One of its tests. Its `TestCase` is made when it runs: one that is there before is frozen, and all that it holds
    stays to the end.
    """

    def setup(self) -> None:
        """Make it."""
        self._obj = None
        del self._instance
        super().setup()

    def reportinfo(self) -> tuple[str, int, str]:
        """Where it is written."""
        code: Any = unwrap(self.function).__code__
        return code.co_filename, code.co_firstlineno - 1, self.getmodpath()
