"""One worker per destination: takes its deliveries from the journal and tells them, each key's in order.

A lane never looks left or right, so a dead destination delays nobody else. All that it must know after a crash is in
the journal; what it keeps in memory is a window on it.

When a delivery fails, the whole destination waits and the same delivery is tried again: most failures are the
destination's. Only when others got through in the meantime, or it failed often, is the delivery itself the suspect, and
the others go on without it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tutumstream.backoff import Jitter
from tutumstream.delivery.compose import Composer
from tutumstream.delivery.decision import Decision, Later, Settled, expired, is_too_old
from tutumstream.delivery.destination import Destination
from tutumstream.delivery.feed import Feed
from tutumstream.delivery.incidents import Incidents
from tutumstream.delivery.manners import Manners
from tutumstream.delivery.pairing import Pairing
from tutumstream.delivery.rate import TokenBucket
from tutumstream.delivery.state import DestinationState, Ok, standing, state
from tutumstream.delivery.unwritten import Unwritten
from tutumstream.delivery.window import Window
from tutumstream.errors import JournalError
from tutumstream.journal.interface import DeadLetter, IJournal, Pending, Standing
from tutumstream.notifiers.interface import INotifier, TryAgain, Verdict

JOURNAL_PAUSE: Final = 1.0
"""Seconds to wait when the journal can't be read."""

DIGEST_AFTER: Final = 60.0
"""Seconds of backlog, at the destination's own rate, from which on messages are told together."""


