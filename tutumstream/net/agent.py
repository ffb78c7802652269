"""One agent for everything that goes out by HTTP: one pool, verified TLS, the environment's proxies."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.web.client import URI, Agent, HostnameCachingHTTPSPolicy, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from tutumstream import __version__
from tutumstream.net.proxy import Proxies
from tutumstream.net.tls import VerifyingPolicy
from tutumstream.net.tunnel import TunnelEndpoint
from tutumstream.reach import by_name

USER_AGENT = f"tutumstream/{__version__}"

_IDLE_PER_HOST = 32
"""Kept connections a host; Twisted's 2 would make most look-ups and every burst dial anew."""

_IDLE_SECONDS = 30
"""Firewalls forget silent connections after a minute or so; ours is closed before."""

_CONNECT_SECONDS = 10.0

Reach = Callable[[str, int], IStreamClientEndpoint]
"""How to get a TCP connection to a host and port."""


def pool(reactor: Any) -> HTTPConnectionPool:
    """Connections kept for the next request. Close it at stop by `closeCachedConnections`."""
    kept = HTTPConnectionPool(reactor)
    kept.maxPersistentPerHost = _IDLE_PER_HOST
    kept.cachedConnectionTimeout = _IDLE_SECONDS
    return kept


def agent(reactor: Any, proxies: Proxies, trust: Any, kept: HTTPConnectionPool, reach: Reach | None = None) -> IAgent:
    """What every `HttpClient` speaks through.

    Args:
        reactor: with TCP, time and name resolution.
        proxies: `Proxies({})` where all is local.
        trust: what `load_trust` gave.
        kept: what `pool` gave.
        reach: another way to a host than TCP by its name, for tests.
    """

    ways = endpoints(reactor, proxies, trust, reach)
    keeping = Agent.usingEndpointFactory(reactor, ways, kept)
    return _Agents(keeping, Agent.usingEndpointFactory(reactor, ways, HTTPConnectionPool(reactor, persistent=False)))


def endpoints(reactor: Any, proxies: Proxies, trust: Any, reach: Reach | None = None) -> IAgentEndpointFactory:
    """The way to every server, for an agent or for a pool of our own; the arguments are those of `agent`."""

    def directly(host: str, port: int) -> IStreamClientEndpoint:
        return by_name(reactor, host, port, _CONNECT_SECONDS)

    policy = HostnameCachingHTTPSPolicy(VerifyingPolicy(trust))
    made: IAgentEndpointFactory = _Endpoints(reactor, proxies, policy, reach or directly)
    return made


@implementer(IAgent)
class _Agents:
    """Keeps no connection to a server of HTTP/1.0: it closes each after its answer, and Twisted takes it for one that
    lasts; the next request would meet that end."""

    def __init__(self, keeping: IAgent, closing: IAgent) -> None:
        self._keeping = keeping
        self._closing = closing
        self._old: set[bytes] = set()

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803  # IAgent's
    ) -> Deferred[IResponse]:
        server = URI.fromBytes(uri).netloc

        def answered(response: IResponse) -> IResponse:
            if response.version < (b"HTTP", 1, 1):
                self._old.add(server)
            return response

        agent = self._closing if server in self._old else self._keeping
        return agent.request(method, uri, headers, bodyProducer).addCallback(answered)


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Direct or through a tunnel; TLS outside of that, so that the destination's name is what is verified."""

    def __init__(self, clock: IReactorTime, proxies: Proxies, policy: IPolicyForHTTPS, reach: Reach) -> None:
        self._clock = clock
        self._proxies = proxies
        self._policy = policy
        self._reach = reach

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.decode("ascii")
        shown = f"[{host}]" if ":" in host else host
        proxy = self._proxies.for_url(f"{uri.scheme.decode('ascii')}://{shown}:{uri.port}")
        if proxy is None:
            way = self._reach(host, uri.port)
        else:
            way = TunnelEndpoint(self._reach(proxy.host, proxy.port), proxy, host, uri.port, USER_AGENT, self._clock)
        if uri.scheme == b"https":
            return wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), way, self._clock)
        return way
