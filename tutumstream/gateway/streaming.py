"""The Stream API's server side: one feed of changes to any number of WebSocket clients.

Every message is framed once for all clients. The handshake always succeeds (protocol A3): who may not listen hears so
in an `error` message and is closed a little later, because clients of 2015 reconnect at once and without end.
"""

import json
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, cast

import txaio
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.protocol import PreparedMessage
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IAddress, IConsumer, IReactorTime
from twisted.logger import Logger

from tutumstream.gateway.backlog import Backlog
from tutumstream.gateway.platform import Change

CLOSE_DELAY: Final = 1.5
"""Seconds between a refusal and the close (protocol A3 asks for one at least)."""

PING_INTERVAL: Final = 20
PING_TIMEOUT: Final = 10
MESSAGE_LIMIT: Final = 64 * 1024
"""Bytes of one message from a client; they have nothing to say."""

BACKLOG_LIMIT: Final = 4 * 1024 * 1024
GOING_AWAY: Final = 1001
NORMAL: Final = 1000


class Admission(Enum):
    """How a connection is received."""

    GRANTED = "auth"
    UNAUTHORIZED = "UNAUTHORIZED"
    NO_SUCH_STREAM = "NOT_FOUND"

    def greeting(self) -> bytes:
        """The first message, in the form that the clients look for (protocol A3, A4)."""
        if self is Admission.GRANTED:
            return b'{"type": "auth"}'
        return json.dumps({"type": "error", "data": {"errorMessage": self.value}}).encode()


def encode(change: Change) -> bytes:
    """One event as the wire has it: all five keys, in the order of the documentation's example (protocol A5)."""
    return json.dumps(
        {
            "type": change.type,
            "action": change.action,
            "parents": list(change.parents),
            "resource_uri": change.resource_uri,
            "state": change.state,
        }
    ).encode()


class StreamProtocol(WebSocketServerProtocol):
    """One client of the stream."""

    # Not `log`: Autobahn uses that name itself.
    _logger = Logger()

    factory: "StreamFactory"
    admission = Admission.UNAUTHORIZED
    user = ""

    def connectionMade(self) -> None:
        """Take the transport over from the HTTP channel, which watched its buffer until now."""
        super().connectionMade()
        self._backlog = Backlog(self._write, self.sendPong, self._evict, self.factory.backlog_limit)
        transport = cast(IConsumer, self.transport)
        transport.unregisterProducer()
        transport.registerProducer(self._backlog, True)

    def onConnect(self, request: ConnectionRequest) -> None:
        """Accept, with no subprotocol: none was ever spoken here (protocol A10)."""

    def onOpen(self) -> None:
        """Greet; from then on a client hears every change."""
        self.factory.opened(self)

    def onPing(self, payload: bytes) -> None:
        """Answer at once, or when the client has taken what waits for it."""
        self._backlog.answer(payload)

    def onClose(self, _was_clean: bool, code: int | None, reason: str | None) -> None:
        """Forget the client."""
        self._backlog.stopProducing()
        self.factory.closed(self, code, reason)

    def put(self, message: PreparedMessage) -> None:
        """Send one message, as soon as the client reads."""
        self._backlog.put(message)

    def say_goodbye(self, code: int, reason: str) -> None:
        """Start the closing handshake. Autobahn's `sendClose` would not let 1001 pass; a server may send it."""
        if self.state == self.STATE_OPEN:
            self._backlog.stopProducing()
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode(), isReply=False)

    def _write(self, message: PreparedMessage) -> None:
        # Autobahn does not check this for prepared messages; nothing may follow a close frame (RFC 6455, 5.5.1).
        if self.state == self.STATE_OPEN:
            self.sendPreparedMessage(message)

    def _evict(self) -> None:
        self._logger.warn(
            "Stream client {user} at {peer} reads too slowly and was cut off", user=self.user, peer=self.peer
        )
        self.dropConnection(abort=True)


