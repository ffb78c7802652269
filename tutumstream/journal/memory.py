"""A journal that forgets everything with its process: for tests, and the plainest statement of what a journal does."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from tutumstream.errors import JournalError
from tutumstream.event import Event, Malformed
from tutumstream.journal.interface import (
    MALFORMED_BYTES,
    MALFORMED_ROWS,
    DeadLetter,
    Health,
    IJournal,
    Pending,
    Postponement,
    Told,
)
from tutumstream.routing.delivery import Delivery

T = TypeVar("T")


@implementer(IJournal)
class MemoryJournal:
    """Remembers as long as it lives; closing and opening it again loses nothing."""

    def __init__(self) -> None:
        self._is_open = False
        self._last_seq = 0
        self._told: list[Told] = []
        self._pending: dict[int, Pending] = {}
        self._dead: list[DeadLetter] = []
        self._malformed: deque[Malformed] = deque(maxlen=MALFORMED_ROWS)

    @property
    def health(self) -> Health:
        """Memory takes everything."""
        return Health() if self._is_open else Health("is not open")

    def open(self) -> Deferred[None]:
        """Always works."""
        self._is_open = True
        return succeed(None)

    def close(self) -> Deferred[None]:
        """Nothing waits."""
        self._is_open = False
        return succeed(None)

    def record(self, event: Event, deliveries: Sequence[Delivery]) -> Deferred[None]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        self._told.append(Told(event, len(deliveries)))
        for ordinal, delivery in enumerate(deliveries, 1):
            self._last_seq += 1
            self._pending[self._last_seq] = Pending(self._last_seq, f"{event.id}-{ordinal}", event, delivery)
        return succeed(None)

    def keep(self, malformed: Malformed) -> Deferred[None]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        cut = malformed.raw[:MALFORMED_BYTES]
        self._malformed.append(Malformed(received_at=malformed.received_at, reason=malformed.reason, raw=cut))
        return succeed(None)

    def pending(self, destination: str, after: int, limit: int) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        rows = [row for row in self._pending.values() if row.delivery.destination == destination and row.seq > after]
        return succeed(rows[: max(limit, 0)])

    def settle(self, seqs: Sequence[int], at: float) -> Deferred[None]:  # noqa: ARG002 -- no view shows the time yet
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        for seq in seqs:
            self._pending.pop(seq, None)
        return succeed(None)

    def postpone(self, postponements: Sequence[Postponement]) -> Deferred[None]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        for each in postponements:
            if row := self._pending.get(each.seq):
                self._pending[each.seq] = replace(
                    row, attempts=each.attempts, due=each.due, reason=each.reason, answer=each.answer
                )
        return succeed(None)

    def bury(self, dead: Sequence[DeadLetter]) -> Deferred[None]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        self._dead.extend(each for each in dead if self._pending.pop(each.pending.seq, None))
        return succeed(None)

    def dead_letters(self, limit: int) -> Deferred[list[DeadLetter]]:
        """See `IJournal`."""
        return succeed(_newest(self._dead, limit)) if self._is_open else _not_open()

    def malformed(self, limit: int) -> Deferred[list[Malformed]]:
        """See `IJournal`."""
        return succeed(_newest(self._malformed, limit)) if self._is_open else _not_open()

    def history(self, limit: int) -> Deferred[list[Told]]:
        """See `IJournal`."""
        return succeed(_newest(self._told, limit)) if self._is_open else _not_open()

    def destinations(self) -> Deferred[dict[str, int]]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        return succeed(dict(Counter(row.delivery.destination for row in self._pending.values())))


def _newest(rows: Sequence[T], limit: int) -> list[T]:
    return list(reversed(rows))[: max(limit, 0)]


def _not_open() -> Deferred[T]:
    return fail(JournalError("in memory", "is not open"))
