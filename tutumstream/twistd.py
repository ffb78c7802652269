"""What both plugins want of twistd: our log lines, a polite stop with status 0, and status 1 where nothing can begin.

`twistd` itself has none of this: it ends by the signal that stopped it, and a service that fails leaves it running.
"""

import atexit
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from twisted.internet.error import ReactorNotRunning
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure

from tutumstream.errors import SettingsError, TutumstreamError
from tutumstream.logs import LineObserver
from tutumstream.outputs import KEPT_LINES, Apart, LogFile, Output, into, takes_at_once

_log = Logger("tutumstream")


def refuse(name: str, problem: SettingsError) -> NoReturn:
    """End before anything runs, with every mistake on a line of its own.

    Args:
        name: the plugin's.
    """
    for mistake in problem.mistakes:
        sys.stderr.write(f"{name}: {mistake}\n")
    sys.exit(1)


def obey_signals(reactor: Any, read_again: Callable[[], object]) -> None:
    """A stop on request is a success: twistd's own handler would end the process by the signal, not with 0.

    SIGHUP says that the terminal is gone, and then it ends like that, too. To who has none it says, by custom, to read
    the settings anew, which is never a reason to die. `nohup` goes on meaning what it means. What else a signal of
    somebody who takes us for another program would end, without a word, is told and goes on.

    Args:
        read_again: called at SIGHUP where there is no terminal.
    """

    def install() -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, lambda *_: reactor.callFromThread(_stop, reactor))
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
            signal.signal(number, lambda number, _: reactor.callFromThread(_go_on, number))
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            then = (lambda: _hang_up(reactor)) if _has_terminal() else read_again
            signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(then))

    reactor.callWhenRunning(install)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _go_on(number: int) -> None:
    _log.warn("{signal} changes nothing", signal=signal.Signals(number).name)


def _hang_up(reactor: Any) -> None:
    _log.info("the terminal was closed: stopping")
    _stop(reactor)


def _stop(reactor: Any) -> None:
    def stop() -> None:
        with suppress(ReactorNotRunning):
            reactor.stop()

    # Not before it runs, but then at once.
    reactor.callWhenRunning(stop)


def ends_with_1(reactor: Any) -> Callable[[Failure], None]:
    """A function that ends the process with status 1, politely: what has begun is stopped first."""

    def fatal(failure: Failure) -> None:
        if failure.check(TutumstreamError):
            _log.critical("can't begin: {reason}", reason=failure.value)
        else:
            _log.failure("can't begin, and that is a bug", failure)

        def leave() -> None:
            # twistd knows no other way to a status than to be left with one.
            for stream in (sys.stdout, sys.stderr):
                with suppress(AttributeError, OSError, ValueError):
                    stream.flush()
            os._exit(1)

        atexit.register(leave)
        _stop(reactor)

    return fatal


def observer(twistd: Any, log_format: str | None, log_level: str) -> ILogObserver | None:
    """Our lines where twistd would write its own; None where its options ask for something else.

    Args:
        twistd: its options; None where there are none.
        log_format: None for what suits the place: `console` on a terminal, else `json`.
    """
    if twistd is None or twistd.get("syslog") or twistd.get("logger"):
        return None
    name = twistd.get("logfile") or ("-" if twistd.get("nodaemon") else "twistd.log")
    terminal = name == "-" and sys.stdout is not None and sys.stdout.isatty()
    write = _to_stdout() if name == "-" else Output(_log_file(name).write).write
    return LineObserver(write, log_format or ("console" if terminal else "json"), log_level)


def _to_stdout() -> Callable[[str], None]:
    # Typeshed has it that there always is one.
    out: Any = sys.stdout
    if out is None:
        return Output(None).write
    descriptor = out.fileno()
    return Apart(Output(into(descriptor), out.encoding).write, takes_at_once(descriptor), _confess).write


def _confess(count: int) -> None:
    _log.warn(
        "{count} lines are missing here: this log was not read, and {kept} is how many are kept",
        count=count,
        kept=KEPT_LINES,
    )


def _log_file(name: str) -> LogFile:
    try:
        return LogFile(name)
    except OSError as problem:
        mistake = f"--logfile: {name} can't be written ({problem.strerror}); name another, or - for standard output"
        refuse("twistd", SettingsError([mistake]))


def send_logs(application: Any, lines: ILogObserver | None) -> None:
    """Let twistd send everything there; it asks its application for an observer before it writes its first line."""
    if lines is not None:
        application.setComponent(ILogObserver, lines)
