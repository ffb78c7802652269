"""One way to speak HTTP: one request, one whole answer, within a time and a size, or an `ExchangeError`."""

from collections.abc import Mapping
from typing import Any, cast
from typing import Protocol as Interface

import msgspec
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from tutumstream.errors import ExchangeError
from tutumstream.net.address import Address
from tutumstream.net.agent import USER_AGENT
from tutumstream.net.tls import EXPECTED_TROUBLE, words

ANSWER_BYTES = 65536

_NOWHERE = "http://nowhere.invalid/"


class Answer(msgspec.Struct, frozen=True):
    """What a server said.

    Attributes:
        headers: by lower-case name; the first of several.
        body: decoded from gzip, at most as long as was asked for.
        whole: False where the body was longer and its rest was cut off, or may have been.
    """

    status: int
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    whole: bool = True


class Exchanges(Interface):
    """How to speak HTTP: what notifiers and look-ups are given. `HttpClient` and `FastClient` are the two ways."""

    def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        timeout: float = 10.0,
        limit: int = ANSWER_BYTES,
        idempotent: bool = False,
    ) -> Deferred[Answer]:
        """Send one request and read its answer. Redirects are answers like any other.

        User and password in the URL become an `Authorization` header, unless `headers` bring one.

        Args:
            timeout: seconds for all of it, from the name look-up to the body's last byte.
            limit: bytes of the body that are kept; a longer one is cut off and its connection closed.
            idempotent: allows to send it once more when a kept connection turns out to be closed before a byte of the
                answer came. For a POST with an id that the receiver knows again; GETs may be repeated anyway.

        Returns:
            Fires with the answer, or fails with `ExchangeError`: then it is unknown whether the server acted on it.
            Cancel it to end the exchange and its connection.
        """


class HttpClient:
    """`Exchanges` over one agent, by treq; see `agent` for TLS, proxies and the pool."""

    def __init__(self, agent: IAgent, clock: IReactorTime) -> None:
        self._agent = agent
        self._clock = clock

    def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        timeout: float = 10.0,
        limit: int = ANSWER_BYTES,
        idempotent: bool = False,  # noqa: ARG002  # an allowance that treq has no use for: Twisted repeats GETs only
    ) -> Deferred[Answer]:
        """Send one request and read its answer; see `Exchanges`."""
        try:
            address = Address.parse(url)
        except ValueError as problem:
            return fail(ExchangeError("the address", str(problem)))
        sent = Headers({"User-Agent": [USER_AGENT]})
        if address.authorization is not None:
            sent.setRawHeaders("Authorization", [address.authorization])
        for name, value in (headers or {}).items():
            sent.setRawHeaders(name, [value])

        def too_late(_result: object, seconds: float) -> Answer:
            raise ExchangeError(address.origin, f"no whole answer within {seconds:g} s")

        exchanged = Deferred.fromCoroutine(self._exchange(method, address.url, sent, body, limit))
        exchanged.addTimeout(timeout, self._clock, too_late)
        return exchanged.addErrback(lambda problem: cast(Answer, trouble(problem, address.origin)))

    async def _exchange(self, method: str, url: str, headers: Headers, body: bytes, limit: int) -> Answer:
        # A client of its own for each exchange: treq's keeps cookies, and nothing may travel from one to the next.
        client = HTTPClient(_Exactly(self._agent, url.encode("ascii")), data_to_body_producer=Whole)
        response = await client.request(
            method,
            _NOWHERE,
            headers=headers,
            data=body or None,
            allow_redirects=False,
            unbuffered=True,
            reactor=cast(Any, self._clock),  # only to keep treq from taking the global one: it has no timeout to keep
        )
        collector = _Collector(limit)
        response.deliverBody(collector)
        kept, whole = await collector.done
        return Answer(response.code, _plain(response), kept, whole)


def trouble(failure: Failure, origin: str) -> Failure:
    """What an exchange with this server fails with: an `ExchangeError` for everything that was to be expected.

    A bug, and the caller's cancellation, go on as the failures that they are.
    """
    problem = failure.value
    if isinstance(problem, ExchangeError):
        if problem.host == origin:
            return failure
        return Failure(ExchangeError(origin, f"{problem.host}: {problem.problem}"))
    if isinstance(problem, ValueError):
        # Twisted and idna refuse host names so; their text may hold the URL.
        return Failure(ExchangeError(origin, "its name or address is not valid"))
    if isinstance(problem, EXPECTED_TROUBLE):
        return Failure(ExchangeError(origin, words(problem)))
    return failure


def _plain(response: IResponse) -> dict[str, str]:
    return {
        name.decode("ascii", "replace").lower(): values[0].decode("utf-8", "replace")
        for name, values in response.headers.getAllRawHeaders()
        if values
    }


class _Collector(Protocol):
    """Reads a body up to a limit. Whoever stops early closes the connection: `readBody` would leave it open."""

    def __init__(self, limit: int) -> None:
        self.done: Deferred[tuple[bytes, bool]] = Deferred(lambda _: self._stop())
        self._limit = limit
        self._kept = bytearray()

    def dataReceived(self, data: bytes) -> None:
        room = self._limit - len(self._kept)
        self._kept += data[:room]
        if len(data) > room and not self.done.called:
            self._stop()
            self.done.callback((bytes(self._kept), False))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        # PotentialDataLoss: a body without a length ended with its connection, as HTTP/1.0 servers do it.
        if isinstance(reason.value, (ResponseDone, PotentialDataLoss)):
            self.done.callback((bytes(self._kept), True))
        else:
            self.done.errback(reason)

    def _stop(self) -> None:
        """Close at once. `loseConnection` would wait for a TLS peer's goodbye, which one that hangs never says."""
        transport: Any = self.transport
        if transport is not None:
            transport.stopProducing()


@implementer(IAgent)
class _Exactly:
    """Asks for one URL, whatever treq makes of it: its idna refuses hosts such as `[::1]` and `my_service`."""

    def __init__(self, agent: IAgent, url: bytes) -> None:
        self._agent = agent
        self._url = url

    def request(
        self,
        method: bytes,
        uri: bytes,  # noqa: ARG002  # IAgent's
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803  # IAgent's
    ) -> Deferred[IResponse]:
        return self._agent.request(method, self._url, headers, bodyProducer)


@implementer(IBodyProducer)
class Whole:
    """A request body in one piece; ours are small, and treq's own producer would need the global reactor."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """All is written already."""

    def resumeProducing(self) -> None:
        """All is written already."""

    def stopProducing(self) -> None:
        """All is written already."""
