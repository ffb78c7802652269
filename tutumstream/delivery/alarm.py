"""The one thing that is told without being remembered: that nothing can be remembered.

While the disk is full, nothing is read from the stream and nobody is told anything, not even that the stream is lost.
Whoever is on call must hear of that by a way that needs no disk.
"""

from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from tutumstream.errors import JournalError, JournalInUseError
from tutumstream.event import Event
from tutumstream.ids import mint
from tutumstream.journal.interface import Health, IJournal
from tutumstream.notifiers.interface import Delivered, INotifier, Message
from tutumstream.routing.always import STREAM_INCIDENT
from tutumstream.routing.delivery import Incident

EVERY: Final = 15.0
"""Seconds between two looks at the journal, and between two tries to tell."""

PATIENCE: Final = 5
"""Looks, one after the other, that find it in trouble before somebody is told: at least a minute."""

PAGER: Final = "pagerduty"
"""Who may be told the same again and again, and makes one incident of it."""


class JournalAlarm:
    """Tells some destinations that the journal is in trouble, and that it is well again.

    The trouble is told past the journal, and opens the stream's own incident: nobody listens, whatever the stream does.
    It is told when it lasts for a minute, or when the service ends before; the pager also hears of a service that can't
    begin, as often as somebody tries to start it. That the trouble is over goes the way of every event. Where the
    service ended in between, the stream that opens after the next start closes the incident.

    Args:
        journal: watched.
        notifiers: who is told, by name, the most important first.
        connected: whether the stream is open.
        take: takes the event that it is over.
        clock: for the interval.
        now: seconds since 1970.
    """

    log = Logger()

    def __init__(
        self,
        journal: IJournal,
        notifiers: Mapping[str, INotifier],
        connected: Callable[[], bool],
        take: Callable[[Event], None],
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._notifiers = notifiers
        self._connected = connected
        self._take = take
        self._now = now
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._looking: Deferred[None] = succeed(None)
        self._watched = False
        self._seen = 0
        self._event: Event | None = None
        self._untold: list[str] = []

    def start(self) -> None:
        """Begin to watch; the journal is open."""
        self._watched = True
        self._loop.start(EVERY, now=False)

    def stop(self) -> None:
        """Watch no longer; harmless when not begun."""
        if self._loop.running:
            self._loop.stop()

    def last_words(self) -> Deferred[None]:
        """After `stop`: where the journal is in trouble now, tell those who don't know, once. Never fails; fires when
        nobody is being told any more."""
        told: Deferred[None] = Deferred()
        self._looking.addCallback(lambda _: self._tell_of_the_end()).addErrback(self._failed).addCallback(told.callback)
        return told

    def cannot_begin(self, problem: JournalError) -> Deferred[None]:
        """Tell the pager that the journal can't be opened, unless another service has it. Never fails."""
        if isinstance(problem, JournalInUseError) or PAGER not in self._notifiers:
            return succeed(None)
        event = self._about("trouble", f"tutumstream can't begin: {problem}.")
        return Deferred.fromCoroutine(self._tell(PAGER, event))

    def _look(self) -> Deferred[None]:
        # The next look waits for the end of this one, so what is told never overtakes.
        self._looking = Deferred.fromCoroutine(self._check()).addErrback(self._failed)
        return self._looking

    def _failed(self, failure: Failure) -> None:
        """The next look is another chance."""
        self.log.failure("a bug: the journal's alarm failed", failure)

    async def _check(self) -> None:
        health = self._journal.health
        if not health.problem:
            self._end()
            return
        self._seen += 1
        if self._seen < PATIENCE:
            return
        event = self._trouble(f"The journal {_in_words(health)}")
        for name in self._untold:
            if self._loop.running:
                await self._tell(name, event)

    def _trouble(self, words: str) -> Event:
        """The trouble that is told of, with these words where it is new."""
        if self._event is None:
            self._event = self._about("trouble", words)
            self._untold = list(self._notifiers)
        return self._event

    def _tell_of_the_end(self) -> Deferred[list[None]]:
        health = self._journal.health
        if not health.problem or not self._watched:
            return succeed([])
        stopped = f"tutumstream is stopped, and its journal {health.problem}"
        event = self._trouble(f"{stopped}. Changes not written by now: {health.waiting}.")
        return gatherResults([Deferred.fromCoroutine(self._tell(name, event)) for name in self._untold])

    async def _tell(self, name: str, event: Event) -> None:
        notifier = self._notifiers[name]
        text = notifier.escape(event.message)
        message = Message(f"{event.id}-{name}", event, text, "journal", Incident("trigger", STREAM_INCIDENT))
        try:
            (verdict,) = await notifier.notify([message])
        except Exception:
            self.log.failure("a bug: {destination} could not be told of the journal's trouble", destination=name)
            return
        if isinstance(verdict, Delivered):
            self.log.info("{destination} was told of the journal's trouble", destination=name)
            self._untold = [other for other in self._untold if other != name]
        else:
            self.log.warn(
                "{destination} could not be told of the journal's trouble: {reason}",
                destination=name,
                reason=verdict.reason,
            )

    def _end(self) -> None:
        self._seen = 0
        told, self._event = self._event, None
        if told is not None:
            # Where the stream is lost, its own trigger stands behind in the queue: that incident must not be closed.
            state = "Connected" if self._connected() else ""
            self._take(self._about("recovered", "The journal can be written again: what waited is told now.", state))

    def _about(self, action: str, words: str, state: str = "") -> Event:
        return Event(id=mint(), received_at=self._now(), type="journal", action=action, state=state, message=words)


def _in_words(health: Health) -> str:
    if not health.waiting:
        return f"{health.problem}."
    return f"{health.problem}. Changes that wait to be written: {health.waiting}; nobody is told of them before."
