"""The Stream API's server side: one feed of changes to any number of WebSocket clients.

Every message is framed once for all clients of a dialect, and chosen once for all who want the same; all messages of
one turn of the reactor are one write to each client, which is what most of the time goes to. On Tutum's paths
the handshake always succeeds (protocol A3): who may not listen hears so in an `error` message and is closed a little
later, because clients of 2015 reconnect at once and without end.
"""

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast
from uuid import uuid4

import txaio
from autobahn.twisted.websocket import WebSocketServerFactory
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.protocol import PreparedMessage
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.logger import Logger

from tutumstream.gateway.audience import Audience
from tutumstream.gateway.backlog import Parcel
from tutumstream.gateway.clientele import Clientele
from tutumstream.gateway.dialect import TUTUM, Dialect
from tutumstream.gateway.events import EVERYTHING, Filter, Told, encode, refusal
from tutumstream.gateway.platform import Change
from tutumstream.gateway.returning import Returning
from tutumstream.gateway.visitor import StreamProtocol, Visit

CLOSE_DELAY: Final = 1.5
"""Seconds between a refusal and the close (protocol A3 asks for one at least)."""

PING_INTERVAL: Final = 20
PING_TIMEOUT: Final = 10
CLOSE_TIMEOUT: Final = 2
MESSAGE_LIMIT: Final = 64 * 1024
"""Bytes of one message from a client; they have nothing to say."""

BACKLOG_LIMIT: Final = 4 * 1024 * 1024
SESSIONS_LIMIT: Final = 1000
"""Stream clients at one time, and as many who are being refused: far beyond any team, and short of what ends a
process."""

ROOMY: Final = 0.9
"""Of the limit: fewer are no crowd any more."""

GOING_AWAY: Final = 1001
NORMAL: Final = 1000

STOPPING: Final = "the gateway is stopping"


