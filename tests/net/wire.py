"""A network in memory: hosts that are Twisted factories, reached by the endpoints that production code is given."""

from collections.abc import Callable
from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.test import iosim
from zope.interface import implementer

from tutumstream.net.agent import agent, pool
from tutumstream.net.http import HttpClient
from tutumstream.net.proxy import Proxies


class Network:
    """Hosts by `name:port`. Nothing moves but by `settle`, and no time passes but by `clock`.

    Attributes:
        dialled: every `name:port` that was asked for, in order.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.dialled: list[str] = []
        self._hosts: dict[str, IProtocolFactory | Exception] = {}
        self._wires: list[iosim.IOPump] = []
        self.kept = pool(self.clock)

    def host(self, name: str, served: IProtocolFactory | Exception) -> None:
        """Serve this there; an exception is how every connection to it fails."""
        self._hosts[name] = served

    def reach(self, host: str, port: int) -> IStreamClientEndpoint:
        """An endpoint to a host."""
        name = f"{host}:{port}"

        def connect(factory: IProtocolFactory) -> Deferred[IProtocol]:
            self.dialled.append(name)
            served = self._hosts.get(name, error.ConnectionRefusedError())
            return fail(served) if isinstance(served, Exception) else self._connected(factory, served)

        return _Endpoint(connect)

    def client(self, environ: dict[str, str] | None = None, trust: Any = None) -> HttpClient:
        """An HTTP client on this network."""
        speaks = agent(self.clock, Proxies(environ or {}), trust, self.kept, self.reach)
        return HttpClient(speaks, self.clock)

    def settle(self, seconds: float = 0.0) -> None:
        """Let time pass, and everything that is under way arrive."""
        self.clock.advance(seconds)
        moved = True
        while moved:
            self.clock.advance(0)  # TLS gathers its writes until the next turn
            moved = sum(wire.pump() for wire in self._wires) > 0

    def open_connections(self) -> int:
        """How many connections neither side has ended."""
        return sum(not (wire.clientIO.disconnected or wire.serverIO.disconnected) for wire in self._wires)

    def _connected(self, factory: IProtocolFactory, served: IProtocolFactory) -> Deferred[IProtocol]:
        here, there = IPv4Address("TCP", "127.0.0.1", 40000), IPv4Address("TCP", "127.0.0.1", 80)
        client: Any = factory.buildProtocol(there)
        server: Any = served.buildProtocol(here)
        self._wires.append(
            iosim.connect(
                server,
                iosim.FakeTransport(server, isServer=True, hostAddress=there, peerAddress=here),
                client,
                iosim.FakeTransport(client, isServer=False, hostAddress=here, peerAddress=there),
                greet=False,
            )
        )
        return succeed(client)


@implementer(IStreamClientEndpoint)
class _Endpoint:
    def __init__(self, connect: Callable[[IProtocolFactory], Deferred[IProtocol]]) -> None:
        self.connect = connect
