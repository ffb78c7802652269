"""Group commit: what is asked for while one transaction runs shares the next; nobody is told before the sync."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, overload

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tutumstream.errors import JournalError
from tutumstream.journal.interface import Health
from tutumstream.journal.trouble import in_words
from tutumstream.journal.worker import Worker

T = TypeVar("T")
W = TypeVar("W")

Outcome = Exception | None
"""None: it is on disk. Else why this one write was refused."""

GROUP_LIMIT: Final = 1000
"""Writes in one transaction, and what was asked for together with the last of them: enough for full speed, and none
waits for more than a few milliseconds of others' rows."""

RETRY_PAUSE: Final = 1.0
"""Seconds between two tries while the disk refuses."""


@dataclass(slots=True, eq=False)
class _Asked(Generic[W]):
    """Writes that were asked for together, each with its answer; `alone` where it is one that stands for itself."""

    writes: Sequence[W]
    answers: Sequence[Any]
    alone: bool
    done: Deferred[Any]


class GroupCommit(Generic[W]):
    """Writes in the order asked, as many at once as have come together.

    Args:
        place: where the journal is, for messages.
        commit: does all of a group in one transaction, in the worker, and tells what became of each. It raises when the
            disk refuses; then nothing of the group was done, and the group is tried again for as long as it takes.
        worker: runs `commit`.
        clock: for the pause between tries.
    """

    log = Logger()

    def __init__(
        self, place: str, commit: Callable[[Sequence[W]], Sequence[Outcome]], worker: Worker, clock: IReactorTime
    ) -> None:
        self._place = place
        self._commit = commit
        self._worker = worker
        self._clock = clock
        self._waiting: deque[_Asked[W]] = deque()
        self._count = 0
        self._problem = ""
        self._working = False
        self._closing = False
        self._drained: Deferred[None] | None = None
        self._pause: Deferred[None] | None = None

    @property
    def health(self) -> Health:
        """How it is right now."""
        return Health(self._problem, self._count)

    @overload
    def ask(self, write: W) -> Deferred[None]: ...

    @overload
    def ask(self, write: W, answer: T) -> Deferred[T]: ...

    def ask(self, write: W, answer: Any = None) -> Deferred[Any]:
        """Fires with the answer when the write is on disk; fails with `JournalError` where it is refused for itself.

        The answer travels along instead of in a callback.
        """
        return self._ask(_Asked((write,), (answer,), True, Deferred()))

    def ask_all(self, writes: Sequence[W], answers: Sequence[T]) -> Deferred[Sequence[T]]:
        """Fires with the answers when the writes are on disk, without those of writes that were refused for themselves.

        Thousands are asked for in a second, so what came together shares one Deferred.
        """
        return self._ask(_Asked(writes, answers, False, Deferred()))

    def _ask(self, asked: _Asked[W]) -> Deferred[Any]:
        self._waiting.append(asked)
        self._count += len(asked.writes)
        if not self._working:
            self._working = True
            Deferred.fromCoroutine(self._work()).addErrback(self._bug)
        return asked.done

    def drain(self) -> Deferred[None]:
        """Fires when nothing waits any more. While the disk refuses, one more try decides; ask for nothing after it."""
        self._closing = True
        if not self._working:
            return succeed(None)
        self._drained = Deferred()
        self._wake()
        return self._drained

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._next_group()
        finally:
            self._working = False
            if self._drained is not None:
                self._drained.callback(None)

    async def _next_group(self) -> None:
        group, writes = [], list[W]()
        while self._waiting and len(writes) < GROUP_LIMIT:
            asked = self._waiting.popleft()
            group.append(asked)
            writes += asked.writes
        outcomes = await self._persist(writes)
        self._count -= len(writes)
        if len(outcomes) != len(writes):
            raise ValueError(f"{len(outcomes)} outcomes of {len(writes)} writes")
        start = 0
        for asked in group:
            end = start + len(asked.writes)
            self._answer(asked, outcomes[start:end])
            start = end

    async def _persist(self, writes: Sequence[W]) -> Sequence[Outcome]:
        """Try until it is done, or until there is no more time."""
        while True:
            try:
                outcomes = await self._worker.run(lambda: self._commit(writes))
            except Exception as problem:
                self._turn_bad(problem)
                if self._closing:
                    self._give_up()
                    return [problem] * len(writes)
                self._pause = Deferred()
                alarm = self._clock.callLater(RETRY_PAUSE, self._wake)
                await self._pause
                _disarm(alarm)
            else:
                self._recover()
                return outcomes

    def _answer(self, asked: _Asked[W], outcomes: Sequence[Outcome]) -> None:
        refused = [outcome for outcome in outcomes if outcome is not None]
        if not self._problem:
            for outcome in refused:
                self.log.failure("a bug: a change was refused by the journal", failure=Failure(outcome))
        if len(refused) == len(outcomes) and refused:
            refusal = JournalError(self._place, in_words(refused[0]))
            refusal.__cause__ = refused[0]
            asked.done.errback(refusal)
        elif asked.alone:
            asked.done.callback(asked.answers[0])
        elif refused:
            both = zip(asked.answers, outcomes, strict=True)
            asked.done.callback([answer for answer, outcome in both if outcome is None])
        else:
            asked.done.callback(asked.answers)

    def _give_up(self) -> None:
        """Nothing behind a group that could not be written may overtake it: all of it fails."""
        waiting, self._waiting = self._waiting, deque()
        self.log.error(
            "Journal {place} {problem}. Stopping with {count} changes not written",
            place=self._place,
            problem=self._problem,
            count=self._count,
        )
        for asked in waiting:
            self._count -= len(asked.writes)
            asked.done.errback(JournalError(self._place, self._problem))

    def _turn_bad(self, problem: Exception) -> None:
        if not self._problem:
            self.log.warn("Journal {place} {problem}", place=self._place, problem=in_words(problem))
        self._problem = in_words(problem)

    def _recover(self) -> None:
        if self._problem:
            self.log.info("Journal {place} can be written again", place=self._place)
        self._problem = ""

    def _wake(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.callback(None)

    def _bug(self, failure: Failure) -> None:
        self.log.failure("a bug: the journal's writer died", failure=failure)


def _disarm(alarm: IDelayedCall) -> None:
    if alarm.active():
        alarm.cancel()
