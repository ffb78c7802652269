"""What a slow client has not taken yet, up to a limit.

A transport says when its own buffer is full and when it has drained (twisted's `IPushProducer`). Between the two,
messages wait here, where they are counted: one client that stops reading costs a bounded amount of memory and nobody
else notices.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Final, cast

from autobahn.websocket.protocol import PreparedMessage
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IPushProducer, ITCPTransport, ITransport
from zope.interface import implementer


class Parcel:
    """Messages that go out together, in order: made once for all who get the same.

    Attributes:
        frames: all of them on the wire, for a connection without extensions.
    """

    __slots__ = ("frames", "messages")

    def __init__(self, messages: Iterable[PreparedMessage]) -> None:
        self.messages: Final = tuple(messages)
        self.frames: Final = b"".join(message.payloadHybi for message in self.messages)


@implementer(IPushProducer)
class Backlog:
    """A queue in front of one transport.

    Args:
        send: writes one parcel to the transport; may call `pauseProducing` before it returns.
        pong: answers a ping.
        full: called once more than `limit` bytes wait; nothing is sent after that.
        limit: bytes of frames.
        flow: called with True when the transport is full and with False when it has drained.

    Attributes:
        drained: how often the transport has.
    """

    def __init__(
        self,
        send: Callable[[Parcel], object],
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
        self._waiting: deque[Parcel] = deque()
        self._size = 0
        self._paused = False
        self._ended = False
        self.drained = 0
        self._then: Callable[[], object] | None = None
        self._ping: bytes | None = None

    def put(self, parcel: Parcel, send: Callable[[Parcel], object] | None = None) -> None:
        """Send it now, in that way if one is given, or as soon as the transport has room, in order."""
        if self._ended:
            return
        if not self._paused and not self._waiting:
            (send or self._send)(parcel)
            return
        self._waiting.append(parcel)
        self._size += len(parcel.frames)
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
            parcel = self._waiting.popleft()
            self._size -= len(parcel.frames)
            self._send(parcel)
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
        self.drained += 1
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


def hand_over(transport: ITransport, data: bytes) -> None:
    """Write, to the kernel at once where that is possible: the reactor would ask in its next turn whether it may, which
    costs as much again for each connection. What does not fit, and what goes wrong, is left to the reactor."""
    if isinstance(transport, FileDescriptor) and transport.connected and not _is_busy(transport):
        sent = transport.writeSomeData(data)
        if isinstance(sent, int) and sent > 0:
            data = data[sent:]
    if data:
        transport.write(data)


def _is_busy(transport: FileDescriptor) -> bool:
    # What it has still to write is in one of two places.
    return bool(transport.disconnecting or transport.dataBuffer or transport._tempDataBuffer)


def not_yet_taken(transport: object) -> int:
    """Bytes that the kernel has still to get rid of, as they go to a client that reads slowly; 0 where it does not say
    (https://man7.org/linux/man-pages/man7/tcp.7.html, SIOCOUTQ)."""
    try:
        said = ioctl(cast(FileDescriptor, transport).fileno(), TIOCOUTQ, bytes(4))
    except (AttributeError, OSError, ValueError):
        # It is none of the kernel's, or is closed.
        return 0
    return int.from_bytes(said, sys.byteorder)


def send_at_once(transport: object) -> None:
    """Let small messages not wait for the acknowledgement of the one before, which clients delay by 40 ms (Nagle's
    algorithm). Autobahn has an option for this and never uses it; UNIX sockets have no such thing."""
    tcp = cast(ITCPTransport, transport)
    if isinstance(tcp.getPeer(), IPv4Address | IPv6Address):
        tcp.setTcpNoDelay(True)
