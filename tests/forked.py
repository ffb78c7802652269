"""The tests in a process for each processor: the first, and forks of it that have all that was imported and collected.

Fresh processes, as those of pytest-xdist, import and collect it all once more, which takes as long as half of the
tests.
"""

import os
import pickle
import signal
import struct
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from copy import copy
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NoReturn

import pytest

from tests import onestep

FEW: Final = 500
"""So many tests are done as soon by one process."""

MOST: Final = 8
"""More processes than that have too little to do each."""

_NUMBER: Final = struct.Struct("<H")

_LENGTH: Final = struct.Struct("<Q")


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the session's items in this process and forks of it, module by module: who is done takes the next one.

    Raises:
        ChildProcessError: A fork ended before its tests did.
    """
    if not _worth_it(session):
        return None
    session.config.pluginmanager.register(onestep)
    modules = [list(items) for _, items in groupby(session.items, lambda item: item.path)]
    # All are to make their folders in the same one.
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # pytest gives no other way to it
    queue, end = os.pipe()
    os.write(end, b"".join(map(_NUMBER.pack, range(len(modules)))))
    os.close(end)
    with TemporaryDirectory(prefix="reports-") as folder, ExitStack() as held:
        held.callback(os.close, queue)
        forks: list[_Fork] = []
        for number in range(1, min(_processors(), MOST)):
            forks.append(_Fork(session, _taken(modules, queue), Path(folder, str(number))))
            held.callback(forks[-1].end)
        _run(_taken(modules, queue, forks))
        for fork in forks:
            fork.wait()
    return True


def _worth_it(session: pytest.Session) -> bool:
    """Whether there is a second processor and much to do on the first, and nobody looks on or stops at a failure."""
    option, plugins = session.config.option, session.config.pluginmanager
    nothing = option.collectonly or session.testsfailed
    watched = option.usepdb or option.trace or option.capture == "no" or option.maxfail or plugins.hasplugin("_cov")
    watched = watched or option.setupshow or option.xmlpath
    if any(item.get_closest_marker("acceptance") for item in session.items):
        # They mostly wait, and share what costs more to start than they save.
        return False
    return not (nothing or watched) and _processors() > 1 and len(session.items) > FEW


def _processors() -> int:
    """So many are ours."""
    return len(os.sched_getaffinity(0))


def _taken(modules: list[list[pytest.Item]], queue: int, forks: Iterable["_Fork"] = ()) -> Iterator[pytest.Item]:
    """Items of modules that nobody else gets; in between, what the forks did is told."""
    while word := os.read(queue, _NUMBER.size):
        yield from modules[_NUMBER.unpack(word)[0]]
        for fork in forks:
            fork.tell()


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
        told = pickle.dumps((hook, arguments))
        self._file.write(_LENGTH.pack(len(told)) + told)


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


class _Fork:
    """Another process that runs tests, and the file in which it writes how they went."""

    def __init__(self, session: pytest.Session, items: Iterator[pytest.Item], path: Path) -> None:
        path.touch()
        self._file = path.open("rb")
        self._rest = b""
        self._begun = "none"
        self._hooks = session.config.hook
        self._process = os.fork()
        if not self._process:
            _run_in_the_fork(session, items, path)

    def tell(self) -> None:
        """Tell pytest what was written since."""
        written = self._rest + self._file.read()
        at = 0
        while len(written) >= (start := at + _LENGTH.size):
            end = start + _LENGTH.unpack_from(written, at)[0]
            if len(written) < end:
                break
            self._call(*pickle.loads(written[start:end]))
            at = end
        self._rest = written[at:]

    def wait(self) -> None:
        """Tell the rest, once it is done.

        Raises:
            ChildProcessError: It ended before its tests did.
        """
        _, status = os.waitpid(self._process, 0)
        self._process = 0
        self.tell()
        if status:
            code = os.waitstatus_to_exitcode(status)
            raise ChildProcessError(
                f"a process that ran tests ended with {code}; the last that it began was {self._begun}"
            )

    def end(self) -> None:
        """End it, where it did not by itself."""
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
        self._file.close()

    def _call(self, name: str, arguments: dict[str, Any]) -> None:
        hook = getattr(self._hooks, name)
        if name == "pytest_warning_recorded":
            hook.call_historic(kwargs=arguments)
        else:
            hook(**arguments)
            self._begun = arguments.get("nodeid", self._begun)
