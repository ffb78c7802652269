"""The order in which things start, and in which they stop: against the flow, so that nothing is left behind.

`MultiService` would stop all at once; here the stream ends first, then what it brought is written down, then the lanes
finish what is in flight, and the journal closes last.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from twisted.application.service import IService, Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IListeningPort, IReactorTime, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure

from tutumstream import listening
from tutumstream.delivery.alarm import JournalAlarm
from tutumstream.delivery.service import Lanes
from tutumstream.errors import JournalError, ListenError
from tutumstream.intake import Intake
from tutumstream.journal.housekeeping import Housekeeping
from tutumstream.journal.interface import IJournal
from tutumstream.resync.service import Resync
from tutumstream.status.board import Board
from tutumstream.status.systemd import Systemd
from tutumstream.stream.service import StreamService
from tutumstream.twistd import send_logs

WRITING_GRACE: Final = 5.0
"""Seconds that the disk has for what the stream brought last. When it refuses, the journal tries once more at its end,
and says what it could not write."""

READY_PATIENCE: Final = 30.0
"""Seconds that an engine of our own gateway may take at the start before it counts as lost."""


class Embedded(Protocol):
    """A gateway of our own: a service that says when its stream is open."""

    @property
    def running(self) -> int: ...
    def startService(self) -> None: ...
    def stopService(self) -> Deferred[None]: ...
    def ready(self) -> Deferred[None]: ...


@dataclass(frozen=True)
class Parts:
    """What the service is made of; `assembly` fills it.

    Attributes:
        clock: for a stop that the disk holds up.
        embedded: the gateway that we run ourselves, None where the stream is somebody else's.
        pages: where to serve the probes, and what; None for nowhere.
        released: called when everything has stopped.
    """

    journal: IJournal
    intake: Intake
    lanes: Lanes
    housekeeping: Housekeeping
    alarm: JournalAlarm
    resync: Resync
    stream: StreamService
    clock: IReactorTime
    embedded: Embedded | None
    board: Board
    systemd: Systemd
    pages: tuple[IStreamServerEndpoint, Factory] | None
    released: Callable[[], None]


class Tutumstream(Service):
    """The whole service.

    Args:
        parts: what it is made of.
        fatal: called when it can't begin; must end the process.
        observer: where twistd shall send all logs; None leaves twistd its own way.
    """

    log = Logger()

    def __init__(self, parts: Parts, fatal: Callable[[Failure], None], observer: ILogObserver | None = None) -> None:
        self._parts = parts
        self._fatal = fatal
        self._observer = observer
        self._port: IListeningPort | None = None
        self._begun: Deferred[None] | None = None

    def setServiceParent(self, parent: IService) -> None:
        super().setServiceParent(parent)
        send_logs(parent, self._observer)

    def startService(self) -> None:
        super().startService()
        self._begun = Deferred.fromCoroutine(self._begin())
        self._begun.addErrback(self._failed)

    def stopService(self) -> Deferred[None]:
        """Fires when everything has ended; what was not delivered stays in the journal."""
        super().stopService()
        return Deferred.fromCoroutine(self._end())

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._fatal(failure)

    async def _begin(self) -> None:
        parts = self._parts
        if parts.pages is not None:
            self._port = await _listening(*parts.pages)
        try:
            await self._remember()
        except JournalError as problem:
            await parts.alarm.cannot_begin(problem)
            raise
        parts.housekeeping.start()
        if parts.embedded is not None:
            parts.embedded.startService()
        parts.systemd.ready()
        if parts.embedded is not None:
            # Until then it refuses us, and that would be told as a stream that can't be reached; as it is to be, where
            # it takes too long.
            await parts.embedded.ready().addTimeout(READY_PATIENCE, parts.clock, lambda *_: None)
        parts.stream.startService()

    async def _remember(self) -> None:
        """Go on from what the journal knows. Raises JournalError where that can't be read."""
        parts = self._parts
        await parts.journal.open()
        parts.board.journal_is_open()
        # What comes next writes too, and tries for as long as it takes.
        parts.alarm.start()
        await parts.resync.start()
        await parts.lanes.start()

    async def _end(self) -> None:
        parts = self._parts
        parts.systemd.stopping()
        parts.alarm.stop()
        if self._begun is not None:
            self._begun.cancel()
        if parts.stream.running:
            await parts.stream.stopService()
            parts.resync.stop()
            await parts.intake.settled().addTimeout(WRITING_GRACE, parts.clock)
        parts.housekeeping.stop()
        last_words = parts.alarm.last_words()
        if parts.lanes.running:
            await parts.lanes.stop()
        await last_words
        if parts.embedded is not None and parts.embedded.running:
            await parts.embedded.stopService()
        await parts.journal.close()
        if self._port is not None and (stopping := self._port.stopListening()) is not None:
            await stopping
        parts.released()


async def _listening(endpoint: IStreamServerEndpoint, factory: Factory) -> IListeningPort:
    try:
        return await endpoint.listen(factory)
    except listening.REFUSALS as problem:
        raise ListenError(listening.words(problem)) from problem
