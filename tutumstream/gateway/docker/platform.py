"""A Docker Engine as a Tutum: connections one after the other, and the registry that is fed from them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tutumstream.errors import DockerError
from tutumstream.event import escaped
from tutumstream.gateway.docker import folds
from tutumstream.gateway.docker.control import Control, Writer
from tutumstream.gateway.docker.facts import Container, Engine
from tutumstream.gateway.docker.hints import SwarmHint, read_hint
from tutumstream.gateway.docker.inspector import IN_FLIGHT, Inspector
from tutumstream.gateway.docker.log_following import read_logs
from tutumstream.gateway.docker.log_reading import LogClient
from tutumstream.gateway.docker.memory import EngineMemory
from tutumstream.gateway.docker.mishaps import Patience
from tutumstream.gateway.docker.pausing import pause_before
from tutumstream.gateway.docker.registry import Registry
from tutumstream.gateway.docker.resources import get_resource, list_resources
from tutumstream.gateway.docker.session import EngineClient, Session
from tutumstream.gateway.docker.subjects import subject_of
from tutumstream.gateway.docker.swarm.census import Census
from tutumstream.gateway.docker.swarm.facts import Swarm
from tutumstream.gateway.platform import (
    Change,
    ILogReader,
    ILogs,
    IPlatform,
    Listener,
    Order,
    OrderError,
    Resource,
    Taken,
)

PING_INTERVAL: Final = 10.0
PING_TIMEOUT: Final = 5.0

STABLE: Final = 10.0
"""Seconds after which a connection counts as good: after a good one the next is tried at once."""

TICK: Final = 1.0

CATCH_UP: Final = 2.0
"""Seconds for which an answer waits for what the engine has to say about containers that have just started."""


@implementer(IPlatform)
class DockerPlatform:
    """One engine, alone or in a swarm; of a manager, the whole swarm.

    Args:
        clock: for all waiting, and for all times: seconds since 1970.
        name: the endpoint's; part of all identities, so it must stay the same, and differ from engine to engine.
        jitter: a random number from 0 to 1.
        writer: carries out orders; None where nothing may be changed.
        log_client: reads logs; None where nobody may read them.
        ping_interval, ping_timeout: seconds; an engine that hangs is noticed after two of each at most.
        patience: when crashes are too many, and when they are over.
        in_flight: containers that are looked at at one time.
        insist: go on trying where the first connection fails; `start` then stays silent until one does not.

    Attributes:
        host: the engine, for messages.
        tried: whether the first connection failed or is in use.
        memories: what lasts over a restart.
        registry: what is known; for whoever shows this engine beside others.
    """

    log = Logger()

    def __init__(
        self,
        client: EngineClient,
        clock: IReactorTime,
        *,
        name: str,
        jitter: Callable[[], float],
        ping_interval: float = PING_INTERVAL,
        ping_timeout: float = PING_TIMEOUT,
        writer: Writer | None = None,
        log_client: LogClient | None = None,
        patience: Patience = Patience(),  # noqa: B008 -- frozen
        in_flight: int = IN_FLIGHT,
        insist: bool = False,
    ) -> None:
        self.synced = False
        self.in_sight = False
        self.tried = False
        self.host = client.host
        self._insist = insist
        self._lost = "not reached yet"
        self._watchers: list[Callable[[], None]] = []
        self._client = client
        self._clock = clock
        self._jitter = jitter
        self._pings = (ping_interval, ping_timeout)
        self.registry = Registry(name, clock.seconds(), patience)
        self._memory = EngineMemory(name, client.host, self.registry, clock.seconds)
        self.memories = (self._memory,)
        self._census = Census(self.registry)
        self._inspector = Inspector(client.inspect, self._observe, in_flight)
        self._log_client = log_client
        self._control = self._controlling(writer) if writer is not None else None
        self._listeners: dict[object, Listener] = {}
        self._session: Session | None = None
        self._good_since: float | None = None
        self._doubt: IDelayedCall | None = None
        self._started: Deferred[None] | None = None
        self._running: Deferred[None] | None = None
        self._tick = LoopingCall(self._every_tick)
        self._tick.clock = clock

    def start(self) -> Deferred[None]:
        """Connect. Fires when everything is known; fails with a `DockerError` where the first connection does."""
        started = self._started = Deferred()
        self._tick.start(TICK, now=False).addErrback(self._bug)
        self._running = Deferred.fromCoroutine(self._run())
        return started

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        key = object()
        self._listeners[key] = listener

        def unsubscribe() -> None:
            self._listeners.pop(key, None)

        return unsubscribe

    def watch(self, noticed: Callable[[], None]) -> None:
        self._watchers.append(noticed)

    def troubles(self) -> Sequence[str]:
        return (str(DockerError(self._client.host, self._lost)),) if self._lost else ()

    def caught_up(self, kind: str, uuid: str = "") -> Deferred[None]:
        unseen = self.registry.unseen(kind, uuid) if self._session is not None else ()
        looks = DeferredList([self._inspector.look(container) for container in unseen], consumeErrors=True)
        return looks.addTimeout(CATCH_UP, self._clock, lambda *_: None).addCallback(lambda _: None)

    def get(self, kind: str, uuid: str) -> Resource | None:
        if kind == "action" and self._control is not None and uuid in self._control.actions:
            return self._control.actions[uuid].resource()
        return get_resource(self.registry, kind, uuid)

    def list(self, kind: str) -> Sequence[Resource]:
        found = list_resources(self.registry, kind)
        if kind == "action" and self._control is not None:
            found += [action.resource() for action in self._control.actions.values()]
        return found

    def perform(self, order: Order) -> Deferred[Taken]:
        if self._control is None:
            return fail(OrderError(405, "nothing may be changed here"))
        return self._control.perform(order)

    def logs(self, kind: str, uuid: str, tail: int, follow: bool, reader: ILogReader) -> ILogs | None:
        speaking = (self.registry, self._log_client, self._control)
        return read_logs(*speaking, self.subscribe, kind, uuid, tail, follow, reader)

    def _controlling(self, writer: Writer) -> Control:
        return Control(
            writer,
            lambda kind, uuid: subject_of(self.registry, kind, uuid),
            lambda kind, uuid: get_resource(self.registry, kind, uuid),
            self._tell,
            self._clock.seconds,
        )

    def reached(self, engine: Engine) -> None:
        member = engine.swarm
        if member is not None and member.state == "active" and not member.manager and not self.synced:
            self.log.info(
                "{host} is a worker of a swarm: only its own containers are shown, one of the managers knows all",
                host=self._client.host,
            )
        self.described(engine)
        self._drop_doubt()
        self.answered()
        changes = list(self.registry.nodes.reach(folds.DEPLOYED))
        if changes:
            self.log.info("Docker Engine {host} is back", host=self._client.host)
        self._tell(changes)

    def described(self, engine: Engine) -> None:
        self._news(self.registry.describe_engine(engine, self._clock.seconds()))

    def counted(self, swarm: Swarm, asked: float) -> bool:
        changes = self._census.take(swarm, asked, self._clock.seconds())
        self._news(changes)
        if changes:
            # What happens on other nodes sends no hint, and one change brings the next.
            self._look_at_swarm()
        return self._census.busy

    def expected(self) -> Iterable[str]:
        return self.registry.alive()

    def looked(self) -> None:
        if self._good_since is None:
            self._good_since = self._clock.seconds()
        if not self._memory.begun:
            self.registry.take_stock(self._clock.seconds())
        self._memory.begun = self.synced = self.tried = True
        # Not before: what changed meanwhile is told by now, to those who were sent away.
        self._see("")
        if self._started is not None:
            started, self._started = self._started, None
            started.callback(None)

    def heard(self, line: bytes) -> None:
        try:
            hint = read_hint(line)
        except ValueError as problem:
            self.log.debug("A line of the stream is no event: {problem}", problem=escaped(str(problem), 200))
            return
        if isinstance(hint, SwarmHint):
            self._look_at_swarm()
        elif hint is not None:
            heard = self.registry.hint(hint, self._clock.seconds())
            self._tell(heard.changes)
            self._inspector.follow(hint.container, look=heard.look, final=heard.final)
            if self.registry.is_task(hint.container):
                self._look_at_swarm()

    def _look_at_swarm(self) -> None:
        if self._session is not None:
            self._session.swarm.hint()

    def answered(self) -> None:
        self.registry.nodes.seen_alive(self._clock.seconds())

    def silent(self) -> None:
        self._unreachable("it does not answer any more")

    async def _run(self) -> None:
        failures = 0
        while True:
            self._good_since = None
            problem = await self._connection()
            self.tried = True
            if self._started is not None and not self._insist:
                started, self._started = self._started, None
                self._tick.stop()
                started.errback(problem)
                return
            good = self._good_since is not None
            if not good:
                self._unreachable(problem.problem)
            elif self.registry.node.state == folds.DEPLOYED and self._doubt is None:
                # A proxy may cut a stream that is silent; that alone means nothing.
                self._doubt = self._clock.callLater(self._pings[1], self._unreachable, problem.problem)
            lasted = self._clock.seconds() - (self._good_since or self._clock.seconds())
            failures = 0 if good and lasted >= STABLE else failures + 1
            pause = pause_before(failures, self._jitter)
            self.log.debug("{problem}; next try in {pause:.1f} s", problem=problem, pause=pause)
            await deferLater(self._clock, pause)

    async def _connection(self) -> DockerError:
        session = self._session = Session(self._client, self._clock, self._inspector, self, *self._pings)
        try:
            return await session.run()
        except CancelledError:
            raise
        except DockerError as problem:
            return problem
        except Exception:
            self.log.failure("The connection to {host} ended by a bug", host=self._client.host)
            return DockerError(self._client.host, "a bug, see the log")
        finally:
            self._session = None

    async def _stop(self) -> None:
        self._drop_doubt()
        if self._control is not None:
            self._control.stop()
        if self._tick.running:
            self._tick.stop()
        running, self._running = self._running, None
        started, self._started = self._started, None
        if running is None:
            return
        if started is not None:
            started.cancel()
        running.cancel()
        try:
            await running
        except CancelledError:
            self.log.debug("Stopped listening to {host}", host=self._client.host)
        await self._client.close()

    def _every_tick(self) -> None:
        now = self._clock.seconds()
        due = self.registry.overdue(now)
        self.registry.purge(now)
        if self._session is not None and self.synced:
            for container in due:
                self._inspector.mark(container)
            self._inspector.retry()
            self._session.mend()

    def _observe(self, container: str, seen: Container | None) -> None:
        self._news(self.registry.observe(container, seen, self._clock.seconds()))

    def _news(self, changes: Sequence[Change]) -> None:
        # What is there at the first start is none.
        if self._memory.begun:
            self._tell(changes)

    def _unreachable(self, why: str) -> None:
        self._drop_doubt()
        changes = list(self.registry.nodes.reach(folds.UNREACHABLE))
        if changes:
            self.log.warn("Docker Engine {host} can't be reached: {why}", host=self._client.host, why=why)
        self._tell(changes)
        self._see(why)

    def _see(self, lost: str) -> None:
        """The engine can be seen, or why it can't."""
        if self._lost == lost:
            return
        self._lost, self.in_sight = lost, not lost
        for noticed in tuple(self._watchers):
            noticed()

    def _drop_doubt(self) -> None:
        doubt, self._doubt = self._doubt, None
        if doubt is not None and doubt.active():
            doubt.cancel()

    def _tell(self, changes: Sequence[Change]) -> None:
        for change in changes:
            for listener in tuple(self._listeners.values()):
                try:
                    listener(change)
                except Exception:
                    self.log.failure("A listener failed at {uri}", uri=change.resource_uri)

    def _bug(self, reason: Failure) -> None:
        self.log.failure("Looking after {host} ended by a bug", reason, host=self._client.host)
