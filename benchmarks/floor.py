"""The least that a program on Twisted's reactor can do for an event, to tell our own cost from the reactor's.

Reads frames from $STREAM, decodes each event, and posts it to $SINK on one of 50 kept connections. Nothing else: the
handshake, the frames and the answers are read only as far as this source and this sink need it, and there is no
routing, no journal, no lane, no deadline and no error. `service.py --peer 'python benchmarks/floor.py'` runs it.
"""

import os
from collections import deque
from typing import Any
from urllib.parse import urlsplit

import msgspec
from twisted.internet import epollreactor

epollreactor.install()

from twisted.internet import reactor as installed  # noqa: E402
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone  # noqa: E402
from twisted.python.failure import Failure  # noqa: E402

IN_FLIGHT = 50

HANDSHAKE = (
    "GET /v1/events HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

reactor: Any = installed


class Poster(Protocol):
    """One kept connection to the sink."""

    transport: Any

    def __init__(self, work: "Work") -> None:
        self._work = work

    def connectionMade(self) -> None:
        self._work.free(self)

    def post(self, head: bytes, body: bytes) -> None:
        """Send one event. The answer of the sink always comes in one piece."""
        self.transport.writeSomeData(b"%b%d\r\n\r\n%b" % (head, len(body), body))

    def dataReceived(self, _data: bytes) -> None:
        self._work.free(self)


class Work:
    """Events that wait for a connection, or connections that wait for an event."""

    def __init__(self, sink: str) -> None:
        address = urlsplit(sink)
        self._head = (
            f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
            "Content-Length: "
        ).encode()
        self._waiting: deque[bytes] = deque()
        self._idle: list[Poster] = []

    def take(self, event: dict[str, str]) -> None:
        """One more event."""
        text = f"Your {event['type']} was {event['action']}d: {event['resource_uri']}"
        body = msgspec.json.encode({"text": text})
        if self._idle:
            self._idle.pop().post(self._head, body)
        else:
            self._waiting.append(body)

    def free(self, poster: Poster) -> None:
        """This connection may post again."""
        if self._waiting:
            poster.post(self._head, self._waiting.popleft())
        else:
            self._idle.append(poster)


class Stream(Protocol):
    """Frames of a server: text of fewer than 65,536 bytes."""

    transport: Any

    def __init__(self, work: Work, host: str) -> None:
        self._work = work
        self._host = host
        self._open = False
        self._rest = b""

    def connectionMade(self) -> None:
        self.transport.write(HANDSHAKE.format(host=self._host).encode())

    def dataReceived(self, data: bytes) -> None:
        data = self._rest + data
        start = 0
        if not self._open:
            start = data.find(b"\r\n\r\n") + 4
            if start < 4:
                self._rest = data
                return
            self._open = True
        decode, take = msgspec.json.decode, self._work.take
        while len(data) >= start + 4:
            size, body = data[start + 1], start + 2
            if size == 126:
                size, body = int.from_bytes(data[body : body + 2], "big"), body + 2
            if len(data) < body + size:
                break
            event = decode(data[body : body + size])
            if event["type"] != "auth":
                take(event)
            start = body + size
        self._rest = data[start:]

    def connectionLost(self, _reason: Failure = connectionDone) -> None:
        if reactor.running:
            reactor.stop()


def main() -> None:
    """Run until the stream ends."""
    stream, sink = urlsplit(os.environ["STREAM"]), urlsplit(os.environ["SINK"])
    work = Work(os.environ["SINK"])
    posters, streams = (
        ClientFactory.forProtocol(lambda: Poster(work)),
        ClientFactory.forProtocol(lambda: Stream(work, stream.netloc)),
    )
    for _ in range(IN_FLIGHT):
        reactor.connectTCP(sink.hostname, sink.port, posters)
    reactor.connectTCP(stream.hostname, stream.port, streams)
    reactor.run()


if __name__ == "__main__":
    main()
