"""HTTP to an engine by Twisted's Agent: over a UNIX socket, TCP, TLS or ssh; bodies that end when they should."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint, ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IResponse
from zope.interface import implementer

from tutumstream.gateway.docker.address import Address, Ssh, Tcp, Unix
from tutumstream.gateway.docker.ssh import SshEndpoint
from tutumstream.gateway.docker.tls import client_options
from tutumstream.reach import by_name

POOLED: Final = 8
"""Connections that are kept open for the next request."""

POOLED_SSH: Final = 2
"""Over ssh each is a login and a process."""

CONNECT_TIMEOUT: Final = 10.0


class TooLargeError(Exception):
    """A body is larger than anything that is expected there."""


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class _Socket:
    """Every URI leads to the one place; the host in it is only a word."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: object) -> IStreamClientEndpoint:  # noqa: ARG002 - the interface's signature
        return self

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        # Two lines of log for every ping would be all that one sees.
        factory.noisy = False
        connected: Deferred[IProtocol] = self._endpoint.connect(factory)
        return connected


class Agents(NamedTuple):
    """What speaks to one engine.

    Attributes:
        requests: with a pool of kept connections, for what is asked often.
        streams: without one, a new connection each time: for streams.
        close: ends the connections that are kept.
        pings: for asking whether the engine still answers; None for `streams`.
        over_network: they reach it by TCP; what goes wrong there is explained in other words.
    """

    requests: IAgent
    streams: IAgent
    close: Callable[[], Deferred[None]]
    pings: IAgent | None = None
    over_network: bool = False


def agents(reactor: Any, address: Address, environment: Mapping[str, str]) -> Agents:
    """The agents for an address.

    Args:
        environment: for ssh.
    """
    over_ssh = isinstance(address, Ssh)
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = POOLED_SSH if over_ssh else POOLED
    socket = _Socket(_endpoint(reactor, address, environment))
    requests = Agent.usingEndpointFactory(reactor, socket, pool)
    return Agents(
        requests=requests,
        streams=Agent.usingEndpointFactory(reactor, socket),
        close=pool.closeCachedConnections,
        # A login every ten seconds is too much, for both sides and for the other side's log.
        pings=requests if over_ssh else None,
        over_network=isinstance(address, Tcp),
    )


def _endpoint(reactor: Any, address: Address, environment: Mapping[str, str]) -> IStreamClientEndpoint:
    if isinstance(address, Unix):
        return UNIXClientEndpoint(reactor, address.path)
    if isinstance(address, Ssh):
        return SshEndpoint(reactor, address, environment)
    plain = by_name(reactor, address.host, address.port, CONNECT_TIMEOUT)
    if address.tls is None:
        return plain
    wrapped: IStreamClientEndpoint = wrapClientTLS(client_options(address.host, address.tls), plain)
    return wrapped


class _Body(Protocol):
    """Collects a body up to a limit. Whoever cancels it closes its connection: `readBody` would leave it open."""

    def __init__(self, limit: int) -> None:
        self.whole: Final[Deferred[bytes]] = Deferred(lambda _: self._close())
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._limit:
            self._parts.append(data)
        elif not self.whole.called:
            self._parts.clear()
            self._close()
            self.whole.errback(Failure(TooLargeError(f"more than {self._limit} bytes")))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.whole.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(b"".join(self._parts))
        else:
            self.whole.errback(reason)

    def _close(self) -> None:
        cast(ITransport, self.transport).loseConnection()


def read_body(response: IResponse, limit: int) -> Deferred[bytes]:
    """The whole body. Fails with `TooLargeError`, or with Twisted's reason where the connection broke."""
    body = _Body(limit)
    response.deliverBody(body)
    return body.whole


class LineSplitter:
    """Chunks in, whole lines out; where the chunks end means nothing.

    Attributes:
        dropped: lines that were longer than the limit. They are never held in memory.
    """

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def split(self, data: bytes) -> list[bytes]:
        """The lines that are whole now, without their ends; empty ones are left out."""
        *ends, rest = data.split(b"\n")
        lines = []
        for end in ends:
            self._add(end)
            if self._size > self._limit:
                self.dropped += 1
            elif self._size:
                lines.append(b"".join(self._parts))
            self._parts, self._size = [], 0
        self._add(rest)
        return lines

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            self._parts = []
        else:
            self._parts.append(part)


class Feed(Protocol):
    """The body of the event stream: a queue of lines that never makes the engine wait.

    A reader that pauses slows the whole engine down and loses events without a sign, so lines are taken as they come.
    When too many wait, all are thrown away; then, and after a line that is too long, only a look at everything helps.

    Args:
        wake: called when lines wait and none did before.
        gap: called when something was lost.
        lines, size: how many lines, and bytes of lines, may wait.
    """

    LINE_LIMIT: Final = 8 * 1024 * 1024
    WAITING_LIMIT: Final = 20_000
    BYTES_LIMIT: Final = 32 * 1024 * 1024

    def __init__(
        self,
        wake: Callable[[], None],
        gap: Callable[[], None],
        lines: int = WAITING_LIMIT,
        size: int = BYTES_LIMIT,
    ) -> None:
        self._wake = wake
        self._gap = gap
        self._most = lines
        self._size = size
        self._splitter = LineSplitter(self.LINE_LIMIT)
        self._lines: list[bytes] = []
        self._bytes = 0
        self._reason: str | None = None
        self._waiting: list[Deferred[str]] = []

    def take(self, limit: int) -> list[bytes]:
        """The next lines, in order; fewer than the limit only if no more wait."""
        lines, self._lines = self._lines[:limit], self._lines[limit:]
        self._bytes -= sum(map(len, lines))
        return lines

    def ended(self) -> Deferred[str]:
        """Fires with the reason, in words, when nothing will come any more."""
        done: Deferred[str] = Deferred()
        if self._reason is not None:
            done.callback(self._reason)
        else:
            self._waiting.append(done)
        return done

    def close(self, reason: str) -> None:
        """End it from this side. Harmless when it ended."""
        if self.transport is not None:
            self.transport.loseConnection()
        self._end(reason)

    def dataReceived(self, data: bytes) -> None:
        before = self._splitter.dropped
        lines = self._splitter.split(data)
        if self._reason is not None:
            return
        idle = not self._lines
        self._lines += lines
        self._bytes += sum(map(len, lines))
        overflow = len(self._lines) > self._most or self._bytes > self._size
        if overflow:
            self._lines, self._bytes = [], 0
        if overflow or self._splitter.dropped > before:
            self._gap()
        if idle and self._lines:
            self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002 - every end is alike
        self._end("the event stream ended")

    def _end(self, reason: str) -> None:
        if self._reason is None:
            self._reason = reason
            waiting, self._waiting = self._waiting, []
            for done in waiting:
                done.callback(reason)
