"""When what the gateway told is written down, so that a restart goes on from there and tells what changed meanwhile.

Every part of the gateway that lasts shows all that is to be kept as rows of frozen values. Only rows that are another
value than the one that was written last are written, all of one moment together, in a thread; so much happening costs
one small transaction now and then, and nothing happening costs a look at what is there.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

T = TypeVar("T")

PAUSE: Final = 0.1
"""Seconds from one write to the next, at least. The first after a while does not wait."""

SHARE: Final = 9
"""It rests for so many times as long as a write took: however slow the disk, most of the time is for others."""

LONGEST_PAUSE: Final = 2.0

LOOK: Final = 5.0
"""Seconds between two looks whether what was written is still there."""

TICK: Final = 1.0
"""Seconds after which it looks by itself for what has changed and was told to nobody."""

RETRY: Final = 5.0
"""Seconds from a write that failed to the next."""

Row = tuple[str, str]
"""What kind of thing, and which."""


class Change(NamedTuple):
    """One row to be written; removed where the value is None."""

    part: str
    kind: str
    key: str
    value: bytes | None


class Store(Protocol):
    """What `state_file.StateFile` does."""

    def open(self) -> Mapping[str, Mapping[Row, bytes]]:
        """Everything that was written, by part. Raises `StateError` where nothing can be kept there."""

    def set_aside(self, why: str) -> Mapping[str, Mapping[Row, bytes]]:
        """What was written is of no use; begin anew. Raises `StateError`."""

    def renew(self) -> bool:
        """Begin anew where what was written is not there any more; whether that was so. Raises `StateError`."""

    def write(self, changes: Iterable[Change]) -> None:
        """All of it or nothing, and on the disk when it returns. Raises OSError or sqlite3.Error."""

    def close(self) -> None:
        """Let go."""


class Lasting(Protocol):
    """A part of the gateway that goes on after a restart."""

    @property
    def name(self) -> str: ...

    def rows(self) -> Mapping[Row, Any] | None:
        """All that is to be kept now, as values that never change; None to leave what was kept before."""

    def written(self, value: Any) -> bytes:
        """One of them as it is kept. Called in a thread."""

    def understand(self, rows: Mapping[Row, bytes]) -> Callable[[], object]:
        """What makes this part go on from what was kept. Raises ValueError where that can't be done."""


class _Moment(NamedTuple):
    """What a part is to look like once it is written, and the rows that are to be written for that."""

    part: Lasting
    rows: Mapping[Row, Any]
    changed: list[tuple[Row, Any]]
    removed: list[Row]


