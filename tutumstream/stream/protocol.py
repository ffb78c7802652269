"""Autobahn's corner: its callbacks, one line each, given to whoever watches the stream."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from autobahn.twisted.websocket import WebSocketClientProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from tutumstream.event import EXCERPT_LIMIT, escaped
from tutumstream.net.tunnel import refusal

_READ: Final = 16384
"""Bytes that are read at once."""
SILENT: Final = "it did not answer a ping in time"

_LONGER: Final = 126
"""The length of a payload of 126 to 65,535 bytes, which stands in the two bytes that follow."""


def whole_text(data: bytes, start: int) -> tuple[int, int] | None:
    """Where the payload of a frame begins and ends; None where it is anything else than a whole text message in one
    frame of at most 65,535 bytes, neither masked nor compressed (RFC 6455, section 5.2), and all there. Pure."""
    size = len(data)
    if size - start < 2 or data[start] != 0x81:
        return None
    begin, length = start + 2, data[start + 1]
    if length > _LONGER:
        return None
    if length == _LONGER:
        begin += 2
        length = int.from_bytes(data[start + 2 : begin])
        if length < _LONGER:
            return None
    end = begin + length
    return (begin, end) if end <= size else None


class Handlers(Protocol):
    """The four handlers of the tutorial, and who holds together what came together."""

    def together(self) -> AbstractContextManager[None]:
        """Entered while the messages are received that came in one piece."""

    def opened(self) -> None:
        """The upgrade was accepted."""

    def received(self, payload: bytes, is_binary: bool) -> None:
        """A message came."""

    def closed(self, code: int, reason: str) -> None:
        """An open connection ended; `code` as in RFC 6455, section 7.4."""

    def alive(self) -> None:
        """A pong came."""

    def failed(self, reason: str, status: int) -> None:
        """There was no connection: it could not be made, or the upgrade was refused with an HTTP status (else 0)."""


class StreamProtocol(WebSocketClientProtocol):
    """One connection. An exception in a callback would cost the connection, so the handlers must not raise."""

    was_open = False
    by_proxy = False
    """Whether a proxy is still asked for the way to the server."""

    held = False
    lost: Failure
    """How the connection ended, once it has."""

    problem = ""
    """Why we ended it ourselves, in words."""

    marks: dict[bytes, Callable[[], None]]

    http_status_line = ""
    """Of the answer to the upgrade. Autobahn has no such attribute before there is an answer."""

    def connectionMade(self) -> None:
        # Twisted's 64 KiB hold hundreds of events, so that in a storm those who are told fall behind those who tell,
        # and have to read on disk what they could have been handed.
        transport: Any = self.transport
        transport.bufferSize = _READ
        super().connectionMade()

    def onOpen(self) -> None:
        self.was_open = True
        self.marks = {}
        self.factory.opened(self)

    def dataReceived(self, data: bytes) -> None:
        with self.factory.handlers.together():
            # Not by way of Autobahn's own, which for a debug line makes texts in colour, whether it is logged or not.
            self._dataReceived(data)

    def processData(self) -> bool:
        """Autobahn's step, with a short way for what nearly all messages are.

        Autobahn moves all that it holds, twice, for every message that it takes out of it.
        """
        if self.current_frame is None and not self.inside_message:
            self._receive_whole_texts()
        # Asked without data too: of a frame that holds nothing the end comes with its beginning.
        return bool(super().processData())

    def _receive_whole_texts(self) -> None:
        data, start = self.data, 0
        while self.state == self.STATE_OPEN and (frame := whole_text(data, start)) is not None:
            begin, start = frame
            if self.autoPingTimeoutCall is not None:
                # Whoever sends is alive.
                self._cancelAutoPingTimeoutCall()
            self.onMessage(data[begin:start], False)
        if start:
            self.data = data[start:]

    def onMessageEnd(self) -> None:
        # Autobahn's own would also fire a signal that nobody waits for, with a Deferred for every message.
        if not self.failedByMe:
            self.onMessage(b"".join(self.message_data), self.message_is_binary)
        self.message_data = []

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N803
        self.factory.handlers.received(payload, isBinary)

    def mark(self, reached: Callable[[], None]) -> None:
        """Call back when everything has been read that the server had sent by now: it answers a ping after that.

        It is the ping that keeps the connection alive, only sooner, so an answer that stays away ends the connection.
        """
        if self.autoPingTimeoutCall is not None:
            self._cancelAutoPingTimeoutCall()
        if self.autoPingPendingCall is not None:
            self.autoPingPendingCall.cancel()
        self._sendAutoPing()
        payload: Any = self.autoPingPending
        self.marks[payload] = reached

    def onPong(self, payload: bytes) -> None:
        self.factory.handlers.alive()
        reached = self.marks.pop(payload, None)
        if reached is not None:
            reached()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # onClose, which follows, knows only a text; what TLS has to say is in here.
        self.lost = reason
        super().connectionLost(reason)

    def hold(self) -> None:
        """Read nothing more from the network until `go_on`; what was read already still comes."""
        self.held = True
        producer: Any = self.transport
        producer.pauseProducing()

    def go_on(self) -> None:
        """Read on."""
        self.held = False
        if self.autoPingTimeoutCall is not None:
            # The pong may have come long ago, behind all that was not read.
            self.autoPingTimeoutCall.cancel()
            self._await_pong()
        producer: Any = self.transport
        producer.resumeProducing()

    def onAutoPingTimeout(self) -> None:
        if self.held:
            # A pong is not read either. The same ping once more keeps the connection in use, for whoever is between,
            # and the first pong counts, whenever it is read.
            self.sendPing(self.autoPingPending)
            self._await_pong()
            return
        self.problem = SILENT
        super().onAutoPingTimeout()

    def _await_pong(self) -> None:
        factory: Any = self.factory
        self.autoPingTimeoutCall = factory._batched_timer.call_later(factory.autoPingTimeout, self.onAutoPingTimeout)

    def startHandshake(self) -> None:
        self.by_proxy = False
        super().startHandshake()

    def onOpenHandshakeTimeout(self) -> None:
        self.problem = f"it did not answer the {'CONNECT' if self.by_proxy else 'upgrade'} in time"
        super().onOpenHandshakeTimeout()

    def processHandshake(self) -> None:
        try:
            super().processHandshake()
        except UnicodeDecodeError:
            self.failHandshake("its answer is not HTTP")

    def failHandshake(self, reason: str) -> None:
        self.problem = escaped(reason, EXCERPT_LIMIT)
        super().failHandshake(reason)

    def failProxyConnect(self, reason: str) -> None:
        # Autobahn gives the status as a part of its sentence only.
        status = re.search(r"\((\d{3})\)", reason)
        self.problem = f"it {refusal(int(status[1])) if status else 'did not answer in HTTP'}"
        super().failProxyConnect(reason)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:  # noqa: N803, ARG002
        if self.failedByMe and self.localCloseCode:
            # What the peer answers to our close says nothing of why we closed.
            code, reason = self.localCloseCode, self.localCloseReason.decode("utf-8", "replace")
        # Autobahn knows a code of every end but of a close that has none.
        self.factory.ended(self, code or 1005, reason or "")

    def startProxyConnect(self) -> None:
        """Autobahn's own request has no place for the proxy's credentials (RFC 9110, section 9.3.6)."""
        self.by_proxy = True
        target = f"{self.factory.host}:{self.factory.port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self.factory.proxy_authorization:
            lines.append(f"Proxy-Authorization: {self.factory.proxy_authorization}")
        self.sendData("\r\n".join([*lines, "", ""]).encode("ascii"))
