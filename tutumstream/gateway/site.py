"""One port for both of Tutum's APIs: the Stream under `/v1/`, everything else to the REST API."""

from typing import Final, cast

from autobahn.twisted.resource import WebSocketResource
from twisted.internet.interfaces import IAddress, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tutumstream.gateway.access import Access, presented
from tutumstream.gateway.platform import IPlatform
from tutumstream.gateway.rest import RestResource, failed
from tutumstream.gateway.streaming import Admission, StreamFactory

IDLE_TIMEOUT: Final = 60.0
"""Seconds after which an HTTP connection without a request is closed. Streams are not touched by it."""


BODY_LIMIT: Final = 64 * 1024


class Channel(HTTPChannel):
    """HTTP/1.1, with an ear for python-tutum 0.16 to 0.20.

    These send the line `User-Agent`, without a colon, in the handshake of the stream (protocol A10). It is dropped
    there; elsewhere it stays the error that it is.
    """

    def headerReceived(self, line: bytes) -> bool:
        """Take one header line; False where the request was refused."""
        if b":" not in line and _segments(self._path)[:1] == [b"v1"]:
            return True
        taken: bool = super().headerReceived(line)
        return taken


class SmallRequest(Request):
    """A request that may bring a body, as go-tutum's do, but not a large one: nobody here reads it."""

    def handleContentChunk(self, data: bytes) -> None:
        """Take a part of the body, or cut the connection."""
        if self.content is None or self.content.tell() + len(data) > BODY_LIMIT:
            cast(ITCPTransport, self.channel.transport).abortConnection()
        else:
            super().handleContentChunk(data)


def _segments(path: bytes) -> list[bytes]:
    return [segment for segment in path.partition(b"?")[0].split(b"/") if segment]


class Door:
    """What Autobahn's resource takes for a factory: makes the one protocol whose request was judged already."""

    def __init__(self, factory: StreamFactory, admission: Admission, user: str) -> None:
        self._factory = factory
        self._admission = admission
        self._user = user

    def buildProtocol(self, address: IAddress | None) -> Protocol:
        """The protocol for this connection."""
        return self._factory.admit(address, self._admission, self._user)


class StreamResource(Resource):
    """Everything under `/v1/`: always a WebSocket, whatever the credentials and the path (protocol A3)."""

    isLeaf = True

    def __init__(self, factory: StreamFactory, access: Access) -> None:
        super().__init__()
        self._factory = factory
        self._access = access

    def render(self, request: Request) -> bytes | int:
        """Judge the request, then hand its connection over to Autobahn."""
        upgrades = request.getHeader(b"upgrade") or b""
        if b"websocket" not in [one.strip().lower() for one in upgrades.split(b",")]:
            request.setResponseCode(426, b"Upgrade Required")
            request.setHeader(b"upgrade", b"websocket")
            return self._without_upgrade(request)
        user = self._access.granted(presented(request.getHeader(b"authorization"), request.args or {}))
        if user is None:
            admission = Admission.UNAUTHORIZED
        elif _segments(request.path) == [b"v1", b"events"]:
            admission = Admission.GRANTED
        else:
            admission = Admission.NO_SUCH_STREAM
        # Autobahn logs what it dislikes about a request: it shall not see credentials. Origins are not checked, as
        # old clients send invented ones (protocol A10); there are no cookies that a foreign page could make use of.
        request.uri = b"/v1/events"
        request.requestHeaders.removeHeader(b"authorization")
        request.requestHeaders.removeHeader(b"origin")
        taken: bytes | int = WebSocketResource(Door(self._factory, admission, user or "")).render(request)
        return taken

    def _without_upgrade(self, request: Request) -> bytes:
        reply = failed(request, 426, "this is the Stream API: connect with a WebSocket client")
        request.setResponseCode(426, b"Upgrade Required")
        return reply


class RootResource(Resource):
    """Chooses the API by the path's first segment."""

    isLeaf = True

    def __init__(self, stream: StreamResource, rest: RestResource) -> None:
        super().__init__()
        self._stream = stream
        self._rest = rest

    def render(self, request: Request) -> bytes | int:
        """Pass the request on."""
        if _segments(request.path)[:1] == [b"v1"]:
            return self._stream.render(request)
        return self._rest.render(request)


class GatewaySite(Site):
    """A Tutum to connect to, over any platform.

    Args:
        clock: for time-outs and delays; the reactor.
        platform: has the objects; not started here.
        access: who may connect.
        stream: the Stream's clients.
    """

    _logger = Logger()
    noisy = False
    protocol = Channel  # type: ignore[assignment]  # Twisted's has a wrapper that can also become HTTP/2

    def __init__(self, clock: IReactorTime, platform: IPlatform, access: Access, stream: StreamFactory) -> None:
        root = RootResource(StreamResource(stream, access), RestResource(platform, access, clock))
        super().__init__(root, SmallRequest, timeout=IDLE_TIMEOUT, reactor=clock, parsePOSTFormSubmission=False)
        self.stream = stream

    def acceptableProtocols(self) -> list[bytes]:
        """Over TLS: HTTP/1.1 only, as a WebSocket can't begin on Twisted's HTTP/2."""
        return [b"http/1.1"]

    def log(self, request: HTTPRequest) -> None:
        """One line a request, at debug: the path only, as the query may hold credentials (protocol A2)."""
        self._logger.debug(
            "{peer} {method} {path} {code}",
            peer=str(request.getClientAddress()),
            method=request.method.decode("ascii", "replace"),
            path=request.path.decode("ascii", "replace"),
            code=request.code,
        )
