"""Twisted's `IAgent` over a pool of our own: for whatever wants an agent, treq above all.

Answers are streamed. Requests are not: a body is gathered first and sent in one piece, with its length.
"""

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IConsumer, IProtocol, IPushProducer
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone, ResponseFailed, ResponseNeverReceived
from twisted.web.http import RESPONSES, PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IClientRequest, IResponse
from zope.interface import implementer

from tutumstream.net.connection import Connection
from tutumstream.net.pool import Pool, Server
from tutumstream.net.target import SAFE_METHODS


@implementer(IAgent)
class FastAgent:
    """Asks over a pool of our own connections."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803  # IAgent's
    ) -> Deferred[IResponse]:
        """Fires with the head of the answer.

        Fails with `ExchangeError` where the request can't be made, with the connection's trouble where there was none
        to be had, and with `ResponseNeverReceived` where it ended too early.
        """
        return Deferred.fromCoroutine(self._request(method, uri, headers or Headers(), bodyProducer))

    async def _request(self, method: bytes, uri: bytes, headers: Headers, producer: IBodyProducer | None) -> IResponse:
        target, server = self._pool.place(_text(uri))
        body = b"" if producer is None else await _gathered(producer)
        pairs = [(_text(name), _text(value)) for name, values in headers.getAllRawHeaders() for value in values]
        names, values = tuple(name for name, _ in pairs), [value for _, value in pairs]
        data = target.request(_text(method), names, values, body)
        answer = _Answer(_Asked(method, uri, headers), server, data)
        answer.bodiless = method == b"HEAD"
        answer.again = _text(method) in SAFE_METHODS
        server.ask(answer)
        return await answer.begun


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


async def _gathered(producer: IBodyProducer) -> bytes:
    body = _Body()
    try:
        await producer.startProducing(body)
    except CancelledError:
        producer.stopProducing()
        raise
    return bytes(body.data)


@implementer(IConsumer)
class _Body:
    """Takes a request's body. Its producer pushes, by the contract of `IBodyProducer`, and needs no word from us."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        self.data += data

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Nothing is ever asked of it."""

    def unregisterProducer(self) -> None:
        """Nothing was ever asked of it."""


@implementer(IClientRequest)
@dataclass(frozen=True, slots=True)
class _Asked:
    method: bytes
    absoluteURI: bytes
    headers: Headers


@implementer(IResponse, IPushProducer)
class _Answer:
    """An answer on its way: what the connection tells is passed on to the protocol that reads the body.

    Until there is one, what comes is held, and the connection is paused.
    """

    again: bool
    bodiless: bool
    code: int
    headers: Headers
    length: Any
    phrase: bytes
    version = (b"HTTP", 1, 1)

    def __init__(self, asked: _Asked, server: Server, data: bytes) -> None:
        self.request = asked
        self._server = server
        self.data = data
        self.connection: Connection | None = None
        self.previousResponse: IResponse | None = None
        self.begun: Deferred[IResponse] = Deferred(lambda _: server.withdraw(self))
        self._held: list[bytes] = []
        self._paused = False
        self._reader: Any = None
        self._end: Failure | None = None

    def setPreviousResponse(self, response: IResponse) -> None:
        """What came before a redirect."""
        self.previousResponse = response

    def deliverBody(self, protocol: IProtocol) -> None:
        """Read the body by this protocol; once."""
        if self._reader is not None:
            raise RuntimeError("the body of an answer can be read once")
        self._reader = protocol
        self._reader.makeConnection(self)
        for data in self._held:
            self._reader.dataReceived(data)
        self._held.clear()
        if self._end is not None:
            self._reader.connectionLost(self._end)
        else:
            self.resumeProducing()

    # What the connection tells.

    def begins(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.code = status
        self.phrase = RESPONSES.get(status, b"")
        self.headers = Headers()
        for name, value in headers:
            self.headers.addRawHeader(name, value)
        lengths = self.headers.getRawHeaders(b"Content-Length")
        if self.bodiless or status in (204, 304):
            self.length = 0
        else:
            self.length = int(lengths[0]) if lengths else UNKNOWN_LENGTH
        self.begun.callback(self)

    def receives(self, data: bytes) -> None:
        if self._reader is not None:
            self._reader.dataReceived(data)
            return
        self._held.append(data)
        self.pauseProducing()

    def ends(self, whole: bool) -> None:
        self._over(Failure(ResponseDone() if whole else PotentialDataLoss()))

    def fails(self, problem: Failure) -> None:
        if not self.begun.called:
            self.begun.errback(problem if self.connection is None else Failure(ResponseNeverReceived([problem])))
        else:
            self._over(Failure(ResponseFailed([problem], self)))

    def _over(self, end: Failure) -> None:
        self.resumeProducing()
        self._end = end
        if self._reader is not None:
            self._reader.connectionLost(end)

    # What the protocol that reads the body may ask of its transport.

    def pauseProducing(self) -> None:
        """Let the server wait."""
        if self.connection is not None and self._end is None and not self._paused:
            self._paused = True
            self.connection.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Go on."""
        if self.connection is not None and self._end is None and self._paused:
            self._paused = False
            self.connection.transport.resumeProducing()

    def stopProducing(self) -> None:
        """No more of it: the connection is closed, and the protocol told so."""
        if self.connection is not None and self._end is None:
            self.connection.abort()

    loseConnection = stopProducing

    def abortConnection(self) -> None:
        """As `stopProducing`, but the protocol is told before this returns: `readBody` counts on that."""
        if self._end is None:
            self._server.withdraw(self)
            self._over(Failure(ResponseFailed([Failure(ConnectionAborted())], self)))
