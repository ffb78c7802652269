"""What our HTTP servers share: HTTP/1.1 within bounds that Twisted leaves to whoever uses it.

A request has to be whole in time, however its sender drips it. A body that is too long is refused as soon as that is
known, and what is still on its way is read and dropped for as long: a client that is sending would hear no answer from
a connection that is cut.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet.interfaces import IReactorTime, ITransport
from twisted.internet.protocol import Protocol
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request, Site

TIMEOUT: Final = 60.0
"""Seconds for a whole request, from the beginning of its connection or from the answer before it."""

BODY_LIMIT: Final = 256 * 1024
"""Bytes of a request's body."""

_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*)/?(.*)", re.IGNORECASE)


class BoundedChannel(HTTPChannel):
    """One connection."""

    _rest: Callable[[bytes], object] | None = None
    """Takes what still comes, once no further request can."""

    _closing = False

    def __init__(self) -> None:
        super().__init__()
        # In Twisted's own name, as it tells of every connection that times out: that is left out of our log.
        self._log = HTTPChannel._log

    def resetTimeout(self) -> None:
        """Let no byte earn its sender more time; Twisted would be satisfied with one a minute."""

    def pauseProducing(self) -> None:
        """Read and answer nothing more until the client has taken the answers that are there; Twisted goes on."""
        super().pauseProducing()
        self.paused = True
        self._networkProducer.pauseProducing()

    def resumeProducing(self) -> None:
        """Go on, with what has come already at first."""
        self.paused = False
        super().resumeProducing()
        self.dataReceived(b"")

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002  (Twisted gives it)
        """Say so; Twisted would close without a word."""
        self.refuse(b"431 Request Header Fields Too Large", f"a line is longer than {self.MAX_LENGTH} bytes")

    def headerReceived(self, line: bytes) -> bool:
        """Take one header line; False where the request was refused."""
        try:
            return bool(super().headerReceived(line))
        except ValueError:
            # Python reads no number of thousands of digits, and only a length is read as one.
            self.refuse_body()
            return False

    def allHeadersReceived(self) -> None:
        """Go on with the body, or refuse it before its sender is told to go on (RFC 9110, 10.1.1)."""
        # No length is a chunked body, which is counted as it comes.
        if self.length is not None and self.length > BODY_LIMIT:
            self.refuse_body()
        else:
            super().allHeadersReceived()

    def refuse_body(self) -> None:
        """It is too long, or is going to be."""
        self.refuse(b"413 Content Too Large", f"the body is longer than {BODY_LIMIT} bytes")

    def refuse(self, status: bytes, problem: str) -> None:
        """Answer, and drop what still comes until the client closes or the time is over."""
        self._rest = bool
        self.setRawMode()
        body = json.dumps({"error": problem}).encode()
        cast(ITransport, self.transport).write(
            b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )

    def loseConnection(self) -> None:
        """Close, once the client has taken what it was answered; it has as long for that as for a request."""
        if not self._closing:
            self._closing = True
            if self._abortingCall is None:
                self.setTimeout(TIMEOUT)
            super().loseConnection()

    def hand_over(self, successor: Protocol) -> None:
        """Give another protocol what comes after the request that is being answered, or has come already."""
        self._rest = successor.dataReceived
        successor.dataReceived(b"".join(self._dataBuffer))

    def rawDataReceived(self, data: bytes) -> None:
        """Take a part of a body, or of what came after a request that is being answered."""
        if self._rest is None:
            super().rawDataReceived(data)
        else:
            self._rest(data)

    def allContentReceived(self) -> None:
        """Have the request answered."""
        if self._rest is None:
            super().allContentReceived()


class BoundedRequest(Request):
    """One request."""

    _size = 0

    def handleContentChunk(self, data: bytes) -> None:
        """Take a part of the body, as long as it is not too much."""
        before, self._size = self._size, self._size + len(data)
        if self._size <= BODY_LIMIT:
            super().handleContentChunk(data)
        elif before <= BODY_LIMIT:
            cast(BoundedChannel, self.channel).refuse_body()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Answer it. A whole URL, as proxies get it, means its host and its path (RFC 9112, 3.2.2)."""
        if whole := _ABSOLUTE.fullmatch(path):
            self.requestHeaders.setRawHeaders(b"host", [whole[1]])
            path = b"/" + whole[2]
        super().requestReceived(command, path, version)

    def render(self, resrc: IResource) -> None:
        """Write what a resource answers that takes every method, as ours do. Of a HEAD request whose answer has a body
        Twisted would log the whole URL, and with it the credentials that it may hold."""
        if self.method != b"HEAD":
            super().render(resrc)
        elif (body := resrc.render(self)) is not NOT_DONE_YET:
            self.setHeader(b"content-length", b"%d" % len(cast(bytes, body)))
            self.finish()

    def getRequestHostname(self) -> bytes:
        """Who was asked, by the address where nobody says. Twisted fails at a UNIX socket's, which has no host."""
        named = self.getHeader(b"host") or hasattr(self.getHost(), "host")
        return super().getRequestHostname() if named else b"localhost"


class BoundedSite(Site):
    """Either server.

    Args:
        root: answers.
        clock: for time-outs; the global reactor by default.
    """

    noisy = False
    protocol = BoundedChannel  # type: ignore[assignment]  # Twisted's has a wrapper that can also become HTTP/2

    def __init__(self, root: IResource, clock: IReactorTime | None = None) -> None:
        super().__init__(cast(Any, root), BoundedRequest, timeout=TIMEOUT, reactor=clock, parsePOSTFormSubmission=False)

    def acceptableProtocols(self) -> list[bytes]:
        """Over TLS: HTTP/1.1 only. Twisted's HTTP/2 knows none of these bounds, and no WebSocket can begin on it."""
        return [b"http/1.1"]