class StreamFactory(WebSocketServerFactory):
    """Makes and holds the clients.

    Args:
        clock: for all delays. Autobahn's own timers follow `txaio.config.loop`, one for the whole process, which is
            set to this.
        backlog_limit: bytes that may wait for one client before it is cut off.
        now: seconds since 1970.

    Attributes:
        closed_because: why nobody may listen to events now; "" where all may.
        clientele: what of this lasts over a restart; `noted` is called when it is another.
    """

    _logger = Logger()
    protocol: Callable[[], StreamProtocol] = StreamProtocol  # type: ignore[assignment]  # see `admit`

    def __init__(
        self,
        clock: IReactorTime,
        backlog_limit: int = BACKLOG_LIMIT,
        now: Callable[[], float] = time.time,
        sessions_limit: int = SESSIONS_LIMIT,
    ) -> None:
        loop: Any = txaio
        loop.config.loop = clock
        super().__init__(reactor=clock, server="")
        self.backlog_limit = backlog_limit
        self._clock = clock
        self._now = now
        self._sessions_limit = sessions_limit
        self._sessions: dict[StreamProtocol, None] = {}
        self._was_full = False
        self._listeners: Audience[Listening, StreamProtocol] = Audience()
        self._returning: Returning[Told] = Returning()
        self.clientele = Clientele(
            self._returning, lambda: [client.known_as for client in self._listeners], clock.seconds
        )
        self.noted: Callable[[], object] = bool
        self._told: list[Told] = []
        self._turn: IDelayedCall | None = None
        self._ending = False
        self.closed_because = ""
        self.setProtocolOptions(
            maxMessagePayloadSize=MESSAGE_LIMIT,
            maxFramePayloadSize=MESSAGE_LIMIT,
            autoPingInterval=PING_INTERVAL,
            autoPingTimeout=PING_TIMEOUT,
            failByDrop=False,
            closeHandshakeTimeout=CLOSE_TIMEOUT,
            perMessageCompressionAccept=_deflate,
        )

    def admit(self, address: IAddress | None, visit: Visit, user: str) -> StreamProtocol:
        """A protocol for a connection whose request was read and judged already."""
        protocol = cast(StreamProtocol, self.buildProtocol(address))
        protocol.visit = visit
        protocol.user = user
        protocol.known_as = f"{user}@{getattr(address, 'host', '')}"
        return protocol

    def no_room(self) -> str:
        """Why nobody more is taken in, which is logged once; "" where there is room."""
        full = self._crowd(refused=False) >= self._sessions_limit
        if full and not self._was_full:
            self._was_full = True
            self._logger.warn(
                "There are {limit} stream clients: others are refused until some leave", limit=self._sessions_limit
            )
        return f"there are {self._sessions_limit} stream clients already: come back later" if full else ""

    def _room_again(self) -> None:
        # Not for each who leaves where another waits for that.
        if self._was_full and (left := self._crowd(refused=False)) <= self._sessions_limit * ROOMY:
            self._was_full = False
            self._logger.info("There are {count} stream clients: there is room again", count=left)

    def _crowd(self, refused: bool) -> int:
        return sum(isinstance(one.visit, Refusing) is refused for one in self._sessions)

    def listening(self, dialect: Dialect = TUTUM, wants: Filter = EVERYTHING) -> Visit:
        """The events, from now on."""
        return Listening(self, dialect, wants)

    def refusing(self, why: str, delay: float = CLOSE_DELAY) -> Visit:
        """An error, and the close a little later."""
        return Refusing(self, self._clock, why, delay)

    def opened(self, client: StreamProtocol) -> None:
        """The handshake is done."""
        self._sessions[client] = None
        refused = isinstance(client.visit, Refusing)
        # Who is refused can't keep those out who are not.
        if self._crowd(refused) > self._sessions_limit:
            self._logger.debug("Too many stream clients; {peer} was cut off", peer=client.peer)
            client.dropConnection(abort=True)
        elif self._ending:
            client.visit.opened(client)
            client.say_goodbye(GOING_AWAY, STOPPING)
        else:
            client.visit.opened(client)

    def closed(self, client: StreamProtocol, code: int | None, reason: str | None) -> None:
        """The connection is gone, or never got through its handshake."""
        if client not in self._sessions:
            return
        del self._sessions[client]
        client.visit.closed()
        self._room_again()
        if client in self._listeners:
            self._returning.left(client.known_as, self._clock.seconds())
            self._leave(client, code, reason)

    def _leave(self, client: StreamProtocol, code: int | None, reason: str | None) -> None:
        self._listeners.leave(client)
        self.noted()
        self._logger.info(
            "Stream client {user} at {peer} left ({code}: {reason})",
            user=client.user,
            peer=client.peer,
            code=code,
            reason=reason,
        )

    def join(self, client: StreamProtocol, listening: "Listening") -> None:
        """It hears every change from now on, after those that it missed while we had sent it away."""
        self._deliver()
        self._logger.info("Stream client {user} connected from {peer}", user=client.user, peer=client.peer)
        self._listeners.join(client, listening)
        for told in self._returning.back(client.known_as, self._clock.seconds()):
            if listening.wants(told.change, listening.dialect):
                client.put(self._framed(told, listening.dialect))
        self.noted()

    def tell(self, change: Change) -> None:
        """Tell one change to every client who wants it, in the reactor's next turn."""
        told = Told(change, str(uuid4()), self._now())
        self._told.append(told)
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._deliver)
        if self._returning.awaits(self._clock.seconds()) and not self._returning.miss(told):
            self._logger.warn("Too much happened while the stream was closed: clients that come back will not hear it")

    def _deliver(self) -> None:
        """Write what was told since the last time to all who listen."""
        if self._turn is None:
            return
        if self._turn.active():
            self._turn.cancel()
        self._turn = None
        told, self._told = self._told, []
        framed: dict[Dialect, list[PreparedMessage]] = {}
        for (_, dialect, wants), clients in self._listeners.groups():
            if dialect not in framed:
                framed[dialect] = [self._framed(one, dialect) for one in told]
            wanted = [frame for one, frame in zip(told, framed[dialect], strict=True) if wants(one.change, dialect)]
            parcel = Parcel(wanted)
            for client in clients if wanted else ():
                client.deliver(parcel)
        self.noted()

    def _framed(self, told: Told, dialect: Dialect) -> PreparedMessage:
        message: PreparedMessage = self.prepareMessage(encode(told.change, dialect, told.uuid, told.at))
        return message

    @property
    def clients(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def interrupt(self, reason: str) -> None:
        """Close every client once. They may come back at once, and are told what they missed."""
        self._send_away(reason)
        self._returning.opened(self._clock.seconds())

    def close(self, reason: str) -> None:
        """Close every client, and let none listen until `open`."""
        if not self.closed_because:
            self._send_away(reason)
        self.closed_because = reason

    def open(self) -> None:
        """Let clients in; those who were sent away are told what they missed. Harmless when it is open."""
        if self.closed_because:
            self.closed_because = ""
            self._returning.opened(self._clock.seconds())

    def _send_away(self, reason: str) -> None:
        self._deliver()
        clients = tuple(self._listeners)
        self._returning.sent_away((client.known_as for client in clients), self._clock.seconds())
        for client in clients:
            self._leave(client, GOING_AWAY, reason)
            client.say_goodbye(GOING_AWAY, reason)

    def end(self) -> Deferred[list[None]]:
        """Close every client, now and from now on; fires when the last is gone, in a few seconds at most."""
        self._deliver()
        self._ending = True
        sessions = tuple(self._sessions)
        for client in sessions:
            client.say_goodbye(GOING_AWAY, STOPPING)
        return gatherResults([_when_closed(client) for client in sessions])


class Listening(NamedTuple):
    """Events, in one dialect."""

    factory: StreamFactory
    dialect: Dialect
    wants: Filter

    def opened(self, client: StreamProtocol) -> None:
        """Greet, and tell everything from then on."""
        # Docker Cloud's clients, too, wait for it or pass over it.
        client.put(self.factory.prepareMessage(b'{"type": "auth"}'))
        self.factory.join(client, self)

    def paused(self, is_paused: bool) -> None:
        """Changes are not held up for anybody."""

    def closed(self) -> None:
        """Nothing to end."""


class Refusing(NamedTuple):
    """One error, and the end."""

    factory: StreamFactory
    clock: IReactorTime
    why: str
    delay: float

    def opened(self, client: StreamProtocol) -> None:
        """Say why, and close later: clients of 2015 are back at once, and without end."""
        StreamProtocol._logger.info("Stream client at {peer} refused: {why}", peer=client.peer, why=self.why.lower())
        client.put(self.factory.prepareMessage(refusal(self.why)))
        self.clock.callLater(self.delay, client.say_goodbye, NORMAL, self.why)

    def paused(self, is_paused: bool) -> None:
        """There is only one message."""

    def closed(self) -> None:
        """Nothing to end."""


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