class Lane:
    """The queue in front of one destination.

    Args:
        destination: its name.
        notifier: tells.
        manners: how much at once, and how fast.
        journal: remembers.
        composer: writes the messages.
        incidents: which ones are open.
        publish: called with every new state of the destination.
        turned: called with the state before and after, when it is another kind of state, or others must hear of it.
        clock: for waiting.
        now: seconds since 1970.
        jitter: 0.0 up to 1.0.
    """

    log = Logger()

    def __init__(
        self,
        destination: str,
        notifier: INotifier,
        manners: Manners,
        journal: IJournal,
        composer: Composer,
        incidents: Incidents,
        publish: Callable[[str, DestinationState], None],
        turned: Callable[[str, DestinationState, DestinationState], None],
        clock: IReactorTime,
        now: Callable[[], float],
        jitter: Jitter,
    ) -> None:
        self.destination = destination
        self._notifier = notifier
        self._manners = manners
        self._journal = journal
        self._composer = composer
        self._incidents = incidents
        self._publish = publish
        self._turned = turned
        self._clock = clock
        self._now = now
        self._jitter = jitter
        self._window = Window(incidents.held_until)
        self._pairing = Pairing(destination, self._window, incidents, journal, self._write, now)
        size = max(manners.in_memory, 8 * notifier.batch)
        self._feed = Feed(destination, journal, self._window, self._pairing.tidy, size, now)
        self._bucket = TokenBucket(manners.rate)
        self._unhurried = manners.rate is None and not notifier.linger
        self._is = Destination(Ok(), jitter)
        self._shown: DestinationState = Ok()
        self._tries: set[Deferred[Any]] = set()
        self._writes = Unwritten(lambda rows: journal.settle(rows, now()), manners.unwritten, self._pump)
        self._alarm: IDelayedCall | None = None
        self._reading: Deferred[None] | None = None
        self._lingering_since: float | None = None
        self._running = False
        self._stopped: Deferred[None] | None = None
        self._pumping = False

    def start(self, stood: Standing) -> None:
        """Go on with what was not delivered, and with how the destination stood."""
        self._running = True
        self._pairing.begin()
        self._is = Destination(state(stood, self._now()), self._jitter)
        self._shown = self._is.state
        self._publish(self.destination, self._shown)
        self._read(self._feed.start())

    def offer(self, rows: Sequence[Pending]) -> None:
        """These were just recorded for this destination, in this order."""
        self._feed.offer(rows)
        self._pump()

    def give_up_old(self) -> None:
        """Give up what grew too old while nothing may be sent: the destination may have asked for a longer silence."""
        state, now = self._is.state, self._now()
        if isinstance(state, Ok) or self._is.blocked_until <= now or not self._running:
            return
        old = self._window.that_are(lambda row: is_too_old(row, now))
        if old:
            self._window.drop(old)
            self._bury([expired(row, state.reason, row.answer, now) for row in old])

    def stop(self) -> Deferred[None]:
        """Begin nothing but what is urgent and may go at once: that we stop is a page, too.

        Fires when nothing is under way any more. Cancel it to let go of that too.
        """
        stopped: Deferred[None] = Deferred(self._let_go)
        self._stopped = stopped
        if self._reading is not None:
            self._reading.cancel()
        self._pump()
        return stopped.addCallback(lambda _: self._writes.settled())

    def _let_go(self, _: Deferred[None]) -> None:
        self._running = False
        for each in tuple(self._tries):
            each.cancel()

    def _pump(self) -> None:
        """Begin whatever may begin now."""
        if self._pumping:
            # A notifier that answers at once: the loop below goes on by itself.
            return
        self._pumping = True
        while self._running and not self._writes.full and len(self._tries) < self._is.width(self._manners.at_once):
            now = self._now()
            wait = self._wait(now)
            if self._stopped is not None and not self._window.has_urgent(now):
                break
            rows = self._take(now) if wait <= 0 else []
            if not rows:
                due = self._window.due()
                self._wake_in(wait if wait > 0 or due is None else due - now)
                break
            self._bucket.take(now)
            self._try(rows)
        self._pumping = False
        if self._stopped is not None:
            self._end_if_idle(self._stopped)
        elif self._running:
            if self._feed.skipped and not len(self._window) and not self._writes.rows:
                self._feed.begin_anew()
            if self._feed.wants():
                self._read(self._feed.read())

    def _wait(self, now: float) -> float:
        """Seconds during which nothing may be sent."""
        if self._unhurried:
            return self._is.blocked_until - now
        return max(self._is.blocked_until - now, self._bucket.wait(now), self._lingering(now))

    def _end_if_idle(self, stopped: Deferred[None]) -> None:
        now = self._now()
        # Only our own rate stands in the way of something urgent: that is soon over.
        soon = self._window.has_urgent(now) and self._is.blocked_until <= now and self._running
        if not self._tries and not soon:
            self._running = False
            self._disarm()
            if not stopped.called:
                stopped.callback(None)

    def _take(self, now: float) -> list[Pending]:
        rate = self._manners.rate
        if self._manners.digests and rate is not None and not self._window.has_urgent(now):
            late = self._window.waiting > rate.per_second * DIGEST_AFTER
            return self._window.take(now, len(self._window) if late else self._notifier.batch)
        return self._window.take(now, self._notifier.batch)

    def _lingering(self, now: float) -> float:
        """Seconds to wait for a fuller batch."""
        if not self._notifier.linger or self._window.waiting >= self._notifier.batch or not self._window.waiting:
            self._lingering_since = None
            return 0.0
        if self._lingering_since is None:
            self._lingering_since = now
        return max(0.0, self._lingering_since + self._notifier.linger - now)

    def _try(self, rows: Sequence[Pending]) -> None:
        self._lingering_since = None
        trying: Deferred[Any] = self._tell(rows)
        self._tries.add(trying)
        ours = (trying, rows)
        trying.addCallbacks(self._ended, self._bug, callbackArgs=ours, errbackArgs=ours)

    def _tell(self, rows: Sequence[Pending]) -> Deferred[list[Verdict]]:
        try:
            if len(rows) > self._notifier.batch:
                told = self._notifier.notify([self._composer.digest(rows)])
                return told.addCallback(lambda verdicts: list(verdicts) * len(rows))
            messages = self._composer.messages(rows)
            if isinstance(messages, Deferred):
                return messages.addCallback(self._notifier.notify)
            return self._notifier.notify(messages)
        except Exception:
            return fail()

    def _bug(self, failure: Failure, trying: Deferred[Any], rows: Sequence[Pending]) -> None:
        if failure.check(CancelledError):
            # What was let go at a stop stays as it is in the journal.
            self._tries.discard(trying)
            self._pump()
            return
        self.log.failure("a bug: {destination} could not be told", failure, destination=self.destination)
        self._ended([TryAgain(f"a bug ({type(failure.value).__name__})")] * len(rows), trying, rows)

    def _ended(self, verdicts: Sequence[Verdict], trying: Deferred[Any], rows: Sequence[Pending]) -> None:
        """Draw the conclusions from a try, write them down, and begin the next."""
        now = self._now()
        if self._is.all_well(rows, verdicts):
            self._window.ended(rows, ())
            self._arrived(rows, now)
        else:
            self._conclude(self._is.judge(rows, verdicts, now), now)
            self._observe()
        self._pairing.tidy(rows)
        self._tries.discard(trying)
        self._pump()

    def _arrived(self, rows: Sequence[Pending], now: float) -> None:
        for row in rows:
            if row.delivery.incident is not None:
                self._incidents.told(row, now)
        self._writes.arrived(rows)

    def _conclude(self, decisions: Sequence[Decision], now: float) -> None:
        settled = [each.row for each in decisions if isinstance(each, Settled)]
        dead = [each for each in decisions if isinstance(each, DeadLetter)]
        later = [each for each in decisions if isinstance(each, Later)]
        self._window.ended([*settled, *(each.pending for each in dead)], [each.stays for each in later])
        if settled:
            self._arrived(settled, now)
        if dead:
            self._bury(dead)
        if postponed := [each.postponement for each in later if each.postponement is not None]:
            self._write(self._journal.postpone(postponed), len(postponed))

    def _bury(self, dead: Sequence[DeadLetter]) -> None:
        alike: dict[tuple[str, str], list[DeadLetter]] = {}
        for each in dead:
            alike.setdefault((each.cause, each.reason), []).append(each)
        for (cause, reason), group in alike.items():
            self.log.error(
                "{destination}: gave up delivery {id}{others} ({cause}): {reason}",
                destination=self.destination,
                id=group[0].pending.id,
                others=f" and {len(group) - 1} others" if len(group) > 1 else "",
                cause=cause,
                reason=reason,
            )
        self._write(self._journal.bury(dead), len(dead))

    def _observe(self) -> None:
        """Tell once when the destination turns bad, and once when it recovers."""
        before, after = self._shown, self._is.state
        if after == before:
            return
        self._shown = after
        self._write(self._journal.stand(self.destination, standing(after)))
        self._publish(self.destination, after)
        if type(after) is type(before) and after.told == before.told:
            return
        if isinstance(after, Ok):
            self.log.info("{destination} works again", destination=self.destination)
        elif type(after) is not type(before):
            self.log.warn("{destination} is {state}", destination=self.destination, state=after)
        self._turned(self.destination, before, after)

    def _read(self, reading: Deferred[None]) -> None:
        self._reading = reading
        reading.addCallbacks(self._has_read, self._can_not_read)

    def _has_read(self, _: None) -> None:
        self._reading = None
        self.give_up_old()
        self._pump()

    def _can_not_read(self, failure: Failure) -> None:
        self._reading = None
        if failure.check(CancelledError):
            return
        if failure.check(JournalError):
            self.log.warn("{destination}: {problem}", destination=self.destination, problem=failure.value)
        else:
            self.log.failure("a bug: the backlog of {destination} can't be read", failure, destination=self.destination)
        self._wake_in(JOURNAL_PAUSE)

    def _write(self, writing: Deferred[Any], rows: int = 1) -> None:
        self._writes.own(writing, rows, f"write down what became of deliveries to {self.destination}")

    def _wake_in(self, seconds: float) -> None:
        self._disarm()
        if seconds > 0:
            self._alarm = self._clock.callLater(seconds, self._pump)

    def _disarm(self) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._alarm = None
