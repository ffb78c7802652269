"""Sees to it that nothing is missed: after each (re)connect the objects are listed and compared with what was known.

Live events are never held back for it: an event is made durable when it is received, or never. An object that is heard
of while a comparison is under way is left out of it, because what was heard is newer than any list. That is safe when
nothing that a list shows is still on its way; so before comparing we wait until the server has answered a ping that was
sent after the last list. Events that the server itself sends later than its lists are recognised (`Live`).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from tutumstream.errors import TutumstreamError
from tutumstream.event import Event
from tutumstream.ids import mint
from tutumstream.journal.interface import IJournal
from tutumstream.journal.objects import ObjectState
from tutumstream.outstanding import Outstanding
from tutumstream.resources.inventory import Inventory, Lister
from tutumstream.resync.compare import Change, Findings, compare, missing
from tutumstream.resync.live import Live
from tutumstream.resync.words import summary, unknown

SETTLE: Final = 1.0
"""Seconds that a connection must stand before anything is listed: whoever is let in and thrown out asks for nothing."""

HEARTBEAT: Final = 10.0
"""Seconds between two notes of the time up to which nothing was missed, while nothing happens."""

NOTED_AFTER: Final = 1.0
"""Seconds between two such notes while events come: with them it costs next to nothing."""

TOLD_AFTER: Final = 5.0
"""Seconds of trouble with the REST API after which the gap itself is told."""

AGAIN: Final = 30.0
"""Seconds until another try after what should not happen."""


class Resync:
    """Between the stream and the intake: passes live events on, and adds what was missed.

    Args:
        source: names whose objects these are; another name means other objects.
        lister: reads the lists.
        journal: knows what was told last.
        take: takes live events.
        catch_up: takes what was missed, together with what is known from now on and the time up to which all is told.
        clock: for waiting.
        now: seconds since 1970.
        new_id: mints ids for events.

    Attributes:
        blind_since: since when nobody could know whether what was told last still holds: from a loss, or the start, to
            the end of the comparison after it. Seconds since 1970; 0.0 while that is known.
        caught_up: fires when all that the server had sent until it was asked has been passed on.
    """

    log = Logger()
    caught_up: Callable[[], Deferred[None]]

    def __init__(
        self,
        *,
        source: str,
        lister: Lister,
        journal: IJournal,
        take: Callable[[Event], None],
        catch_up: Callable[[Sequence[Event], Sequence[ObjectState], float], Deferred[Any]],
        clock: IReactorTime,
        now: Callable[[], float],
        new_id: Callable[[], str] = mint,
    ) -> None:
        self._source = source
        self._lister = lister
        self._journal = journal
        self._pass_on = take
        self._catch_up_with = catch_up
        self._clock = clock
        self._now = now
        self._new_id = new_id
        self._live = Live()
        # From the beginning on: what was to be told before may be due before anything of this was started.
        self.blind_since = now()
        self._complete_until: float | None = None
        self._complete = False
        self._heard_at = 0.0
        self._gap_told = False
        self._struggling_since: float | None = None
        self._opened_at = 0.0
        self._working: Deferred[None] | None = None
        self._outstanding = Outstanding()
        self._heartbeat = LoopingCall(self._note)
        self._heartbeat.clock = clock
        lister.trouble = self._struggle

    @property
    def complete(self) -> bool:
        """Everything that happened up to now was told."""
        return self._complete

    def start(self) -> Deferred[None]:
        """Make the journal remember this source. Before the stream starts."""
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> None:
        """End what is under way; harmless when not started. After the stream has stopped."""
        if self._heartbeat.running:
            self._heartbeat.stop()
        self._end_session()

    def take(self, event: Event) -> None:
        """A live event; goes on at once, or is left out because it was told already."""
        if event.type != "stream":
            self._heard_at = event.received_at
        if self._live.busy and not self._live.admits(event):
            self.log.debug("{uri} {state} was told as missed already", uri=event.resource_uri, state=event.state)
            return
        self._pass_on(event)
        if self._complete_until is not None and self._heard_at >= self._complete_until + NOTED_AFTER:
            self._note()

    def opened(self) -> None:
        """The stream is there, so whatever happens from now on comes by it."""
        self._end_session()
        self._opened_at = self._heard_at = self._now()
        self._live.opened(self._opened_at)
        self._working = Deferred.fromCoroutine(self._work()).addErrback(_end_quietly)
        self._outstanding.own(self._working, "find out what was missed")

    def lost(self, alive_until: float) -> None:
        """It is gone, and was there until then for sure."""
        self._end_session()
        if self._complete:
            self._heard(alive_until)
            self._note()
        self._complete = False
        self.blind_since = self.blind_since or self._now()

    def alive(self, at: float) -> None:
        """The server gave a sign of life."""
        self._heard(at)

    async def _start(self) -> None:
        await self._journal.watch(self._source)
        self._heartbeat.start(HEARTBEAT, now=False)

    async def _work(self) -> None:
        await self._wait(SETTLE)
        self._complete_until = (await self._journal.watch(self._source)).complete_until
        # The server answers a ping, so it has taken us in.
        await self.caught_up()
        while True:
            try:
                if await self._try():
                    return
            except CancelledError:
                raise
            except TutumstreamError as problem:
                self.log.debug("what was missed can't be told yet: {problem}", problem=problem)
            except Exception:
                self.log.failure("a bug: what was missed could not be found out; trying again")
            self._live.silence()
            await self._wait(AGAIN)

    async def _try(self) -> bool:
        """Compare, and tell what was found. False where too much was heard meanwhile to know what is newer."""
        self._live.listen()
        there = await self._lister.take_stock()
        known = {each.uri: each for each in await self._journal.states()}
        lost = await self._lister.look(missing(known, there, self._live.heard))
        there = Inventory({**there.objects, **lost}, there.types)
        self._struggling_since = None
        until = self._now()
        await self.caught_up()
        if self._live.too_much:
            return False
        first = self._complete_until is None
        findings = compare(known, there, self._live.heard, self._now(), first)
        events = self._events(findings)
        # From here to the journal nothing can come in between.
        told = self._catch_up_with([*events, *self._summary(findings)], findings.learned, until)
        self._live.told(events, self._now())
        await told
        if first:
            self.log.info(
                "{count} objects are known; what happens to them while nobody listens will be told",
                count=len(there.objects),
            )
        self._complete_until, self._complete, self._gap_told = until, True, False
        self.blind_since = 0.0
        return True

    def _events(self, findings: Findings) -> list[Event]:
        return [self._event(change) for change in findings.changes]

    def _event(self, change: Change) -> Event:
        now = change.now
        return Event(
            id=self._new_id(),
            received_at=now.at,
            type=now.type,
            action=change.action,
            state=now.state,
            resource_uri=now.uri,
            parents=now.parents,
            synthetic=True,
            missed_from=self._missed_from(),
            missed_to=self._opened_at,
            docker=change.docker,
        )

    def _summary(self, findings: Findings) -> list[Event]:
        """What is said of the gap; nothing where there was none, because it is the first time that we look."""
        if self._complete_until is None:
            return []
        late = self._live.late(self._missed_from())
        changed = "Changed" if findings.changes or late else "Cleared" if self._gap_told else "Unchanged"
        return [self._of_the_gap("caught-up", changed, summary(self._blind(), findings, late))]

    def _of_the_gap(self, action: str, state: str, message: str) -> Event:
        return Event(
            id=self._new_id(),
            received_at=self._now(),
            type="stream",
            action=action,
            state=state,
            message=message,
            missed_from=self._missed_from(),
            missed_to=self._opened_at,
        )

    def _missed_from(self) -> float:
        # A clock that was set back must not make a time that ends before it begins.
        return self._opened_at if self._complete_until is None else min(self._complete_until, self._opened_at)

    def _blind(self) -> float:
        return self._opened_at - self._missed_from()

    def _struggle(self, reason: str) -> None:
        """The lists can't be had at once."""
        now = self._now()
        if self._struggling_since is None:
            self._struggling_since = now
        self.log.debug("the REST API can't be asked what changed: {reason}", reason=reason)
        if self._gap_told or now - self._struggling_since < TOLD_AFTER:
            return
        self._gap_told = True
        if self._complete_until is None:
            self.log.warn(
                "the REST API can't be asked what there is ({reason}): until it can, nothing is told of what happens "
                "while nobody listens",
                reason=reason,
            )
        else:
            self._pass_on(self._of_the_gap("gap", "", unknown(self._blind(), reason)))

    def _heard(self, at: float) -> None:
        self._heard_at = max(self._heard_at, at)

    def _note(self) -> None:
        """Remember up to when nothing was missed, for the next start."""
        if self._complete and (self._complete_until is None or self._heard_at > self._complete_until):
            self._complete_until = self._heard_at
            self._outstanding.own(self._journal.watched(self._heard_at), "note the time")

    def _wait(self, seconds: float) -> Deferred[None]:
        return deferLater(self._clock, seconds, lambda: None)

    def _end_session(self) -> None:
        self._live.silence()
        self._struggling_since = None
        if self._working is not None:
            working, self._working = self._working, None
            working.cancel()


def _end_quietly(failure: Failure) -> None:
    failure.trap(CancelledError)
