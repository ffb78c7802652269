"""One WebSocket client of ours, whatever it came for."""

from typing import Final, Protocol, cast

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.protocol import PreparedMessage
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.interfaces import IConsumer, IReactorTime, ITransport
from twisted.logger import Logger

from tutumstream.event import escaped
from tutumstream.gateway.backlog import Backlog, Parcel, hand_over, not_yet_taken, send_at_once

REASON_LIMIT: Final = 123
"""Bytes of the reason in a close frame (RFC 6455, 5.5)."""

POLICY_VIOLATION: Final = 1008
TOO_SLOW: Final = "this client reads too slowly"


class Visit(Protocol):
    """What a client came for."""

    def opened(self, client: "StreamProtocol") -> None:
        """The handshake is done."""

    def paused(self, is_paused: bool) -> None:
        """The client can take no more for now, or again."""

    def closed(self) -> None:
        """The client is gone; only after `opened`."""


class Host(Protocol):
    """Where it is a client."""

    backlog_limit: int
    autoPingTimeout: float
    reactor: IReactorTime

    def opened(self, client: "StreamProtocol") -> None:
        """The handshake is done."""

    def closed(self, client: "StreamProtocol", code: int | None, reason: str | None) -> None:
        """The connection is gone, or never got through its handshake."""


class StreamProtocol(WebSocketServerProtocol):
    """One client, whatever it came for.

    Attributes:
        known_as: by what it is known again when it comes back: user and address, without the port.
    """

    # Not `log`: Autobahn uses that name itself.
    _logger = Logger()

    factory: Host
    visit: Visit
    user = ""
    known_as = ""
    _lingers = False
    _taken_at_the_end = (-1, 0)

    def connectionMade(self) -> None:
        """Take the transport over from the HTTP channel, which watched its buffer until now."""
        super().connectionMade()
        self._backlog = Backlog(
            self._write, self.sendPong, self._evict, self.factory.backlog_limit, lambda full: self.visit.paused(full)
        )
        transport = cast(IConsumer, self.transport)
        transport.unregisterProducer()
        transport.registerProducer(self._backlog, True)
        send_at_once(self.transport)

    def onConnect(self, request: ConnectionRequest) -> None:
        """Accept, with no subprotocol: none was ever spoken here (protocol A10)."""

    def onOpen(self) -> None:
        """Let it have what it came for."""
        self.factory.opened(self)

    def sendPing(self, payload: bytes | None = None) -> None:
        """Send one, and note what it has to wait behind."""
        super().sendPing(payload)
        self._taken = self._progress()

    def onAutoPingTimeout(self) -> None:
        """Cut off who does not answer; but who takes what is before the ping, however slowly, has not got it yet."""
        before, self._taken = self._taken, self._progress()
        if self._taken > before:
            again = self.factory.reactor.callLater(self.factory.autoPingTimeout, self.onAutoPingTimeout)
            self.autoPingTimeoutCall = again  # type: ignore[assignment]  # Autobahn begins with None
        else:
            super().onAutoPingTimeout()

    def _progress(self) -> tuple[int, int]:
        """More whenever the client has taken something, and nothing was sent."""
        return self._backlog.drained, -not_yet_taken(self.transport)

    def onPing(self, payload: bytes) -> None:
        """Answer at once, or when the client has taken what waits for it."""
        self._backlog.answer(payload)

    def onClose(self, _was_clean: bool, code: int | None, reason: str | None) -> None:
        """Forget the client."""
        self._backlog.stopProducing()
        self.factory.closed(self, code, reason)

    def put(self, message: PreparedMessage) -> None:
        """Send one message, as soon as the client reads."""
        self._backlog.put(Parcel([message]))

    def deliver(self, parcel: Parcel) -> None:
        """Send these messages, before anything else is done if the client reads."""
        self._backlog.put(parcel, self._write_at_once)

    def onCloseHandshakeTimeout(self) -> None:
        """Cut off who does not answer our close; but who has not taken all that is before it, and still takes of it,
        has not got it yet."""
        before, waits = self._taken_at_the_end, self._lingers and self.state == self.STATE_CLOSING
        if waits and not_yet_taken(self.transport) and (now := self._progress()) > before:
            self._taken_at_the_end = now
            again = self.factory.reactor.callLater(self.factory.autoPingTimeout, self.onCloseHandshakeTimeout)
            self.closeHandshakeTimeoutCall = again  # type: ignore[assignment]  # Autobahn begins with None
        else:
            super().onCloseHandshakeTimeout()

    def say_goodbye(self, code: int, reason: str) -> None:
        """Start the closing handshake. Autobahn's `sendClose` would not let 1001 pass; a server may send it."""
        if self.state == self.STATE_OPEN:
            self._backlog.stopProducing()
            reason = escaped(reason, REASON_LIMIT)
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode(), isReply=False)
        elif self._lingers and self.state == self.STATE_CLOSING:
            # Who ends it now does not wait for that.
            self.dropConnection(abort=True)

    def end(self, code: int, reason: str) -> None:
        """Say goodbye once everything has been sent, and wait as long as the client takes it, however slowly."""
        self._backlog.when_empty(lambda: self._linger(code, reason))

    def _linger(self, code: int, reason: str) -> None:
        self._lingers = self.state == self.STATE_OPEN
        self.say_goodbye(code, reason)

    def _write(self, parcel: Parcel) -> None:
        # Autobahn does not check this for prepared messages; nothing may follow a close frame (RFC 6455, 5.5.1).
        if self.state != self.STATE_OPEN:
            return
        if self.websocket_extensions_in_use:
            for message in parcel.messages:
                self.sendPreparedMessage(message)
        else:
            # The frames as they are: Autobahn would compose a line of log for each, which costs ten times as much.
            cast(ITransport, self.transport).write(parcel.frames)

    def _write_at_once(self, parcel: Parcel) -> None:
        if self.state == self.STATE_OPEN and not self.websocket_extensions_in_use:
            hand_over(cast(ITransport, self.transport), parcel.frames)
        else:
            self._write(parcel)

    def _evict(self) -> None:
        self._logger.warn(
            "Stream client {user} at {peer} reads too slowly and is cut off", user=self.user, peer=self.peer
        )
        # It hears that where it reads the rest in time.
        self.say_goodbye(POLICY_VIOLATION, TOO_SLOW)
