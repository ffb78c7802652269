"""The plugin's door: argv and environment become settings, settings become the service.

The only module that touches the global reactor, and the only one that knows twistd.
"""

import atexit
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import ReactorNotRunning
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile

from tutumstream import __version__
from tutumstream.errors import SettingsError, TutumstreamError
from tutumstream.logs import LineObserver, Output
from tutumstream.service import Tutumstream
from tutumstream.settings import Settings, read

_log = Logger("tutumstream")

YOUNG_OBJECTS = 20_000
"""New objects between two runs of the garbage collector; measured, see docs/PERFORMANCE.md."""

SWITCH_INTERVAL = 0.0005
"""Seconds; measured, see docs/PERFORMANCE.md."""


class Options(usage.Options):
    """`twistd -n tutumstream [options]`"""

    synopsis = "[options]"

    longdesc = (
        "Listens to a Tutum Stream API and tells Slack, PagerDuty and others. Credentials and destinations come from "
        "the environment: TUTUM_USERNAME, TUTUM_TOKEN, SLACK_URL, PAGERDUTY_KEY; see the README for all of it."
    )

    optFlags = [  # noqa: RUF012  (twisted.python.usage wants lists)
        ["demo", None, "An embedded Tutum with a scripted day; messages go to the console only."],
        ["docker", None, "An embedded gateway on the Docker Engine of DOCKER_HOST instead of a remote stream."],
    ]

    optParameters = [  # noqa: RUF012
        ["state-dir", None, None, "Where the journal lives. [TUTUMSTREAM_STATE_DIR, STATE_DIRECTORY]"],
        ["listen", None, None, "Endpoint of health and readiness, or none. [TUTUMSTREAM_LISTEN]"],
        ["log-format", None, None, "console or json. [TUTUMSTREAM_LOG_FORMAT]"],
        ["log-level", None, None, "debug, info, warn or error. [TUTUMSTREAM_LOG_LEVEL]"],
    ]

    settings: Settings

    def opt_version(self) -> None:
        """Display tutumstream's version and exit."""
        sys.stdout.write(f"tutumstream {__version__}\n")
        sys.exit(0)

    def postOptions(self) -> None:
        """Every mistake is found before anything runs."""
        from twisted.internet import reactor

        try:
            self.settings = read(self, os.environ, lambda text: serverFromString(reactor, text))
        except SettingsError as problem:
            for mistake in problem.mistakes:
                sys.stderr.write(f"tutumstream: {mistake}\n")
            sys.exit(1)


def makeService(options: Options) -> IService:
    """Build the service that twistd runs."""
    from twisted.internet import reactor

    from tutumstream.assembly import assemble

    settings = options.settings
    fatal = _fatal(reactor)
    _obey_signals(reactor)
    # The journal's thread must not keep the reactor waiting for the interpreter: Python's own 5 ms are an eternity.
    sys.setswitchinterval(SWITCH_INTERVAL)
    # What was imported stays for ever: the collector need not look at it again and again.
    reactor.callWhenRunning(_settle_memory)
    return Tutumstream(assemble(settings, reactor, fatal), fatal, _observer(settings, options.parent))


def _settle_memory() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 50, 50)


def _obey_signals(reactor: Any) -> None:
    """A stop on request is a success: twistd's own handler would end the process by the signal, not with 0.

    SIGHUP says that the terminal is gone, and then it ends like that, too. To who has none it says, by custom, to read
    the settings anew; that they are read only once is no reason to die. `nohup` goes on meaning what it means.
    """

    def install() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: reactor.callFromThread(_stop, reactor))
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            then = _hang_up if _has_terminal() else _stay
            signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(then, reactor))

    reactor.callWhenRunning(install)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _hang_up(reactor: Any) -> None:
    _log.info("the terminal was closed: stopping")
    _stop(reactor)


def _stay(_: Any) -> None:
    _log.warn("SIGHUP changes nothing: settings are read once, at the start. Restart the service to change them")


def _stop(reactor: Any) -> None:
    def stop() -> None:
        with suppress(ReactorNotRunning):
            reactor.stop()

    # Not before it runs, but then at once.
    reactor.callWhenRunning(stop)


def _fatal(reactor: Any) -> Callable[[Failure], None]:
    """Ends the process with status 1, politely: what has begun is stopped first."""

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


def _observer(settings: Settings, twistd: Any) -> ILogObserver | None:
    """Our lines where twistd would write its own; None where its options ask for something else."""
    if twistd is None or twistd.get("syslog") or twistd.get("logger"):
        return None
    name = twistd.get("logfile") or ("-" if twistd.get("nodaemon") else "twistd.log")
    out: Any = sys.stdout if name == "-" else LogFile.fromFullPath(name)
    terminal = name == "-" and out is not None and out.isatty()
    log_format = settings.log_format or ("console" if terminal else "json")
    return LineObserver(Output(out).write, log_format, settings.log_level)
