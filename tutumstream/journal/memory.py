"""A journal that forgets everything with its process: for tests, and the plainest statement of what a journal does."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
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
    Limits,
    OpenIncident,
    Pending,
    Postponement,
    Pruned,
    Standing,
    Told,
    recorded,
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
        self._standings: dict[str, Standing] = {}
        self._incidents: dict[tuple[str, str], OpenIncident] = {}
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

    def record(self, event: Event, deliveries: Sequence[Delivery]) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        self._told.append(Told(event, len(deliveries)))
        rows = recorded(event, deliveries, self._last_seq + 1)
        self._last_seq += len(rows)
        self._pending.update({row.seq: row for row in rows})
        return succeed(rows)

    def keep(self, malformed: Malformed) -> Deferred[None]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        cut = malformed.raw[:MALFORMED_BYTES]
        self._malformed.append(Malformed(received_at=malformed.received_at, reason=malformed.reason, raw=cut))
        return succeed(None)

    def pending(self, destination: str, after: int, limit: int, urgent: bool = False) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        rows = [
            row
            for row in sorted(self._pending.values(), key=attrgetter("seq"))
            if row.delivery.destination == destination and row.seq > after and (row.delivery.urgent or not urgent)
        ]
        return succeed(rows[: max(limit, 0)])

    def settle(self, rows: Sequence[Pending], at: float) -> Deferred[None]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        for row in rows:
            incident = row.delivery.incident
            if self._pending.pop(row.seq, None) is None or incident is None:
                continue
            name = (row.delivery.destination, incident.key)
            if incident.action == "trigger":
                self._incidents.setdefault(name, OpenIncident(*name, row.event.type, at))
            elif incident.action == "resolve":
                self._incidents.pop(name, None)
        return succeed(None)

    def drop(self, rows: Sequence[Pending], note: str, at: float) -> Deferred[None]:  # noqa: ARG002 -- no view shows them
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        for row in rows:
            self._pending.pop(row.seq, None)
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

    def dead_letters(self, limit: int, before: int | None = None) -> Deferred[list[DeadLetter]]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        chosen = [each for each in self._dead if before is None or each.pending.seq < before]
        return succeed(_newest(chosen, limit))

    def revive(self, seqs: Sequence[int], at: float) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        back = [
            replace(each.pending, attempts=0, due=0.0, reason="", answer="", born_at=at)
            for each in sorted(self._dead, key=lambda each: each.pending.seq)
            if each.pending.seq in seqs
        ]
        self._dead = [each for each in self._dead if each.pending.seq not in seqs]
        self._pending.update({row.seq: row for row in back})
        return succeed(back)

    def forget(self, seqs: Sequence[int]) -> Deferred[int]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        before = len(self._dead)
        self._dead = [each for each in self._dead if each.pending.seq not in seqs]
        return succeed(before - len(self._dead))

    def stand(self, destination: str, standing: Standing) -> Deferred[None]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        self._standings[destination] = standing
        return succeed(None)

    def standings(self) -> Deferred[dict[str, Standing]]:
        """See `IJournal`."""
        return succeed(dict(self._standings)) if self._is_open else _not_open()

    def open_incidents(self) -> Deferred[list[OpenIncident]]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        return succeed(sorted(self._incidents.values(), key=attrgetter("opened_at", "destination", "key")))

    def prune(self, now: float, limits: Limits) -> Deferred[Pruned]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        waiting = {id(row.event) for row in self._pending.values()}
        oldest = len(self._told) - limits.history_rows
        kept = [
            told
            for n, told in enumerate(self._told)
            if id(told.event) in waiting or (n >= oldest and told.event.received_at >= now - limits.history_seconds)
        ]
        gone = {id(told.event) for told in self._told} - {id(told.event) for told in kept}
        forgotten, self._told = len(self._told) - len(kept), kept
        self._dead = [each for each in self._dead if id(each.pending.event) not in gone]
        overflow = self._overflow(limits.pending_rows, now)
        return succeed(Pruned(forgotten, overflow))

    def _overflow(self, most: int, now: float) -> int:
        rows = [row for row in sorted(self._pending.values(), key=attrgetter("seq")) if not row.delivery.urgent]
        dead = rows[: max(0, len(self._pending) - most)]
        for row in dead:
            del self._pending[row.seq]
            self._dead.append(DeadLetter(row, "overflow", "too many deliveries wait", row.answer, now))
        return len(dead)

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
