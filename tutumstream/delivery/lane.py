"""One worker per destination: takes its deliveries from the journal, in order, and tells them one after the other.

A lane never looks left or right, so a dead destination delays nobody else. All that it must know after a crash is in
the journal's rows; what it keeps in memory is only a window on them.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tutumstream.backoff import Jitter
from tutumstream.delivery.decision import Decision, Later, Settled, decide
from tutumstream.delivery.state import DestinationState, Failing, Held, Limited, Ok
from tutumstream.errors import JournalError
from tutumstream.journal.interface import DeadLetter, IJournal, Pending
from tutumstream.notifiers.interface import Delivered, Hold, INotifier, Message, Rejected, TryAgain, Verdict

WINDOW: Final = 200
"""Rows read at once."""

JOURNAL_PAUSE: Final = 1.0
"""Seconds to wait when the journal can't be read."""


class Lane:
    """The queue in front of one destination.

    Args:
        destination: its name.
        notifier: tells.
        journal: remembers.
        compose: makes the message of a delivery; called at most once per try.
        publish: called with every new state of the destination.
        clock: for waiting.
        now: seconds since 1970.
        jitter: 0.0 up to 1.0.
    """

    log = Logger()

    def __init__(
        self,
        destination: str,
        notifier: INotifier,
        journal: IJournal,
        compose: Callable[[Pending], Awaitable[Message]],
        publish: Callable[[str, DestinationState], None],
        clock: IReactorTime,
        now: Callable[[], float],
        jitter: Jitter,
    ) -> None:
        self.destination = destination
        self._notifier = notifier
        self._journal = journal
        self._compose = compose
        self._publish = publish
        self._clock = clock
        self._now = now
        self._jitter = jitter
        self._window: deque[Pending] = deque()
        self._blocked_until = 0.0
        self._limited = 0
        self._state: DestinationState = Ok()
        self._stopping = False
        self._running: Deferred[None] | None = None
        self._sleep: Deferred[None] | None = None
        self._alarm: IDelayedCall | None = None

    def start(self) -> None:
        """Go on with what was not delivered."""
        self._publish(self.destination, self._state)
        self._running = Deferred.fromCoroutine(self._run())

    def wake(self) -> None:
        """There is something new."""
        if self._sleep is not None:
            sleep, self._sleep = self._sleep, None
            if self._alarm is not None and self._alarm.active():
                self._alarm.cancel()
            sleep.callback(None)

    def stop(self) -> Deferred[None]:
        """Begin nothing new; fires when what is in flight has ended. Cancel it to let go of that too."""
        self._stopping = True
        self.wake()
        running, self._running = self._running, None
        return running if running is not None else succeed(None)

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._step()
            except JournalError as problem:
                self.log.warn("{destination}: {problem}", destination=self.destination, problem=problem)
                self._window.clear()
                await self._wait(JOURNAL_PAUSE)

    async def _step(self) -> None:
        if not self._window:
            # Armed before the look: what is recorded while the journal answers must wake us too.
            sleep = self._fall_asleep()
            self._window.extend(await self._journal.pending(self.destination, 0, WINDOW))
            if not self._window:
                if not self._stopping:
                    await sleep
                return
            self.wake()
        delay = max(self._window[0].due, self._blocked_until) - self._now()
        if delay > 0:
            await self._wait(delay)
            return
        batch = [self._window[n] for n in range(min(self._notifier.batch, len(self._window)))]
        await self._apply(batch, await self._tell(batch))

    async def _tell(self, batch: Sequence[Pending]) -> list[Verdict]:
        try:
            messages = [await self._compose(pending) for pending in batch]
            verdicts = await self._notifier.notify(messages)
        except CancelledError:
            raise
        except Exception as bug:
            self.log.failure("a bug: {destination} could not be told", destination=self.destination)
            return [TryAgain(f"a bug ({type(bug).__name__})")] * len(batch)
        return verdicts

    async def _apply(self, batch: Sequence[Pending], verdicts: Sequence[Verdict]) -> None:
        """Draw the conclusions from a batch and write them down."""
        self._limited = self._limited + 1 if any(_is_limit(verdict) for verdict in verdicts) else 0
        now = self._now()
        decisions: list[Decision] = [
            decide(pending, verdict, self._limited, now, self._jitter)
            for pending, verdict in zip(batch, verdicts, strict=True)
        ]
        postponed = [each for each in decisions if isinstance(each, Later)]
        self._blocked_until = max([each.until for each in postponed], default=0.0)
        if postponed:
            # Rows that failed have changed: what stays pending is read anew, in its old place.
            self._window.clear()
        for _ in range(min(len(batch), len(self._window))):
            self._window.popleft()
        self._observe(verdicts, now)
        await self._write(decisions, now)

    async def _write(self, decisions: Sequence[Decision], now: float) -> None:
        dead = [each for each in decisions if isinstance(each, DeadLetter)]
        for each in dead:
            self.log.error(
                "{destination}: gave up delivery {id} ({cause}): {reason}",
                destination=self.destination,
                id=each.pending.id,
                cause=each.cause,
                reason=each.reason,
            )
        if settled := [each.seq for each in decisions if isinstance(each, Settled)]:
            await self._journal.settle(settled, now)
        if dead:
            await self._journal.bury(dead)
        rows = [each.postponement for each in decisions if isinstance(each, Later) and each.postponement is not None]
        if rows:
            await self._journal.postpone(rows)

    def _observe(self, verdicts: Sequence[Verdict], now: float) -> None:
        """Tell once when the destination turns bad, and once when it recovers."""
        state = _state(verdicts, self._state, self._blocked_until, now)
        if type(state) is not type(self._state):
            if isinstance(state, Ok):
                self.log.info("{destination} works again", destination=self.destination)
            else:
                self.log.warn("{destination} is {state}", destination=self.destination, state=state)
        self._state = state
        self._publish(self.destination, state)

    def _fall_asleep(self) -> Deferred[None]:
        self._sleep = Deferred()
        return self._sleep

    async def _wait(self, seconds: float) -> None:
        if self._stopping:
            return
        sleep = self._fall_asleep()
        self._alarm = self._clock.callLater(seconds, self.wake)
        await sleep


def _is_limit(verdict: Verdict) -> bool:
    return isinstance(verdict, TryAgain) and verdict.limited


def _state(verdicts: Sequence[Verdict], before: DestinationState, until: float, now: float) -> DestinationState:
    """What a destination is after these verdicts: the worst of them counts."""
    since = before.since if isinstance(before, Failing | Held) else now
    for verdict in verdicts:
        if isinstance(verdict, Hold):
            return Held(since if isinstance(before, Held) else now, verdict.reason)
    for verdict in verdicts:
        if isinstance(verdict, TryAgain):
            return Limited(until, verdict.reason) if verdict.limited else Failing(since, verdict.reason)
    # A refused message says nothing of the destination, but it answers.
    return Ok() if all(isinstance(verdict, Delivered | Rejected) for verdict in verdicts) else before
