"""The plugin's door: argv and environment become settings, settings become the service.

With the gateway's own door (`gateway/tap.py`) the only module that touches the global reactor.
"""

import gc
import os
import sys

from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.logger import Logger
from twisted.python import usage

from tutumstream import __version__
from tutumstream.errors import SettingsError
from tutumstream.reach import look_up_apart
from tutumstream.service import Tutumstream
from tutumstream.settings import Settings, read
from tutumstream.steady import keep_steady
from tutumstream.twistd import ends_with_1, obey_signals, observer, refuse

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
            refuse("tutumstream", problem)


def makeService(options: Options) -> IService:
    """Build the service that twistd runs."""
    from twisted.internet import reactor

    from tutumstream.assembly import assemble

    keep_steady(reactor)
    look_up_apart(reactor)
    settings = options.settings
    fatal = ends_with_1(reactor)
    obey_signals(reactor, _stay)
    # The journal's thread must not keep the reactor waiting for the interpreter: Python's own 5 ms are an eternity.
    sys.setswitchinterval(SWITCH_INTERVAL)
    # What was imported stays for ever: the collector need not look at it again and again.
    reactor.callWhenRunning(_settle_memory)
    lines = observer(options.parent, settings.log_format, settings.log_level)
    for slip in settings.slips:
        _log.warn("{slip}", slip=slip)
    try:
        return Tutumstream(assemble(settings, reactor, fatal), fatal, lines)
    except SettingsError as problem:
        refuse("tutumstream", problem)


def _stay() -> None:
    _log.warn("SIGHUP changes nothing: settings are read once, at the start. Restart the service to change them")


def _settle_memory() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 50, 50)
