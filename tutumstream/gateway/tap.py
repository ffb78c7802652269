"""The gateway's door: argv and environment become settings, settings become the service.

With tutumstream's own door (`tutumstream/tap.py`) the only module that touches the global reactor.
"""

import os
import sys

from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.python import usage

from tutumstream import __version__
from tutumstream.errors import SettingsError
from tutumstream.gateway.settings import Settings, read
from tutumstream.reach import look_up_apart
from tutumstream.steady import keep_steady
from tutumstream.twistd import ends_with_1, obey_signals, observer, refuse


class Options(usage.Options):
    """`twistd -n tutumgateway [options]`"""

    synopsis = "[options]"

    longdesc = (
        "Serves Tutum's Stream and REST API over a Docker Engine, to every program that was written for Tutum. Who may "
        "connect comes from a file, or from TUTUM_USERNAME and TUTUM_TOKEN; see docs/gateway.md for all of it."
    )

    optFlags = [  # noqa: RUF012  (twisted.python.usage wants lists)
        ["scenario", None, "A scripted day of a small shop instead of Docker."],
        ["hide-commands", None, "Leave command lines out of what is shown. [TUTUMGATEWAY_HIDE_COMMANDS=on]"],
        ["without-tls", None, "Serve other machines unencrypted. [TUTUMGATEWAY_WITHOUT_TLS=on]"],
    ]

    optParameters = [  # noqa: RUF012
        ["listen", None, None, "Endpoint of both APIs. [TUTUMGATEWAY_LISTEN]"],
        ["users", None, None, "File of accounts and hashed API keys. [TUTUMGATEWAY_USERS]"],
        ["query-auth", None, None, "on or off: credentials in URLs, as old clients send. [TUTUMGATEWAY_QUERY_AUTH]"],
        ["hide-labels", None, None, "Regular expression: labels to leave out. [TUTUMGATEWAY_HIDE_LABELS]"],
        [
            "state-dir",
            None,
            None,
            "Keeps what was told, so that a restart tells what changed. [TUTUMGATEWAY_STATE_DIR, STATE_DIRECTORY]",
        ],
        ["log-format", None, None, "console or json. [TUTUMGATEWAY_LOG_FORMAT]"],
        ["log-level", None, None, "debug, info, warn or error. [TUTUMGATEWAY_LOG_LEVEL]"],
    ]

    settings: Settings

    def __init__(self) -> None:
        super().__init__()
        for name in ("engine", "allow", "origin"):
            self[name] = []

    def opt_engine(self, engine: str) -> None:
        """[NAME=]URL of a Docker Engine. May be repeated. [DOCKER_HOST, DOCKER_CONTEXT]"""
        self["engine"].append(engine)

    def opt_allow(self, permission: str) -> None:
        """logs, or control: start, stop, redeploy, scale, terminate. May be given twice. [TUTUMGATEWAY_ALLOW]"""
        self["allow"].append(permission)

    def opt_origin(self, host: str) -> None:
        """A site whose pages may use a browser's credentials here. May be repeated. [TUTUMGATEWAY_ORIGINS]"""
        self["origin"].append(host)

    def opt_version(self) -> None:
        """Display tutumstream's version and exit."""
        sys.stdout.write(f"tutumgateway {__version__}\n")
        sys.exit(0)

    def postOptions(self) -> None:
        """Every mistake is found before anything runs."""
        from twisted.internet import reactor

        try:
            self.settings = read(self, os.environ, lambda text: serverFromString(reactor, text))
        except SettingsError as problem:
            refuse("tutumgateway", problem)


def makeService(options: Options) -> IService:
    """Build the service that twistd runs."""
    from twisted.internet import reactor

    from tutumstream.gateway.assembly import assemble

    keep_steady(reactor)
    look_up_apart(reactor)
    settings = options.settings
    lines = observer(options.parent, settings.log_format, settings.log_level)
    service = assemble(settings, reactor, ends_with_1(reactor), lines, os.environ)
    obey_signals(reactor, service.read_users)
    return service
