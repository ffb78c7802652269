"""What a slow client has not taken yet, up to a limit.

A transport says when its own buffer is full and when it has drained (twisted's `IPushProducer`). Between the two,
messages wait here, where they are counted: one client that stops reading costs a bounded amount of memory and nobody
else notices.
"""

from collections import deque
from collections.abc import Callable
from typing import cast

from autobahn.websocket.protocol import PreparedMessage
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from zope.interface import implementer


@implementer(IPushProducer)
class Backlog:
    """A queue in front of one transport.

    Args:
        send: writes one message to the transport; may call `pauseProducing` before it returns.
        pong: answers a ping.
        full: called once more than `limit` bytes wait; nothing is sent after that.
        limit: bytes of payload.
        flow: called with True when the transport is full and with False when it has drained.
    """

    def __init__(
        self,
        send: Callable[[PreparedMessage], object],
        pong: Callable[[bytes], object],
        full: Callable[[], object],
        limit: int,
        flow: Callable[[bool], object] = bool,
    ) -> None:
        self._send = send
        self._pong = pong
        self._full = full
        self._limit = limit
        self._flow = flow
        self._waiting: deque[PreparedMessage] = deque()
        self._size = 0
        self._paused = False
        self._ended = False
        self._then: Callable[[], object] | None = None
        self._ping: bytes | None = None

    def put(self, message: PreparedMessage) -> None:
        """Send it now, or as soon as the transport has room, in order."""
        if self._ended:
            return
        if not self._paused and not self._waiting:
            self._send(message)
            return
        self._waiting.append(message)
        self._size += len(message.payload)
        self._flush()
        if self._size > self._limit:
            self.stopProducing()
            self._full()

    def when_empty(self, then: Callable[[], object]) -> None:
        """Call this once, when all that was put has been sent; at once where nothing waits."""
        if self._waiting:
            self._then = then
        else:
            then()

    def answer(self, ping: bytes) -> None:
        """Answer a ping. Of several that came while the transport was full only the newest is (RFC 6455, 5.5.3)."""
        if self._paused:
            self._ping = ping
        else:
            self._pong(ping)

    def _flush(self) -> None:
        while self._waiting and not self._paused:
            message = self._waiting.popleft()
            self._size -= len(message.payload)
            self._send(message)
        if not self._waiting and self._then is not None:
            then, self._then = self._then, None
            then()

    def pauseProducing(self) -> None:
        """The transport is full."""
        self._paused = True
        self._flow(True)

    def resumeProducing(self) -> None:
        """The transport has drained."""
        self._paused = False
        if self._ping is not None:
            ping, self._ping = self._ping, None
            self._pong(ping)
        self._flush()
        if not self._paused:
            self._flow(False)

    def stopProducing(self) -> None:
        """The transport is gone."""
        self._ended = True
        self._then = None
        self._waiting.clear()
        self._size = 0
        self._ping = None


def send_at_once(transport: object) -> None:
    """Let small messages not wait for the acknowledgement of the one before, which clients delay by 40 ms (Nagle's
    algorithm). Autobahn has an option for this and never uses it; UNIX sockets have no such thing."""
    tcp = cast(ITCPTransport, transport)
    if isinstance(tcp.getPeer(), IPv4Address | IPv6Address):
        tcp.setTcpNoDelay(True)
