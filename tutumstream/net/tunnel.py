"""A connection through an HTTP proxy: CONNECT (RFC 9110, 9.3.6), then the proxy is only a wire."""

import re
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from tutumstream.errors import ExchangeError
from tutumstream.net.proxy import Proxy
from tutumstream.net.tls import EXPECTED_TROUBLE, words

_HEAD_LIMIT = 16384
"""Bytes of the proxy's answer before the tunnel begins."""

PATIENCE: Final = 9.0
"""Seconds that the proxy may take to answer: less than a message to a destination may take in all, so that it is told
which of the two hangs."""

_REFUSALS = {
    403: "it does not allow this destination",
    407: "it wants credentials, or others than it was given: see to user:password@ in the proxy's URL",
    502: "it can't reach the destination",
    503: "it can't reach the destination",
    504: "the destination did not answer it in time",
}


def refusal(status: int) -> str:
    """What a proxy did that answered CONNECT with this status, with the way out where there is one."""
    why = _REFUSALS.get(status)
    return f"answered {status}: {why}" if why else f"answered {status}"


@implementer(IStreamClientEndpoint)
class TunnelEndpoint:
    """Reaches `host:port` through a proxy.

    `connect` fires with the protocol once the proxy said yes; a no is an `ExchangeError` that names the proxy. The
    TLS of the destination, if any, goes round this endpoint and so is checked against the destination's own name.
    """

    def __init__(
        self, way: IStreamClientEndpoint, proxy: Proxy, host: str, port: int, agent: str, clock: IReactorTime
    ) -> None:
        """
        Args:
            way: connects to the proxy itself.
            agent: the `User-Agent` that the proxy is told.
            clock: for how long the proxy may take.
        """
        self._way = way
        self._proxy = proxy
        self._target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._agent = agent
        self._clock = clock

    def __repr__(self) -> str:
        return f"<tunnel through {self._proxy.host}:{self._proxy.port} to {self._target}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        """Open the tunnel and put a protocol of this factory at its end."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, inner: IProtocolFactory) -> IProtocol:
        asking = Factory.forProtocol(lambda: _Asking(self._request(), self._refused, inner))
        asking.noisy = False
        try:
            protocol: Any = await self._way.connect(asking)
        except EXPECTED_TROUBLE as problem:
            # The name that is looked for is not to blame.
            raise self._refused(f"can't be reached, {words(problem)}") from problem
        opened: IProtocol = await protocol.opened.addTimeout(PATIENCE, self._clock, self._too_late)
        return opened

    def _too_late(self, _result: object, seconds: float) -> IProtocol:
        raise self._refused(f"did not answer within {seconds:g} s")

    def _request(self) -> bytes:
        lines = [f"CONNECT {self._target} HTTP/1.1", f"Host: {self._target}", f"User-Agent: {self._agent}"]
        if self._proxy.authorization is not None:
            lines.append(f"Proxy-Authorization: {self._proxy.authorization}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    def _refused(self, said: str) -> ExchangeError:
        return ExchangeError(f"http://{self._proxy.host}:{self._proxy.port}", f"the proxy {said}")


class _Asking(Protocol):
    """The proxy's answer first; from then on every byte is passed to the protocol at the tunnel's end."""

    transport: Any

    def __init__(self, request: bytes, refused: Callable[[str], ExchangeError], inner: IProtocolFactory) -> None:
        self.opened: Deferred[IProtocol] = Deferred(lambda _: self._close())
        self._request = request
        self._refused = refused
        self._factory = inner
        self._head = b""
        self._inner: Any = None
        self._over = False

    def connectionMade(self) -> None:
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
        elif not self._over:
            self._head += data
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if end:
                self._answered(head, rest)
            elif len(self._head) > _HEAD_LIMIT:
                self._fail("did not answer in HTTP")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inner is not None:
            self._inner.connectionLost(reason)
        elif not self._over:
            gone = "closed the connection" if isinstance(reason.value, ConnectionDone) else "cut the connection"
            self._fail(f"{gone} before it answered")

    def _answered(self, head: bytes, rest: bytes) -> None:
        answer = re.match(rb"HTTP/1\.\S* (\d{3})(?!\S)", head)
        if answer is None:
            self._fail("did not answer in HTTP")
            return
        status = int(answer[1])
        if not 200 <= status < 300:
            self._fail(refusal(status))
            return
        self._over = True
        self._inner = self._factory.buildProtocol(self.transport.getPeer())
        if self._inner is None:
            self._close()
            self.opened.errback(self._refused("was reached, but nobody waits for the connection any more"))
            return
        self._inner.makeConnection(self.transport)
        # Told before it hears anything: it may end its connection over it, and has no owner until now.
        self.opened.callback(self._inner)
        if rest:
            self._inner.dataReceived(rest)

    def _fail(self, said: str) -> None:
        self._over = True
        self._close()
        self.opened.errback(self._refused(said))

    def _close(self) -> None:
        self._over = True
        if self.transport is not None:
            self.transport.abortConnection()
