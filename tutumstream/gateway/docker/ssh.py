"""An engine behind a login: each connection is an `ssh` that runs `docker system dial-stdio` on the other side.

Keys, host keys and names are ssh's business, as they are on the command line of the same user. It must not ask anybody
anything, so whatever it would ask about is a failure.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost, ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    IReactorProcess,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from tutumstream.event import escaped
from tutumstream.gateway.docker.address import Ssh

CONNECT_TIMEOUT: Final = 10
ALIVE_INTERVAL: Final = 5
ALIVE_COUNT: Final = 3
LAST_WORDS: Final = 2000

PASSED_ON: Final = (
    "HOME",
    "KRB5CCNAME",
    "LANG",
    "LOGNAME",
    "PATH",
    "SHELL",
    "SSH_AGENT_PID",
    "SSH_AUTH_SOCK",
    "TMPDIR",
    "USER",
    "XDG_RUNTIME_DIR",
)
"""Variables that ssh gets. Ours hold secrets, and ssh can be set up to send some to the other side."""


class SshEndedError(ConnectionLost):
    """ssh ended, and that was not our wish."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def command(address: Ssh) -> list[str]:
    """The words of the command; no shell is between us and ssh, and only checked words are for the one behind it."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": CONNECT_TIMEOUT,
        "ServerAliveInterval": ALIVE_INTERVAL,
        "ServerAliveCountMax": ALIVE_COUNT,
    }
    words = ["ssh", "-T", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    if address.user:
        words += ["-l", address.user]
    if address.port:
        words += ["-p", str(address.port)]
    where = ["--host", f"unix://{address.socket}"] if address.socket else []
    return [*words, "--", address.host, "docker", *where, "system", "dial-stdio"]


@implementer(IAddress)
class _Nowhere:
    """The address of a program."""


@implementer(ITransport, IConsumer, IPushProducer)
class _Pipes(ProcessProtocol):
    """One ssh, as a transport for the protocol that speaks through it."""

    disconnecting = False

    def __init__(self, inner: IProtocol, address: Ssh) -> None:
        self._inner = inner
        self._address = address
        self._said = b""

    def connectionMade(self) -> None:
        self._inner.makeConnection(self)

    def outReceived(self, data: bytes) -> None:
        self._inner.dataReceived(data)

    def errReceived(self, data: bytes) -> None:
        self._said = (self._said + data)[-LAST_WORDS:]

    def processEnded(self, reason: Failure) -> None:
        ended: ConnectionDone | SshEndedError = ConnectionDone()
        if not reason.check(ProcessDone) and not self.disconnecting:
            ended = SshEndedError(self._words(reason))
        self._inner.connectionLost(Failure(ended))

    def _words(self, reason: Failure) -> str:
        said = self._said.decode("utf-8", "replace").strip()
        last = escaped(said.splitlines()[-1].strip(), 200) if said else escaped(str(reason.value), 100)
        user, port = self._address.user, self._address.port
        way = f"{'-p ' + str(port) + ' ' if port else ''}{user + '@' if user else ''}{self._address.host}"
        return f"ssh says: {last}; as this user, `ssh {way} docker version` must work without a question"

    def write(self, data: bytes) -> None:
        self._process.write(data)

    def writeSequence(self, data: Any) -> None:
        self._process.writeSequence(data)

    def loseConnection(self) -> None:
        """Nothing of ours waits on the way: requests are short and written at once."""
        self.disconnecting = True
        self._process.loseConnection()
        try:
            self._process.signalProcess("TERM")
        except ProcessExitedAlready:
            return

    def abortConnection(self) -> None:
        self.loseConnection()

    def pauseProducing(self) -> None:
        self._process.pauseProducing()

    def resumeProducing(self) -> None:
        self._process.resumeProducing()

    def stopProducing(self) -> None:
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._process.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._process.unregisterProducer()

    def getPeer(self) -> IAddress:
        return _Nowhere()

    def getHost(self) -> IAddress:
        return _Nowhere()

    @property
    def _process(self) -> Any:
        return self.transport


@implementer(IStreamClientEndpoint)
class SshEndpoint:
    """Makes connections, each with an ssh of its own.

    Args:
        environment: of which only what ssh needs is passed on.
    """

    def __init__(self, reactor: IReactorProcess, address: Ssh, environment: Mapping[str, str]) -> None:
        self._reactor = reactor
        self._address = address
        self._environment = {name: environment[name] for name in PASSED_ON if name in environment}

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        inner = cast(IProtocol, factory.buildProtocol(_Nowhere()))
        pipes = _Pipes(inner, self._address)
        self._reactor.spawnProcess(pipes, "ssh", command(self._address), env=self._environment)
        return succeed(inner)
