"""The gateway as a service: a platform, and the port on which it looks like Tutum."""

from collections.abc import Callable
from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IReactorTime, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from tutumstream.errors import TutumstreamError
from tutumstream.gateway.concealment import NOTHING, Concealment
from tutumstream.gateway.gate import Gate
from tutumstream.gateway.platform import IPlatform
from tutumstream.gateway.saving import Saving
from tutumstream.gateway.settings import Permission
from tutumstream.gateway.site import GatewaySite
from tutumstream.gateway.streaming import StreamFactory

INTERRUPTED: Final = "the stream was interrupted"
UNSYNCED: Final = "the gateway does not know its objects yet"


class GatewayService(Service):
    """Serves the Stream and the REST API over a platform, and runs the platform.

    It listens first, so that clients get an honest 503 while the platform finds its objects. The stream is open only
    while the platform sees any of them: a stream that is open and silent would be taken for peace.

    Args:
        reactor: for time.
        endpoint: where to listen.
        platform: started and stopped together with the service.
        gate: who may connect.
        on_failure: called once if the platform can't start, after that was logged; the gateway goes on answering 503.
        allow: what is served beyond looking.
        conceal: what of the objects is left out.
        saving: keeps what the platform and the clients were told over a restart; None where nothing is kept.

    Attributes:
        started: fires with the port as soon as clients may connect; fails where that can't be.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        endpoint: IStreamServerEndpoint,
        platform: IPlatform,
        gate: Gate,
        on_failure: Callable[[Exception], object] | None = None,
        allow: frozenset[Permission] = frozenset(),
        conceal: Concealment = NOTHING,
        saving: Saving | None = None,
    ) -> None:
        self.started: Deferred[IListeningPort] = Deferred()
        self._endpoint = endpoint
        self._platform = platform
        self._on_failure = on_failure
        self._stream = StreamFactory(reactor)
        self._stream.close(UNSYNCED)
        self._saving = saving
        if saving is not None:
            saving.add(self._stream.clientele)
            self._stream.noted = saving.soon
        self._ready: list[Deferred[None]] = []
        platform.watch(self._noticed)
        self._site = GatewaySite(reactor, platform, gate, self._stream, allow, conceal, self._keeps)
        self._port: IListeningPort | None = None
        self._start: Deferred[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None

    def startService(self) -> None:
        """Begin; see `started`."""
        super().startService()
        self._unsubscribe = self._platform.subscribe(self._stream.tell)
        self._start = Deferred.fromCoroutine(self._begin())

    def ready(self) -> Deferred[None]:
        """Fires when the stream is open to clients; stays silent where that never comes."""
        ready: Deferred[None] = Deferred()
        self._ready.append(ready)
        self._tell_ready()
        return ready

    def _keeps(self) -> bool:
        return self._saving is None or not self._saving.failing

    def _noticed(self) -> None:
        """What the platform sees has changed."""
        if self._platform.synced and self._platform.in_sight:
            self._stream.open()
            self._tell_ready()
        else:
            reason = INTERRUPTED if self._platform.synced else UNSYNCED
            self._stream.close("; ".join(self._platform.troubles()) or reason)

    def _tell_ready(self) -> None:
        if not self._stream.closed_because:
            waiting, self._ready = self._ready, []
            for ready in waiting:
                ready.callback(None)

    async def _begin(self) -> None:
        try:
            if self._saving is not None:
                self._saving.start()
            self._port = await self._endpoint.listen(self._site)
        except Exception:
            self.started.errback(Failure())
            return
        self.started.callback(self._port)
        try:
            await self._platform.start()
        except Exception as problem:
            if isinstance(problem, TutumstreamError):
                self._log.error("The gateway has nothing to show: {problem}", problem=problem)
            elif self.running:
                self._log.failure("The platform failed to start")
            if self._on_failure is not None and self.running:
                self._on_failure(problem)

    def stopService(self) -> Deferred[None]:
        """End politely: clients are told (close code 1001), then the port is closed, then the platform stopped."""
        super().stopService()
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        if self._start is not None:
            self._start.cancel()
        if self._unsubscribe is not None:
            self._unsubscribe()
        # Before the clients go: they are those who will come back, and hear nothing from now on.
        saved = self._saving.stop() if self._saving is not None else None
        await self._stream.end()
        if self._port is not None:
            stopping = self._port.stopListening()
            if stopping is not None:
                await stopping
        await self._platform.stop()
        if saved is not None:
            await saved

    def interrupt(self) -> None:
        """Close every stream client once, as an outage would. They may connect again at once."""
        self._log.info("Interrupting {clients} stream clients", clients=self._stream.clients)
        self._stream.interrupt(INTERRUPTED)
