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

from tutumstream.net.agent import agent, endpoints, pool
from tutumstream.net.fast_agent import FastAgent
from tutumstream.net.fast_client import FastClient
from tutumstream.net.http import Exchanges, HttpClient
from tutumstream.net.pool import Pool
from tutumstream.net.proxy import Proxies


class Network:
    """Hosts by `name:port`. Nothing moves but by `settle`, and no time passes but by `clock`.

    Attributes:
        dialled: every `name:port` that was asked for, in order.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.dialled: list[str] = []
        self._hosts: dict[str, IProtocolFactory | Exception | list[Dial]] = {}
        self._wires: list[iosim.IOPump] = []
        self.kept = pool(self.clock)
        self._shared: Pool | None = None

    def host(self, name: str, served: IProtocolFactory | Exception) -> None:
        """Serve this there; an exception is how every connection to it fails."""
        self._hosts[name] = served

    def hang(self, name: str) -> list["Dial"]:
        """Let every connection to it wait for a word by the test; they are added to the list."""
        dials: list[Dial] = []
        self._hosts[name] = dials
        return dials

    def reach(self, host: str, port: int) -> IStreamClientEndpoint:
        """An endpoint to a host."""
        name = f"{host}:{port}"

        def connect(factory: IProtocolFactory) -> Deferred[IProtocol]:
            self.dialled.append(name)
            served = self._hosts.get(name, error.ConnectionRefusedError())
            if isinstance(served, Exception):
                return fail(served)
            if isinstance(served, list):
                served.append(Dial(self, factory))
                return served[-1].connected
            return self._connected(factory, served)

        return _Endpoint(connect)

    def client(self, environ: dict[str, str] | None = None, trust: Any = None, way: str = "treq") -> Exchanges:
        """An HTTP client on this network.

        Args:
            way: `treq` over Twisted's agent, `agent` for treq over ours, `fast` for our own client.
        """
        proxies = Proxies(environ or {})
        if way == "treq":
            return HttpClient(agent(self.clock, proxies, trust, self.kept, self.reach), self.clock)
        if environ or trust:
            ours = self.pool(environ, trust)
        else:
            # Where nothing is special they share one, as all notifiers of a service do.
            ours = self._shared = self._shared or self.pool()
        return HttpClient(FastAgent(ours), self.clock) if way == "agent" else FastClient(ours, self.clock)

    def pool(self, environ: dict[str, str] | None = None, trust: Any = None, **settings: Any) -> Pool:
        """A pool of our own connections on this network."""
        return Pool(self.clock, endpoints(self.clock, Proxies(environ or {}), trust, self.reach), **settings)

    def settle(self, seconds: float = 0.0) -> None:
        """Let time pass, and everything that is under way arrive."""
        self.clock.advance(seconds)
        moved = True
        while moved:
            self.clock.advance(0)  # TLS gathers its writes until the next turn
            moved = sum(wire.pump() for wire in self._wires) > 0
        self._wires = [wire for wire in self._wires if not (wire.clientIO.disconnected and wire.serverIO.disconnected)]

    def cut(self) -> None:
        """End all connections."""
        for wire in self._wires:
            wire.serverIO.loseConnection()
        self.settle()

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
                clock=self.clock,
            )
        )
        return succeed(client)


class Dial:
    """A connection that is being made."""

    def __init__(self, network: Network, factory: IProtocolFactory) -> None:
        self.given_up = False
        self.connected: Deferred[IProtocol] = Deferred(lambda _: setattr(self, "given_up", True))
        self._network = network
        self._factory = factory

    def arrive(self, served: IProtocolFactory) -> None:
        """It is made, to this server."""
        self._network._connected(self._factory, served).chainDeferred(self.connected)
        self._network.settle()

    def fail(self, problem: Exception) -> None:
        """It can't be made."""
        self.connected.errback(problem)


@implementer(IStreamClientEndpoint)
class _Endpoint:
    def __init__(self, connect: Callable[[IProtocolFactory], Deferred[IProtocol]]) -> None:
        self.connect = connect
