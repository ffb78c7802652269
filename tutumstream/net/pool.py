"""Connections kept for the next request, by server: a bound on their number, and a queue for what exceeds it."""

from collections import OrderedDict, deque
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory

from tutumstream.errors import ExchangeError
from tutumstream.net.address import Address
from tutumstream.net.connection import Connection, Request
from tutumstream.net.target import Target

CONNECTIONS: Final = 50
CONNECT_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 30.0
"""Firewalls forget silent connections after a minute or so; ours are closed before."""

REMEMBERED: Final = 1000
"""URLs; past that all are forgotten, and taken apart anew."""


class Pool:
    """The servers that are spoken to, each with its connections.

    Args:
        endpoints: how to reach a server, TLS and proxies included; what `agent.endpoints` gave.
        size: connections to one server.
        connect_seconds: how long a connection may take until it can be used: name, TCP, proxy, TLS.
        remembered: URLs, taken apart once.
    """

    def __init__(
        self,
        clock: IReactorTime,
        endpoints: IAgentEndpointFactory,
        *,
        size: int = CONNECTIONS,
        connect_seconds: float = CONNECT_SECONDS,
        remembered: int = REMEMBERED,
    ) -> None:
        self._clock = clock
        self._remembered = remembered
        self._endpoints = endpoints
        self._size = size
        self._connect_seconds = connect_seconds
        self._servers: dict[str, Server] = {}
        self._places: dict[str, tuple[Target, Server]] = {}

    def place(self, url: str) -> tuple[Target, "Server"]:
        """Where a URL leads: what makes its requests, and who takes them.

        Raises:
            ExchangeError: it is no http or https URL, or its host has no valid name.
        """
        return self._places.get(url) or self._found(url)

    def _found(self, url: str) -> tuple[Target, "Server"]:
        try:
            address = Address.parse(url)
        except ValueError as problem:
            raise ExchangeError("the address", str(problem)) from None
        if len(self._places) >= self._remembered:
            self._places.clear()
            self._servers = {origin: server for origin, server in self._servers.items() if server.used}
        server = self._servers.get(address.origin) or self._server(address.origin)
        self._places[url] = place = (Target(address), server)
        return place

    def _server(self, origin: str) -> "Server":
        # One endpoint for each server: every one for https holds an SSL context (Twisted ticket 12125).
        endpoint = self._endpoints.endpointForURI(URI.fromBytes(origin.encode("ascii")))
        self._servers[origin] = server = Server(origin, endpoint, self._clock, self._size, self._connect_seconds)
        return server

    def close_idle(self) -> Deferred[None]:
        """Close every connection that waits for a request. Fires when they are closed."""
        closing = [closed for server in self._servers.values() for closed in server.close_idle()]
        return gatherResults(closing).addCallback(lambda _: None)


class Server:
    """One server, and everything that is wanted of it.

    Attributes:
        origin: `scheme://host[:port]`.
    """

    def __init__(
        self, origin: str, endpoint: IStreamClientEndpoint, clock: IReactorTime, size: int, connect_seconds: float
    ) -> None:
        self.origin = origin
        self._endpoint = endpoint
        self._clock = clock
        self._size = size
        self._connect_seconds = connect_seconds
        secure = origin.startswith("https:")
        self._factory = Factory.forProtocol(lambda: Connection(origin, secure, clock, self._freed, self._gone))
        self._factory.noisy = False
        self._connections: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        """The longest idle first; the last one is taken, so that what is not needed grows old."""
        self._waiting: OrderedDict[Request, None] = OrderedDict()
        self._anew: OrderedDict[Request, None] = OrderedDict()
        """Those that a kept connection failed, and that only a new one may carry."""
        self._dials: dict[Deferred[Any], None] = {}
        self._dialling = False
        self._watch: Any = None

    @property
    def used(self) -> bool:
        """Whether anything connects us to it, or is about to."""
        return bool(self._connections or self._dials)

    def ask(self, request: Request) -> None:
        """Send it now, or in its turn; it is told what comes of it."""
        if self._idle:
            self._idle.pop().send(request)
        else:
            self._waiting[request] = None
            self._dial()

    def withdraw(self, request: Request) -> None:
        """End a request that nobody waits for any more; it is told nothing."""
        if request.connection is not None:
            request.connection.drop()
            return
        self._waiting.pop(request, None)
        self._anew.pop(request, None)
        while len(self._dials) > len(self._waiting) + len(self._anew):
            dialled = next(iter(self._dials))
            del self._dials[dialled]
            dialled.cancel()

    def close_idle(self) -> list[Deferred[None]]:
        """Close the connections that wait for a request; for each, what fires when it is closed."""
        closing = list(self._idle)
        self._idle.clear()
        for connection in closing:
            connection.close()
        return [connection.closed for connection in closing]

    def _dial(self) -> None:
        """A connection for each that waits, up to the bound."""
        if self._dialling:
            return  # it failed at once, within the loop below
        self._dialling = True
        while (
            len(self._dials) < len(self._waiting) + len(self._anew)
            and len(self._dials) + len(self._connections) < self._size
        ):
            dialled: Deferred[Any] = Deferred.fromCoroutine(self._connect())
            self._dials[dialled] = None
            dialled.addTimeout(self._connect_seconds, self._clock)
            dialled.addCallbacks(self._connected, self._failed, callbackArgs=(dialled,), errbackArgs=(dialled,))
        self._dialling = False

    async def _connect(self) -> Connection:
        connection: Any = await self._endpoint.connect(self._factory)
        await connection.ready
        made: Connection = connection
        return made

    def _connected(self, connection: Connection, dialled: Deferred[Any]) -> None:
        del self._dials[dialled]
        self._connections.add(connection)
        if self._anew:
            connection.send(self._anew.popitem(last=False)[0])
        else:
            self._freed(connection)

    def _failed(self, problem: Failure, dialled: Deferred[Any]) -> None:
        if dialled not in self._dials:
            return  # cancelled, as nobody needs it any more
        del self._dials[dialled]
        queue = self._anew or self._waiting
        if queue:
            queue.popitem(last=False)[0].fails(problem)
        self._dial()

    def _freed(self, connection: Connection) -> None:
        if self._waiting:
            connection.send(self._waiting.popitem(last=False)[0])
            return
        connection.idle_since = self._clock.seconds()
        self._idle.append(connection)
        if self._watch is None:
            self._watch = self._clock.callLater(IDLE_SECONDS, self._close_old)

    def _gone(self, connection: Connection, unanswered: Request | None) -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if unanswered is not None:
            self._anew[unanswered] = None
        self._dial()

    def _close_old(self) -> None:
        """One timer for all of them, that looks when it fires: a timer for each request would cost more than that."""
        self._watch = None
        now = self._clock.seconds()
        while self._idle and self._idle[0].idle_since + IDLE_SECONDS <= now:
            self._idle.popleft().close()
        if self._idle:
            self._watch = self._clock.callLater(self._idle[0].idle_since + IDLE_SECONDS - now, self._close_old)
