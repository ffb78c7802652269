"""The tests in two processes at once, the second one a fork that has all that was imported and collected.

Fresh processes, as those of pytest-xdist, import and collect it all once more, which takes as long as half of the
tests.
"""

import os
import pickle
import signal
import struct
import traceback
import warnings
from collections.abc import Iterator
from copy import copy
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NoReturn

import pytest

FEW: Final = 500
"""So many tests are done as soon by one process."""

_NUMBER: Final = struct.Struct("<H")


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the session's items in this process and a fork of it, module by module: who is done takes the next one.

    Raises:
        ChildProcessError: The other process ended before its tests did.
    """
    if not _worth_it(session):
        return None
    modules = [list(items) for _, items in groupby(session.items, lambda item: item.path)]
    # Both are to make their folders in the same one.
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # pytest gives no other way to it
    with TemporaryDirectory(prefix="reports-") as folder:
        file = Path(folder, "reports")
        queue, end = os.pipe()
        os.write(end, b"".join(map(_NUMBER.pack, range(len(modules)))))
        os.close(end)
        mine = (item for number in _taken(queue) for item in modules[number])
        other = os.fork()
        if not other:
            _run_in_the_fork(session, mine, file)
        try:
            _run(mine)
            _, status = os.waitpid(other, 0)
        except BaseException:
            os.kill(other, signal.SIGKILL)
            os.waitpid(other, 0)
            raise
        finally:
            os.close(queue)
        begun = _tell(session, file)
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise ChildProcessError(f"a process that ran tests ended with {code}; the last that it began was {begun}")
    return True


def _worth_it(session: pytest.Session) -> bool:
    """Whether there is a second processor and much to do on the first, and nobody looks on or stops at a failure."""
    option, plugins = session.config.option, session.config.pluginmanager
    nothing = option.collectonly or session.testsfailed
    watched = option.usepdb or option.trace or option.capture == "no" or option.maxfail or plugins.hasplugin("_cov")
    if any(item.get_closest_marker("acceptance") for item in session.items):
        # They mostly wait, and share what costs more to start than they save.
        return False
    return not (nothing or watched) and len(os.sched_getaffinity(0)) > 1 and len(session.items) > FEW


def _taken(queue: int) -> Iterator[int]:
    """Numbers that nobody else gets."""
    while word := os.read(queue, _NUMBER.size):
        yield _NUMBER.unpack(word)[0]


def _run(items: Iterator[pytest.Item]) -> None:
    item = next(items, None)
    while item is not None:
        following = next(items, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        item = following


class _Written:
    """What pytest would be told, for a file: a hook's name and its arguments, one after the other."""

    def __init__(self, path: Path) -> None:
        # Unbuffered, so that whatever ends the process, what it had done is there.
        self._file = path.open("wb", buffering=0)

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self._write("pytest_runtest_logstart", nodeid=nodeid, location=location)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._write("pytest_runtest_logreport", report=report)

    def pytest_runtest_logfinish(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self._write("pytest_runtest_logfinish", nodeid=nodeid, location=location)

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: tuple[str, int, str] | None
    ) -> None:
        # What it is about need not be fit for a file, as what a ResourceWarning says was not closed.
        plain = copy(warning_message)
        plain.source = None
        told = {"warning_message": plain, "when": when, "nodeid": nodeid, "location": location}
        self._write("pytest_warning_recorded", **told)

    def _write(self, hook: str, **arguments: object) -> None:
        self._file.write(pickle.dumps((hook, arguments)))


def _run_in_the_fork(session: pytest.Session, items: Iterator[pytest.Item], path: Path) -> NoReturn:
    """Run items, write what pytest is to be told of them, and end without what only a first process has to do then."""
    status = 1
    plugins = session.config.pluginmanager
    try:
        plugins.unregister(name="terminalreporter")
        plugins.register(_Written(path))
        # What is written to the standard streams is caught in files, which have one position for both processes.
        capture = plugins.getplugin("capturemanager")
        capture.stop_global_capturing()
        capture.start_global_capturing()
        with capture.global_and_fixture_disabled():
            try:
                _run(items)
                status = 0
            except Exception:
                traceback.print_exc()
    finally:
        os._exit(status)


def _tell(session: pytest.Session, path: Path) -> str:
    """Tell pytest what was written; gives the test that was begun last."""
    begun = "none"
    with path.open("rb") as file:
        while file.peek(1):
            name, arguments = pickle.load(file)
            hook = getattr(session.config.hook, name)
            if name == "pytest_warning_recorded":
                hook.call_historic(kwargs=arguments)
            else:
                hook(**arguments)
                begun = arguments.get("nodeid", begun)
    return begun
