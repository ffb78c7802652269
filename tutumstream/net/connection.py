"""One connection that HTTP/1.1 is spoken over as a client: one request at a time, and kept for the next."""

from collections.abc import Callable
from typing import Any, Final
from typing import Protocol as Interface

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Connection as TCPConnection
from twisted.python.failure import Failure
from zope.interface import implementer

from tutumstream.net.answer_parser import AnswerParser, Reader

_LARGE: Final = 65536
"""Bytes of a request from which on it matters whether an answer came before all of it was sent."""

_GOODBYE_SECONDS: Final = 5.0
"""How long a TLS peer may take to answer our goodbye."""


class Request(Reader, Interface):
    """What a connection sends, and who is told the answer. Nothing is told any more after `ends` or `fails`, or once
    the connection dropped it.

    Attributes:
        data: head and body.
        again: it may be sent a second time.
        connection: the one that it was given to, None while it waits for one.
    """

    data: bytes
    again: bool
    connection: "Connection | None"


@implementer(IHandshakeListener, IPushProducer)
class Connection(Protocol):
    """Give it a request by `send` when it is ready, and again whenever it says that it is free.

    Args:
        origin: how the server is named in troubles.
        secure: ready only after the TLS handshake, which has verified the server by then.
        free: called with it when an answer ended and another request may be sent.
        gone: called with it when it can't be used any more, perhaps more than once; and with a request that should be
            sent once more on a new connection: this one had been kept, and was closed before a byte of the answer
            came (RFC 9112, 9.3.1).

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
        self._secure = secure
        self._clock = clock
        self._free = free
        self._gone = gone
        self._answer = AnswerParser(origin)
        self._request: Request | None = None
        self._write_now: Callable[[bytes], int | BaseException] | None = None
        self._large = False
        self._backed_up = False
        self._used = False
        self._impatient: Any = None

    def send(self, request: Request) -> None:
        """Send it; its answer is awaited from now on."""
        request.connection = self
        self._request = request
        self._answer.expect(request)
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
        self._answer.forget()
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
            # Nobody asked for anything. Its owner is told before the transport gets to it, lest it is used meanwhile.
            self.transport.abortConnection()
            self._gone(self, None)
            return
        answer = self._answer
        answer.feed(data)
        request = self._request
        if request is None:
            return  # dropped amid its answer
        if answer.over:
            self._finish(request)
        elif answer.trouble is not None:
            self.drop()
            request.fails(Failure(answer.trouble))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._impatient is not None and self._impatient.active():
            self._impatient.cancel()
        self.closed.callback(None)
        if not self.ready.called:
            self.ready.errback(reason)
            return
        request, self._request = self._request, None
        if request is not None and self._used and request.again and not self._answer.heard:
            request.again = False
            request.connection = None
            self._gone(self, request)
            return
        self._gone(self, None)
        if request is None:
            return
        if self._answer.ends_with_connection:
            request.ends(reason.check(ConnectionDone) is not None)
        else:
            request.fails(reason)

    def _finish(self, request: Request) -> None:
        """The answer is whole. The connection is given back before its request hears that, and may ask again."""
        self._request = None
        keep = self._answer.keep and not self._backed_up
        if self._large:
            self._large = False
            self.transport.unregisterProducer()
        if keep:
            self._used = True
            self._free(self)
        else:
            self.close()
        request.ends(True)

    # What the transport calls while it sends a large request.

    def pauseProducing(self) -> None:
        """Not all of it is sent."""
        self._backed_up = True

    def resumeProducing(self) -> None:
        """All of it is sent."""
        self._backed_up = False

    def stopProducing(self) -> None:
        """The connection is lost, which is told elsewhere."""
