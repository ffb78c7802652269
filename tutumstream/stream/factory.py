"""Autobahn's factory with Twisted's reconnecting: connects again after every end, when the policy says so.

Autobahn's own timers (handshake, pings) follow `txaio.config.loop`, which is one for the whole process: it is set to
the reactor that the factory was given.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import txaio
from autobahn.twisted.websocket import WebSocketClientFactory, connectWS
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from twisted.internet.interfaces import IConnector
from twisted.internet.protocol import ReconnectingClientFactory
from twisted.python.failure import Failure

from tutumstream.event import EXCERPT_LIMIT, escaped
from tutumstream.net.proxy import Proxy
from tutumstream.net.tls import words
from tutumstream.stream.protocol import Handlers, StreamProtocol

MESSAGE_LIMIT: Final = 1024 * 1024
"""Bytes of one message, after inflation too; a longer one ends the connection with 1009."""

_USUAL: Final = {status.value: status.phrase for status in HTTPStatus}

_WORDLESS: Final = (1005, 1006)
"""Codes of an end of which the server says nothing: a close without a code, and none at all."""

ADDRESS: Final = "TUTUM_STREAM_URL or TUTUM_STREAM_HOST"

CONNECT_TIMEOUT: Final = 15.0
"""Seconds until a connection must stand; the upgrade has as long again."""

PING_INTERVAL: Final = 30.0
PING_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 2.0


class StreamFactory(WebSocketClientFactory, ReconnectingClientFactory):
    """Makes one connection after the other.

    Args:
        url: `ws://` or `wss://`.
        headers: sent with the upgrade.
        reactor: dials, and keeps the time.
        handlers: told what happens; must not raise.
        pause: seconds to wait before the next try; asked once after each end.
        proxy: dialled instead, and asked to connect through.
    """

    noisy = False
    protocol = StreamProtocol
    # The waiting time is decided by `pause` alone.
    jitter = 0.0

    def __init__(
        self,
        url: str,
        headers: dict[str, str],
        reactor: Any,
        handlers: Handlers,
        pause: Callable[[], float],
        useragent: str,
        proxy: Proxy | None = None,
    ) -> None:
        loop: Any = txaio
        loop.config.loop = reactor
        super().__init__(
            url,
            headers=headers,
            useragent=useragent,
            reactor=reactor,
            proxy={"host": proxy.host, "port": proxy.port} if proxy else None,
        )
        self.proxy_authorization = proxy.authorization if proxy else None
        self.clock = reactor
        parts = urlsplit(url)
        self._where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self.handlers = handlers
        self._pause = pause
        self._current: StreamProtocol | None = None
        self._held = False
        self.setProtocolOptions(
            # Checked when it is decoded: a message in another encoding is no reason to lose the next ones.
            utf8validateIncoming=False,
            maxMessagePayloadSize=MESSAGE_LIMIT,
            # Close codes reach the server, as RFC 6455 wants it, instead of a cut connection.
            failByDrop=False,
            openHandshakeTimeout=CONNECT_TIMEOUT,
            closeHandshakeTimeout=CLOSE_TIMEOUT,
            serverConnectionDropTimeout=CLOSE_TIMEOUT,
            autoPingInterval=PING_INTERVAL,
            autoPingTimeout=PING_TIMEOUT,
            perMessageCompressionOffers=[PerMessageDeflateOffer()],
            perMessageCompressionAccept=_accept_compression,
        )

    def dial(self, tls: Any) -> None:
        """Begin. `tls` must check chain and name: Autobahn's default checks nothing."""
        # Kept from the start, or an attempt that is under way could not be ended.
        self.connector = connectWS(self, contextFactory=tls, timeout=CONNECT_TIMEOUT)
        # It has the address; from here on Autobahn only writes it into requests, where IPv6 stands in brackets
        # (RFC 9110, section 7.2).
        self.host = f"[{self.host}]" if ":" in self.host else self.host

    def give_up(self) -> None:
        """Try no more, and end an attempt that is under way. An open connection is left to `hang_up`."""
        self.stopTrying()
        if self._current is None and self.connector is not None:
            self.connector.disconnect()

    def hang_up(self) -> None:
        """End the present connection, if there is one, with a normal close."""
        if self._current is not None:
            self._current.sendClose(1000)

    def mark(self, reached: Callable[[], None]) -> None:
        """Call back when everything has been read that the server had sent by now; never, if the connection is lost."""
        if self._current is not None:
            self._current.mark(reached)

    def hold(self) -> None:
        """Read nothing more, on this connection and on later ones, until `go_on`."""
        self._held = True
        if self._current is not None:
            self._current.hold()

    def go_on(self) -> None:
        """Read on."""
        self._held = False
        if self._current is not None:
            self._current.go_on()

    def opened(self, protocol: StreamProtocol) -> None:
        self._current = protocol
        if self._held:
            protocol.hold()
        self.handlers.opened()

    def ended(self, protocol: StreamProtocol, code: int, reason: str) -> None:
        self._current = None
        lost = protocol.problem or words(protocol.lost)
        if protocol.was_open:
            self.handlers.closed(code, lost if code in _WORDLESS else reason)
        else:
            status, said = _status(protocol)
            by = f"the proxy {self.proxy['host']}:{self.proxy['port']}: " if protocol.by_proxy else ""
            self._failed(_answered(status, said) if status else by + lost, status)

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        proxy = self.proxy
        by = f"the proxy {proxy['host']}:{proxy['port']} can't be reached, " if proxy else ""
        self._failed(by + words(reason), 0)
        ReconnectingClientFactory.clientConnectionFailed(self, connector, reason)

    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        ReconnectingClientFactory.clientConnectionLost(self, connector, reason)

    def retry(self, connector: IConnector | None = None) -> None:
        if self.continueTrying:
            self.delay = self._pause()
        ReconnectingClientFactory.retry(self, connector)

    def _failed(self, problem: str, status: int) -> None:
        # Where it was looked for is the first thing to check.
        self.handlers.failed(f"{self._where}: {problem}", status)


def _accept_compression(response: Any) -> Any:
    return PerMessageDeflateResponseAccept(response) if isinstance(response, PerMessageDeflateResponse) else None


def _answered(status: int, said: str) -> str:
    """What the server said to the upgrade, and where to look if that is no Stream API."""
    if 300 <= status < 500 and status not in (401, 403, 408, 425, 429):
        return f"the server answered {status}: check {ADDRESS}"
    # Who is not ready may say why. The usual words say no more than the number.
    why = said if status >= 500 and said.lower() != _USUAL.get(status, "").lower() else ""
    return f"the server answered {status}" + (f": {escaped(why, EXCERPT_LIMIT)}" if why else "")


def _status(protocol: StreamProtocol) -> tuple[int, str]:
    """The HTTP status that the upgrade got, and its words; 0 where there was none or where it was 101."""
    _, _, rest = protocol.http_status_line.partition(" ")
    digits, _, said = rest.strip().partition(" ")
    status = int(digits) if len(digits) == 3 and digits.isdecimal() else 0
    return (0 if status == 101 else status), said.strip()
