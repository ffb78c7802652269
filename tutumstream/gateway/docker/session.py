"""One connection to the engine, from its first ping to its end.

The event stream is opened first, then everything is listed and looked at, and the hints that came meanwhile are taken
last: so nothing falls between the two, and it does not matter what was missed before.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from tutumstream.errors import DockerError
from tutumstream.gateway.docker.facts import Container, Engine
from tutumstream.gateway.docker.inspector import Inspector
from tutumstream.gateway.docker.swarm.facts import Swarm
from tutumstream.gateway.docker.swarm.watch import SwarmWatch
from tutumstream.gateway.docker.transport import Feed

MISSES: Final = 2
"""Pings without an answer after which the connection is given up: an engine that hangs gives no other sign."""

LINES_A_TURN: Final = 500
"""Lines that are taken before others get their turn: well under 20 ms."""


class EngineClient(Protocol):
    """What is needed of a `DockerClient`."""

    @property
    def host(self) -> str: ...
    def negotiate(self) -> Deferred[str]: ...
    def ping(self, timeout: float) -> Deferred[None]: ...
    def info(self) -> Deferred[Engine]: ...
    def containers(self) -> Deferred[list[str]]: ...
    def inspect(self, container: str) -> Deferred[Container | None]: ...
    def swarm(self) -> Deferred[Swarm]: ...
    def events(self, feed: Feed) -> Deferred[None]: ...
    def close(self) -> Deferred[None]: ...


class Watcher(Protocol):
    """Who is told what a connection brings."""

    def reached(self, engine: Engine) -> None:
        """The engine is there and lists its containers."""

    def expected(self) -> Iterable[str]:
        """The ids of the containers that should be there; they are looked at as well."""

    def described(self, engine: Engine) -> None:
        """What the engine says of itself has changed: it joined a swarm, or left it."""

    def counted(self, swarm: Swarm, asked: float) -> bool:
        """What the managers of its swarm said, asked at that time; whether something moves there."""

    def looked(self) -> None:
        """Everything was looked at once."""

    def heard(self, line: bytes) -> None:
        """A line of the event stream."""

    def answered(self) -> None:
        """The engine answered a ping."""

    def silent(self) -> None:
        """It answered none for too long."""


class Session:
    """A connection. Use each only once.

    Args:
        interval, timeout: seconds from ping to ping, and for the answer to one.
    """

    log = Logger()

    def __init__(
        self,
        client: EngineClient,
        clock: IReactorTime,
        inspector: Inspector,
        watcher: Watcher,
        interval: float,
        timeout: float,
    ) -> None:
        self._client = client
        self._clock = clock
        self._inspector = inspector
        self._watcher = watcher
        self._interval = interval
        self._timeout = timeout
        self._feed = Feed(self._wake, self._lose)
        self.swarm: Final = SwarmWatch(clock, client.info, client.swarm, watcher.described, watcher.counted)
        self._open = False
        self._gap = False
        self._misses = 0
        self._turn: IDelayedCall | None = None
        self._looking: Deferred[str | None] | None = None
        self._pinging: Deferred[bool] | None = None

    async def run(self) -> DockerError:
        """Connect, and go on until the connection is lost. Returns why; raises it where it never came about."""
        version = await self._client.negotiate()
        engine = await self._client.info()
        await self._client.events(self._feed)
        self.log.debug("Listening to {host}, API {version}", host=self._client.host, version=version)
        pings = LoopingCall(self._ping)
        pings.clock = self._clock
        try:
            pings.start(self._interval, now=False).addErrback(self._break)
            self._look(engine)
            return DockerError(self._client.host, await self._feed.ended())
        finally:
            self._end(pings)

    def mend(self) -> None:
        """If hints were lost, look at everything again. To be called now and then."""
        if self._gap and self._open and self._looking is None:
            self._look(None)

    def _end(self, pings: LoopingCall) -> None:
        self._feed.close("closed by us")
        if pings.running:
            pings.stop()
        if self._pinging is not None:
            self._pinging.cancel()
        if self._looking is not None:
            self._looking.cancel()
        if self._turn is not None:
            self._turn.cancel()
        self.swarm.stop()
        self._inspector.clear()

    def _look(self, engine: Engine | None) -> None:
        self._gap = False
        self._looking = Deferred.fromCoroutine(self._look_at_everything(engine))
        self._looking.addCallback(self._looked).addErrback(self._break)

    async def _look_at_everything(self, engine: Engine | None) -> str | None:
        """Returns why the connection is of no use, if that is so."""
        try:
            there = await self._client.containers()
        except CancelledError:
            return None
        except DockerError as problem:
            return problem.problem
        if engine is not None:
            self._watcher.reached(engine)
        # What is missing in the list is not gone for that: it is looked at like everything else.
        for container in dict.fromkeys((*there, *self._watcher.expected())):
            self._inspector.mark(container)
        try:
            await self._inspector.settled()
            await self.swarm.look(engine)
        except CancelledError:
            return None
        self._watcher.looked()
        self._open = True
        self._wake()
        return None

    def _looked(self, trouble: str | None) -> None:
        self._looking = None
        if trouble is not None:
            self._feed.close(trouble)

    def _ping(self) -> Deferred[None]:
        self._pinging = Deferred.fromCoroutine(self._check())
        return self._pinging.addCallback(self._checked)

    async def _check(self) -> bool:
        """Whether the engine answered. Not being asked to the end counts as an answer."""
        try:
            await self._client.ping(self._timeout)
        except CancelledError:
            return True
        except DockerError as problem:
            self.log.debug("A ping of {host} went wrong: {problem}", host=self._client.host, problem=problem)
            return False
        self._watcher.answered()
        return True

    def _checked(self, answered: bool) -> None:
        # Here and not in the coroutine: closing the feed ends the session, which cancels what still runs.
        self._misses = 0 if answered else self._misses + 1
        if self._misses >= MISSES:
            self._watcher.silent()
            self._feed.close(f"no answer to {self._misses} pings in a row")

    def _wake(self) -> None:
        # The stream's reader only takes lines; what follows from them waits for its own turn.
        if self._open and self._turn is None:
            self._turn = self._clock.callLater(0, self._take)

    def _take(self) -> None:
        self._turn = None
        lines = self._feed.take(LINES_A_TURN)
        for line in lines:
            self._watcher.heard(line)
        if len(lines) == LINES_A_TURN:
            self._wake()

    def _lose(self) -> None:
        self.log.warn("Events came faster than they can be taken, or too long: looking at everything again")
        self._gap = True

    def _break(self, reason: Failure) -> None:
        self.log.failure("The connection to {host} broke by a bug", reason, host=self._client.host)
        self._feed.close("a bug, see the log")