class Saving:
    """Keeps the parts that last.

    Args:
        elsewhere: runs a function in a thread, and fires with what comes of it.

    Attributes:
        failing: whether something that was told could not be written, and still is not.
    """

    log = Logger()

    def __init__(
        self,
        store: Store,
        parts: Iterable[Lasting],
        clock: IReactorTime,
        elsewhere: Callable[..., Deferred[Any]],
    ) -> None:
        self._store = store
        self._parts = list(parts)
        self._clock = clock
        self._elsewhere = elsewhere
        self._kept: dict[str, Mapping[Row, Any]] = {}
        self._open = False
        self._unsure = False
        self.failing = False
        self._writing: Deferred[None] | None = None
        self._due: IDelayedCall | None = None
        self._not_before = 0.0
        self._tick = LoopingCall(self.soon)
        self._tick.clock = clock
        self._looks = LoopingCall(self._look)
        self._looks.clock = clock

    def add(self, part: Lasting) -> None:
        """One more part, before the start."""
        self._parts.append(part)

    def start(self) -> None:
        """Make every part go on from what was kept.

        Raises:
            StateError: nothing can be kept there.
        """
        kept = self._store.open()
        try:
            recalls = [part.understand(kept[part.name]) for part in self._parts if part.name in kept]
        except ValueError as problem:
            kept, recalls = self._store.set_aside(str(problem)), []
        for recall in recalls:
            recall()
        self._open = True
        # Whatever is there now is another value than the bytes of before, so it is written once.
        self._kept = dict(kept)
        self._tick.start(TICK, now=False)
        self._looks.start(LOOK, now=False)

    def soon(self) -> None:
        """Something was told: write it down."""
        if self._open and self._due is None and self._writing is None:
            wait = max(self._not_before - self._clock.seconds(), 0.0)
            self._due = self._clock.callLater(wait, self._write)

    def stop(self) -> Deferred[None]:
        """Write down what is known now, and nothing that happens from now on. Harmless where it never started."""
        if not self._open:
            return Deferred.fromCoroutine(_nothing())
        self._open = False
        self._tick.stop()
        self._looks.stop()
        if self._due is not None:
            self._due.cancel()
            self._due = None
        return Deferred.fromCoroutine(self._end(self._now()))

    async def _end(self, last: list[tuple[Lasting, Mapping[Row, Any]]]) -> None:
        if self._writing is not None:
            await self._writing
        if await self._renew():
            await self._put(self._changes(last))
        self._store.close()

    def _write(self) -> None:
        self._due = None
        if self._unsure:
            self._work(self._look_and_put())
        elif moments := self._changes(self._now()):
            self._work(self._put(moments))

    def _work(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        self._writing = Deferred.fromCoroutine(work)
        self._writing.addBoth(self._written)

    async def _look_and_put(self) -> None:
        self._unsure = False
        if await self._renew():
            await self._put(self._changes(self._now()))

    def _look(self) -> None:
        self._unsure = True
        self.soon()

    def _written(self, result: object) -> None:
        self._writing = None
        if isinstance(result, Failure):
            self.log.failure("Keeping the state failed by a bug", result)

    def _now(self) -> list[tuple[Lasting, Mapping[Row, Any]]]:
        return [(part, rows) for part in self._parts if (rows := part.rows()) is not None]

    def _changes(self, now: Iterable[tuple[Lasting, Mapping[Row, Any]]]) -> list[_Moment]:
        moments = []
        for part, rows in now:
            kept = self._kept.get(part.name, {})
            changed = [(row, value) for row, value in rows.items() if _differs(kept.get(row), value)]
            removed = [row for row in kept if row not in rows]
            if changed or removed:
                moments.append(_Moment(part, rows, changed, removed))
        return moments

    async def _renew(self) -> bool:
        """See to it that there is something to write to, and that all of it is written where that is new. Whether that
        is so now."""
        try:
            if not await self._elsewhere(self._store.renew):
                return True
            # Of these nothing is known yet but what was read in the beginning.
            silent = {part.name: self._kept.get(part.name, {}) for part in self._parts if part.rows() is None}
            rows = [Change(name, *row, value) for name, kept in silent.items() for row, value in kept.items()]
            await self._elsewhere(self._store.write, rows)
        except Exception as problem:
            # Half of it is nothing: at the next look it begins anew once more.
            self._store.close()
            self._trouble(problem)
            return False
        self._kept = silent
        return True

    async def _put(self, moments: list[_Moment]) -> None:
        began = self._clock.seconds()
        strangers = self._kept.keys() - {part.name for part in self._parts}
        forgotten = [Change(name, *row, None) for name in strangers for row in self._kept[name]]
        if not moments and not forgotten:
            self._well()
            return
        try:
            await self._elsewhere(self._store.write, _encoded(moments, forgotten))
        except Exception as problem:
            self._not_before = self._clock.seconds() + RETRY
            self._trouble(problem)
            return
        ended = self._clock.seconds()
        self._not_before = ended + min(max(PAUSE, SHARE * (ended - began)), LONGEST_PAUSE)
        for name in strangers:
            del self._kept[name]
        self._kept.update({moment.part.name: moment.rows for moment in moments})
        self._well()

    def _well(self) -> None:
        """All that is known is written."""
        if self.failing:
            self.failing = False
            self.log.info("The state is kept again")

    def _trouble(self, problem: Exception) -> None:
        if not self.failing:
            self.failing = True
            self.log.error(
                "The state can't be kept ({problem}): after a restart, what was told since may be told again, and the "
                "end of what came since may not be told. Make room, and the folder writable; it is tried again all the "
                "time",
                problem=problem,
            )


def _differs(kept: Any, value: Any) -> bool:
    return kept is not value and kept != value


def _encoded(moments: list[_Moment], forgotten: list[Change]) -> Iterable[Change]:
    """Lazily, so that it is done where it is written."""
    yield from forgotten
    for moment in moments:
        name = moment.part.name
        for (kind, key), value in moment.changed:
            yield Change(name, kind, key, moment.part.written(value))
        for kind, key in moment.removed:
            yield Change(name, kind, key, None)


async def _nothing() -> None:
    """There is nothing to wait for."""
