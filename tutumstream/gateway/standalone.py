"""The gateway as a process of its own: what it tells systemd and the log, and how it learns of new users."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure

from tutumstream import listening
from tutumstream.errors import ListenError, SettingsError
from tutumstream.gateway.access import Access
from tutumstream.gateway.service import GatewayService
from tutumstream.gateway.settings import Settings
from tutumstream.gateway.users import HashedKey
from tutumstream.status.systemd import Systemd
from tutumstream.twistd import send_logs


class Standalone(Service):
    """The whole service of `twistd -n tutumgateway`.

    Args:
        access: gets the users' file anew at SIGHUP.
        fatal: called when it can't begin; must end the process.
        lines: where twistd shall send all logs; None leaves twistd its own way.
        read_hashed: reads the users' file; raises `SettingsError`.
    """

    log = Logger()

    def __init__(
        self,
        *,
        gateway: GatewayService,
        access: Access,
        settings: Settings,
        systemd: Systemd,
        fatal: Callable[[Failure], None],
        lines: ILogObserver | None,
        read_hashed: Callable[[], Sequence[HashedKey]],
    ) -> None:
        self._gateway = gateway
        self._access = access
        self._settings = settings
        self._systemd = systemd
        self._fatal = fatal
        self._lines = lines
        self._read_hashed = read_hashed

    def setServiceParent(self, parent: IService) -> None:
        super().setServiceParent(parent)
        send_logs(parent, self._lines)

    def startService(self) -> None:
        super().startService()
        self._gateway.startService()
        self._gateway.started.addCallbacks(self._serving, self._cannot)

    def stopService(self) -> Deferred[None]:
        """Fires when every client was told and the port is closed."""
        super().stopService()
        self._systemd.stopping()
        return self._gateway.stopService()

    def _serving(self, port: IListeningPort) -> None:
        place = _words(port.getHost())
        allowed = sorted(self._settings.allow)
        self.log.info(
            "Serving at {place}; clients may read{more}",
            place=place,
            more="".join(f" and use {one}" for one in allowed),
        )
        self._systemd.ready()
        self._systemd.say(f"serving at {place}")

    def _cannot(self, failure: Failure) -> None:
        problem = failure.value
        if isinstance(problem, listening.REFUSALS):
            where = "another place with --listen (TUTUMGATEWAY_LISTEN)"
            failure = Failure(ListenError(listening.words(problem), "the APIs", where))
        self._fatal(failure)

    def read_users(self) -> None:
        """Read the users' file anew. What is wrong is told, and the accounts stay as they were; so do connections."""
        if not self._settings.users_file:
            self.log.info("There is no file of users to read again")
            return
        try:
            hashed = self._read_hashed()
        except SettingsError as problem:
            self.log.error("The users stay as they were: {problem}", problem=problem)
            return
        self._access.replace(hashed)
        self.log.info("Read {path}: {count} keys", path=self._settings.users_file, count=len(hashed))


def _words(address: Any) -> str:
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if host is None:
        return str(getattr(address, "name", address))
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
