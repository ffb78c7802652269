"""Listens: keeps a connection to the stream, decodes what comes, and makes events of the connection itself.

Our own connection is told like everything else: `open`, `close` and `error` are events of type `stream`. They are told
at the edges only: however many tries fail after a loss, it is one loss.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from tutumstream.backoff import Backoff, Jitter
from tutumstream.event import OBJECT_TYPES, Authenticated, Event, Malformed, decode
from tutumstream.ids import mint
from tutumstream.net.address import masked
from tutumstream.net.proxy import Proxy
from tutumstream.stream.connection import Connected, Connecting, Connection, Stopped, Waiting
from tutumstream.stream.factory import CLOSE_TIMEOUT, PING_INTERVAL, PING_TIMEOUT, StreamFactory
from tutumstream.stream.flood import Flood
from tutumstream.stream.protocol import SILENT

RECONNECT: Final = Backoff(base=1.0, cap=60.0)
REFUSED: Final = Backoff(base=60.0, cap=3600.0)
"""Refused credentials do not get better by asking often."""

SIGN_OF_LIFE: Final = PING_INTERVAL + PING_TIMEOUT
"""Seconds within which a server that is there has given a sign of life."""

PROVED_AFTER: Final = 30.0
"""Seconds after which a connection counts as good, if no object event came before."""

LONG_PAUSE: Final = 1.0
"""Seconds from which on a pause in reading is worth a line; in a flood they come and go."""


class Watcher(Protocol):
    """Who wants to know when there is a stream. Told after the event that tells it."""

    def opened(self) -> None:
        """From now on everything comes by the stream."""

    def lost(self, alive_until: float) -> None:
        """It ended, and was there until then for sure; seconds since 1970."""

    def alive(self, at: float) -> None:
        """The server gave a sign of life that is no event."""


class _Nobody:
    def opened(self) -> None:
        """Nobody wants to know."""

    def lost(self, alive_until: float) -> None:
        """Nobody wants to know."""

    def alive(self, at: float) -> None:
        """Nobody wants to know."""


class StreamService(Service):
    """The connection to a Stream API, for as long as the service runs.

    Args:
        url: `ws://` or `wss://` of the events stream; its query may hold the credentials.
        headers: sent with the upgrade.
        check: names what to look at when the credentials are refused.
        reactor: dials, and keeps the time.
        tls: a context factory that checks chain and name; None for `ws://`.
        take: called with every event, in order.
        keep: called with every message that is no event.
        publish: called with every new state of the connection.
        now: seconds since 1970.
        jitter: 0.0 up to 1.0.
        proxy: an HTTP proxy to connect through.
        new_id: mints ids for events.
        together: entered while messages that came in one piece are taken.
        secrets: masked in whatever the server says.

    Attributes:
        watcher: told when the stream begins and ends.
    """

    log = Logger()
    watcher: Watcher = _Nobody()

    def __init__(
        self,
        *,
        url: str,
        headers: dict[str, str],
        check: str,
        reactor: Any,
        tls: Any,
        take: Callable[[Event], None],
        keep: Callable[[Malformed], None],
        publish: Callable[[Connection], None],
        now: Callable[[], float],
        jitter: Jitter,
        useragent: str,
        proxy: Proxy | None = None,
        new_id: Callable[[], str] = mint,
        together: Callable[[], AbstractContextManager[None]] = nullcontext,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self._factory = StreamFactory(url, headers, reactor, self, self._pause, useragent, proxy)
        self._check = check
        self._reactor = reactor
        self._tls = tls
        self._take = take
        self._keep = keep
        self._publish = publish
        self._now = now
        self._jitter = jitter
        self._new_id = new_id
        self._secrets = secrets
        # As JSON may have it, too.
        self._quoted = [form.encode() for each in secrets for form in dict.fromkeys((each, each.replace("/", "\\/")))]
        self.together = together
        self._strange = Flood()
        self._failures = 0
        self._refusals = 0
        self._refused = False
        self._authenticated = False
        self._up = False
        self._told = ""
        self._out_of_reach = False
        self._problem = ""
        self._lost_at = 0.0
        self._alive_at = 0.0
        self._proof: IDelayedCall | None = None
        self._ended: Deferred[None] | None = None
        self._pausing: IDelayedCall | None = None

    def startService(self) -> None:
        super().startService()
        self._publish(Connecting(self._now()))
        self._factory.dial(self._tls)

    def stopService(self) -> Deferred[None]:
        """Hang up and fire when the connection is gone. A deliberate stop is a close like any other."""
        super().stopService()
        self._factory.give_up()
        ended: Deferred[None] = Deferred()
        if self._up:
            self._ended = ended
            self._factory.hang_up()
            # Twice: once for the close handshake, once for the server to drop the connection.
            ended.addTimeout(2 * CLOSE_TIMEOUT + 1.0, self._reactor, onTimeoutCancel=lambda _result, _seconds: None)
        else:
            self._down("the service stops")
            ended.callback(None)
        ended.addCallback(lambda _: self._publish(Stopped()))
        return ended

    def hold(self, full: bool) -> None:
        """Stop reading while there is no room for more, and read on when there is. The connection stays."""
        if full:
            self._factory.hold()
            self._pausing = self._reactor.callLater(LONG_PAUSE, self._tell_of_the_pause)
            return
        self._factory.go_on()
        if self._pausing is not None and self._pausing.active():
            self._pausing.cancel()
        elif self.running:
            self.log.info("reading from the stream goes on")

    def caught_up(self) -> Deferred[None]:
        """Fires when all that the server had sent by now was taken; never, if the connection is lost before."""
        reached: Deferred[None] = Deferred()
        self._factory.mark(lambda: reached.callback(None))
        return reached

    def alive(self) -> None:
        self._alive_at = self._now()
        self.watcher.alive(self._alive_at)

    def opened(self) -> None:
        if not self.running:
            self._factory.hang_up()
            return
        self._up = True
        self._alive_at = self._now()
        self._authenticated = False
        self._proof = self._reactor.callLater(PROVED_AFTER, self._prove)
        self._publish(Connected(self._now()))
        # After a refusal an accepted upgrade means nothing yet (protocol A3): the next message tells.
        if not self._refused:
            self._announce()

    def received(self, payload: bytes, is_binary: bool) -> None:
        for secret in self._quoted:
            if secret in payload:
                payload = payload.replace(secret, b"***")
        try:
            self._read(payload, is_binary)
        except Exception as bug:
            # Out of here it would end the connection, and the same message might do so again and again.
            self.log.failure("a message could not be taken; it is kept as malformed")
            self._malformed(Malformed(received_at=self._now(), reason=f"bug: {type(bug).__name__}", raw=payload))

    def closed(self, code: int, reason: str) -> None:
        self._forget_connection()
        now = self._now()
        # A connection that died without a word may have been dead since its last word; so may one of which no word was
        # looked for, as we were stopped or the machine slept.
        doubtful = reason == SILENT or now - self._alive_at > SIGN_OF_LIFE
        alive_until = self._alive_at if doubtful else now
        reason = masked(reason, self._secrets)
        self.log.info("Closed (code {code}: {reason})", code=code, reason=reason or "no reason given")
        self._down(f"{code} {reason}".strip(), alive_until)
        if self._ended is not None:
            ended, self._ended = self._ended, None
            ended.callback(None)

    def failed(self, reason: str, status: int) -> None:
        reason = masked(reason, self._secrets)
        if status in (401, 403):
            self._refuse(reason)
        if not self.running:
            return
        if self._out_of_reach:
            self.log.debug("still no stream: {reason}", reason=reason)
        elif not self._refused:
            self._out_of_reach = True
            self.log.warn("the stream can't be reached: {reason}; trying again until it can", reason=reason)
        self._down(reason)

    def _read(self, payload: bytes, is_binary: bool) -> None:
        if is_binary:
            self._malformed(Malformed(received_at=self._now(), reason="a binary frame", raw=payload))
            return
        decoded = decode(payload, self._now(), self._new_id)
        if isinstance(decoded, Event):
            if decoded.type in OBJECT_TYPES:
                self._prove()
            self._take(decoded)
        elif isinstance(decoded, Malformed):
            self._malformed(decoded)
        elif isinstance(decoded, Authenticated):
            if not self._authenticated:
                self.log.info("Auth completed")
            self._authenticated = True
            self._accepted()
        else:
            self._unauthorized()

    def _unauthorized(self) -> None:
        if self._authenticated:
            # Too late to be about our credentials: told as the error that it is.
            self._take(Event(id=self._new_id(), received_at=self._now(), type="error", message="UNAUTHORIZED"))
            return
        self._refuse("the server answered UNAUTHORIZED")
        self._factory.hang_up()

    def _refuse(self, reason: str) -> None:
        if not self._refused:
            self.log.error(
                "the stream refuses the credentials ({reason}): check {check}; trying again, but rarely",
                reason=reason,
                check=self._check,
            )
        self._refused = True
        self._problem = reason

    def _tell_of_the_pause(self) -> None:
        if self.running:
            self.log.warn("reading from the stream pauses: what came is not written down yet")

    def _prove(self) -> None:
        """The connection is good: the next loss starts with short waits again."""
        if self._proof is not None:
            if self._proof.active():
                self._proof.cancel()
            self._proof = None
            self._failures = 0
            self._accepted()

    def _accepted(self) -> None:
        self._refusals = 0
        self._refused = False
        self._announce()

    def _announce(self) -> None:
        self._out_of_reach = False
        if self._told != "open":
            self._told = "open"
            self.log.info("Connected")
            self._emit("open", "")
            self.watcher.opened()

    def _down(self, reason: str, alive_until: float = 0.0) -> None:
        if not self._refused:
            self._problem = reason
        if self._told != "down":
            was_open, self._told = self._told == "open", "down"
            self._lost_at = self._now()
            self._emit("close" if was_open else "error", self._problem)
            if was_open:
                self.watcher.lost(alive_until)

    def _emit(self, action: str, message: str) -> None:
        self._take(Event(id=self._new_id(), received_at=self._now(), type="stream", action=action, message=message))

    def _malformed(self, malformed: Malformed) -> None:
        if self._strange.admits(self._now()):
            if left_out := self._strange.take_left_out():
                self.log.warn("{count} more messages were no events, and got no line of their own", count=left_out)
            self.log.warn(
                "a message that is no event ({reason}): {excerpt}", reason=malformed.reason, excerpt=malformed.excerpt
            )
        self._keep(malformed)

    def _pause(self) -> float:
        if self._refused:
            self._refusals += 1
            seconds = REFUSED.after(self._refusals, self._jitter)
        else:
            self._failures += 1
            seconds = RECONNECT.after(self._failures, self._jitter)
        self._publish(
            Waiting(since=self._lost_at, until=self._now() + seconds, reason=self._problem, refused=self._refused)
        )
        return seconds

    def _forget_connection(self) -> None:
        self._up = False
        if self._proof is not None and self._proof.active():
            self._proof.cancel()
        self._proof = None