class StreamFactory(WebSocketServerFactory):
    """Makes and holds the clients.

    Args:
        clock: for all delays. Autobahn's own timers follow `txaio.config.loop`, one for the whole process, which is
            set to this.
        backlog_limit: bytes that may wait for one client before it is cut off.
    """

    _logger = Logger()
    protocol: Callable[[], StreamProtocol] = StreamProtocol  # type: ignore[assignment]  # see `admit`

    def __init__(self, clock: IReactorTime, backlog_limit: int = BACKLOG_LIMIT) -> None:
        loop: Any = txaio
        loop.config.loop = clock
        super().__init__(reactor=clock, server="")
        self.backlog_limit = backlog_limit
        self._clock = clock
        self._clients: dict[StreamProtocol, None] = {}
        self._refused: dict[StreamProtocol, None] = {}
        self._ending = False
        self.setProtocolOptions(
            maxMessagePayloadSize=MESSAGE_LIMIT,
            maxFramePayloadSize=MESSAGE_LIMIT,
            autoPingInterval=PING_INTERVAL,
            autoPingTimeout=PING_TIMEOUT,
            closeHandshakeTimeout=2,
            perMessageCompressionAccept=_deflate,
        )

    def admit(self, address: IAddress | None, admission: Admission, user: str) -> StreamProtocol:
        """A protocol for a connection whose request was read and judged already."""
        protocol = cast(StreamProtocol, self.buildProtocol(address))
        protocol.admission = admission
        protocol.user = user
        return protocol

    def opened(self, client: StreamProtocol) -> None:
        """The handshake is done."""
        client.put(self.prepareMessage(client.admission.greeting()))
        if self._ending:
            client.say_goodbye(GOING_AWAY, "the gateway is stopping")
        elif client.admission is Admission.GRANTED:
            self._logger.info("Stream client {user} connected from {peer}", user=client.user, peer=client.peer)
            self._clients[client] = None
        else:
            self._logger.info(
                "Stream client at {peer} refused: {why}", peer=client.peer, why=client.admission.value.lower()
            )
            self._refused[client] = None
            self._clock.callLater(CLOSE_DELAY, client.say_goodbye, NORMAL, client.admission.value)

    def closed(self, client: StreamProtocol, code: int | None, reason: str | None) -> None:
        """The connection is gone, or never got through its handshake."""
        self._refused.pop(client, None)
        if client in self._clients:
            del self._clients[client]
            self._logger.info(
                "Stream client {user} at {peer} left ({code}: {reason})",
                user=client.user,
                peer=client.peer,
                code=code,
                reason=reason,
            )

    def tell(self, change: Change) -> None:
        """Tell one change to every client."""
        if not self._clients:
            return
        message = self.prepareMessage(encode(change))
        for client in tuple(self._clients):
            client.put(message)

    @property
    def clients(self) -> int:
        """How many listen."""
        return len(self._clients)

    def interrupt(self, reason: str) -> None:
        """Close every client once; they may come back at once."""
        for client in tuple(self._clients):
            client.say_goodbye(GOING_AWAY, reason)

    def end(self) -> Deferred[list[None]]:
        """Close every client, now and from now on; fires when the last is gone, in a few seconds at most."""
        self._ending = True
        sessions = [*self._clients, *self._refused]
        for client in sessions:
            client.say_goodbye(GOING_AWAY, "the gateway is stopping")
        return gatherResults([_when_closed(client) for client in sessions])


def _when_closed(client: StreamProtocol) -> Deferred[None]:
    # Autobahn's own `is_closed` is for all to see: each waiter needs one that it may change.
    waiter: Deferred[None] = Deferred()

    def closed(result: object) -> object:
        waiter.callback(None)
        return result

    client.is_closed.addCallback(closed)
    return waiter


def _deflate(offers: list[object]) -> PerMessageDeflateOfferAccept | None:
    """permessage-deflate for whoever offers it."""
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(offer)
    return None
