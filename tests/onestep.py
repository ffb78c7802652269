"""TestCases in one of pytest's three steps: most have nothing that it would have to set up before and take down after.

For thousands of tests these other two steps, and to tell how they went, take a sixth of the time of all. Of
pytest's own plugins only `logging` needs the first, and that is off here.
"""

from unittest import TestCase

import pytest
from _pytest.runner import call_and_report
from _pytest.unittest import TestCaseFunction

_PLAIN = (TestCase.setUpClass.__func__, TestCase.tearDownClass.__func__)  # type: ignore[attr-defined]
"""What a class does that does nothing for all of its tests."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run it, unless it needs more than that: None leaves it to pytest."""
    if not isinstance(item, TestCaseFunction) or _has_something_around_it(item):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    call_and_report(item, "call")
    let_go(item)
    # What tests before it set up for more than themselves goes with the last that shares it.
    item.session._setupstate.teardown_exact(nextitem)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def let_go(item: TestCaseFunction) -> None:
    """Of its TestCase, which is made anew when it runs: it would stay to the end, with all that it holds."""
    item._obj = None
    vars(item).pop("_instance", None)


def _has_something_around_it(item: TestCaseFunction) -> bool:
    """Marks, fixtures, or something that is done once for its class; pytest has a fixture for that with each class."""
    case = item.cls
    plain = (case.setUpClass.__func__, case.tearDownClass.__func__) == _PLAIN
    of_class = f"_unittest_setUpClass_fixture_{case.__qualname__}"
    return not plain or any(name not in ("request", of_class) for name in item.fixturenames) or any(item.iter_markers())
