"""One connection that HTTP/1.1 is spoken over as a client: one request at a time, parsed in C, kept for the next.

The parser (llhttp, by httptools) is strict about framing. What it leaves to us: an answer that nobody asked for,
interim answers, answers to HEAD, bodies that end with their connection, and how much a server may say at most.
"""

from collections.abc import Callable
from typing import Any, Final
from typing import Protocol as Interface

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Connection as TCPConnection
from twisted.python.failure import Failure
from zope.interface import implementer

from tutumstream.errors import ExchangeError

HEAD_LIMIT: Final = 65536
"""Bytes of an answer's headers, interim answers included, and of whatever else is no body."""

_LARGE: Final = 65536
"""Bytes of a request from which on it matters whether an answer came before all of it was sent."""

_GOODBYE_SECONDS: Final = 5.0
"""How long a TLS peer may take to answer our goodbye."""


class Request(Interface):
    """What a connection sends, and who is told what comes back: `begins`, `receives` as often as it takes, `ends`; or
    `fails` at any time. Nothing is told any more after `ends` or `fails`, or once the connection dropped it.

    Attributes:
        data: head and body.
        bodiless: its answer has no body whatever the answer says: it is a HEAD.
        again: it may be sent a second time.
        connection: the one that it was given to, None while it waits for one.
    """

    data: bytes
    bodiless: bool
    again: bool
    connection: "Connection | None"

    def begins(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """The head of the answer: names as the server wrote them, in its order."""

    def receives(self, data: bytes) -> None:
        """Some of the body."""

    def ends(self, whole: bool) -> None:
        """That was the answer. `whole` is False where it had no length and its connection was cut."""

    def fails(self, problem: Failure) -> None:
        """There will be no whole answer."""


@implementer(IHandshakeListener, IPushProducer)
class Connection(Protocol):
    """Give it a request by `send` when it is ready, and again whenever it says that it is free.

    Args:
        origin: how the server is named in troubles.
        secure: ready only after the TLS handshake, which has verified the server by then.
        free: called with it when an answer ended and another request may be sent.
        gone: called with it when it is closed, and with a request that should be sent once more on a new connection:
            this one had been kept, and was closed before a byte of the answer came (RFC 9112, 9.3.1).

    Attributes:
        ready: fires when it can be used, or fails with why it never can. Cancel it to give up.
        closed: fires in the end.
        idle_since: for its owner to note.
    """

    transport: Any

    def __init__(
        self,
        origin: str,
        secure: bool,
        clock: IReactorTime,
        free: Callable[["Connection"], None],
        gone: Callable[["Connection", Request | None], None],
    ) -> None:
        self.ready: Deferred[None] = Deferred(lambda _: self.drop())
        self.closed: Deferred[None] = Deferred()
        self.idle_since = 0.0
        self._origin = origin
        self._secure = secure
        self._clock = clock
        self._free = free
        self._gone = gone
        self._parser: Any = HttpResponseParser(self)
        self._write_now: Callable[[bytes], int | BaseException] | None = None
        self._impatient: Any = None
        self._used = False
        self._request: Request | None = None
        self._expect()

    def _expect(self) -> None:
        """Everything that is known about an answer, before anything is."""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self._bodiless_bytes = 0
        self._heard = False
        self._interim = False
        self._begun = False
        self._over = False
        self._keep = True
        self._backed_up = False
        self._large = False
        self._problem = "its answer is not valid HTTP"

    def send(self, request: Request) -> None:
        """Send it; its answer is awaited from now on."""
        request.connection = self
        self._request = request
        data = request.data
        if len(data) >= _LARGE:
            self._large = True
            self.transport.registerProducer(self, True)
        elif self._write_now is not None:
            # One system call, and no turn of the reactor. Only as long as the transport never held anything back,
            # so that nothing is overtaken.
            sent = self._write_now(data)
            if sent == len(data):
                return
            if isinstance(sent, int):
                data = data[sent:]
        self._write_now = None
        self.transport.write(data)

    def drop(self) -> None:
        """Close at once and tell the request nothing more."""
        self._request = None
        self.transport.abortConnection()

    def abort(self) -> None:
        """Close at once; the request is told."""
        self.transport.abortConnection()

    def close(self) -> None:
        """Close politely, but do not wait for ever for a TLS peer that says no goodbye."""
        self.transport.loseConnection()
        self._impatient = self._clock.callLater(_GOODBYE_SECONDS, self.transport.abortConnection)

    def connectionMade(self) -> None:
        # Exactly this transport: what wraps it for TLS passes unknown names on to it, and would send in the clear.
        if isinstance(self.transport, TCPConnection) and not self.transport.TLS:
            self._write_now = self.transport.writeSomeData
        if not self._secure:
            self.ready.callback(None)

    def handshakeCompleted(self) -> None:
        """The server is who it should be."""
        self.ready.callback(None)

    def dataReceived(self, data: bytes) -> None:
        if self._request is None:
            self._keep = False
            self.transport.abortConnection()  # nobody asked for anything
            return
        self._heard = True
        self._bodiless_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as problem:
            self._keep = False
            if not self._over:
                self._broken(problem)
        if self._over:
            self._finish()
        elif self._bodiless_bytes > HEAD_LIMIT:
            self._say_too_long()
            self._broken(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._impatient is not None and self._impatient.active():
            self._impatient.cancel()
        self.closed.callback(None)
        if not self.ready.called:
            self.ready.errback(reason)
            return
        request, self._request = self._request, None
        if request is not None and self._used and not self._heard and request.again:
            request.again = False
            request.connection = None
            self._gone(self, request)
            return
        self._gone(self, None)
        if request is None:
            return
        if self._begun and not _has_length(self._headers):
            request.ends(reason.check(ConnectionDone) is not None)
        else:
            request.fails(reason)

    def _finish(self) -> None:
        request, self._request = self._request, None
        keep = self._keep and not self._backed_up and self._parser.should_keep_alive()
        if self._large:
            self.transport.unregisterProducer()
        if keep:
            self._used = True
            self._expect()
            self._free(self)
        else:
            self.close()
        if request is not None:
            request.ends(True)

    def _broken(self, problem: BaseException | None) -> None:
        request = self._request
        self.drop()
        if request is None:
            return
        bug = problem.__context__ if isinstance(problem, HttpParserCallbackError) else None
        if bug is not None and not isinstance(bug, HttpParserError):
            request.fails(Failure(bug))
        else:
            request.fails(Failure(ExchangeError(self._origin, self._problem)))

    def _say_too_long(self) -> None:
        self._problem = f"the headers of its answer are longer than {HEAD_LIMIT} bytes"

    # What the parser calls while it is fed; an error raised here stops it.

    def on_message_begin(self) -> None:
        if self._over:
            raise HttpParserError("an answer that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + 4
        if not self._begun:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._head_size > HEAD_LIMIT:
            self._say_too_long()
            raise HttpParserError(self._problem)
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._interim = True
            self._headers.clear()
            return
        self._begun = True
        if self._request is not None:
            self._request.begins(status, self._headers)
            if self._request is not None and self._request.bodiless:
                # The parser can't know that no body comes; so nothing else is asked of it.
                self._over = True
                self._keep = False

    def on_body(self, data: bytes) -> None:
        self._bodiless_bytes = 0
        if self._request is not None and not self._over:
            self._request.receives(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        else:
            self._over = True

    # What the transport calls while it sends a large request.

    def pauseProducing(self) -> None:
        """Not all of it is sent."""
        self._backed_up = True

    def resumeProducing(self) -> None:
        """All of it is sent."""
        self._backed_up = False

    def stopProducing(self) -> None:
        """The connection is lost, which is told elsewhere."""


def _has_length(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether an answer says where its body ends; if not, it ends with the connection (RFC 9112, 6.3)."""
    return any(
        name.lower() == b"content-length"
        or (name.lower() == b"transfer-encoding" and value.lower().rstrip().endswith(b"chunked"))
        for name, value in headers
    )
