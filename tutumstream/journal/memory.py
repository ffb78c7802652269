"""A journal that forgets everything with its process: for tests, and the plainest statement of what a journal does."""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import TypeVar

from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from zope.interface import implementer

from tutumstream.errors import JournalError
from tutumstream.event import TERMINATED, Event, Malformed
from tutumstream.journal.interface import (
    MALFORMED_BYTES,
    MALFORMED_ROWS,
    OPENS_SECONDS,
    DeadLetter,
    Health,
    IJournal,
    Limits,
    Opened,
    OpenIncident,
    Pending,
    Postponement,
    Pruned,
    Standing,
    Told,
    recorded,
)
from tutumstream.journal.objects import ObjectState, Watch, about_objects, left_behind
from tutumstream.routing.delivery import Delivery

T = TypeVar("T")


@implementer(IJournal)
class MemoryJournal:
    """Remembers as long as it lives; closing and opening it again loses nothing."""

    def __init__(self) -> None:
        self._is_open = False
        self._last_seq = 0
        self._last_event = 0
        self._told: dict[int, Told] = {}
        self._pending: dict[int, Pending] = {}
        self._dead: dict[int, DeadLetter] = {}
        """In the order of their deaths."""
        self._number_of_death: dict[int, int] = {}
        # The event of each delivery, by seqs: ids may repeat.
        self._event_of: dict[int, int] = {}
        self._standings: dict[str, Standing] = {}
        self._incidents: dict[tuple[str, str], OpenIncident] = {}
        self._opens: list[Opened] = []
        self._malformed: deque[Malformed] = deque(maxlen=MALFORMED_ROWS)
        self._states: dict[str, ObjectState] = {}
        self._watch = Watch("")

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
        rows = recorded(event, deliveries, self._last_seq + 1)
        self._last_seq += len(rows)
        self._last_event += 1
        self._told[self._last_event] = Told(event, len(rows))
        for row in rows:
            self._pending[row.seq] = row
            self._event_of[row.seq] = self._last_event
        if about_objects(event):
            self._states.pop(event.resource_uri, None)
            if (state := left_behind(event)) is not None:
                self._states[event.resource_uri] = state
        return succeed(rows)

    def record_all(self, happened: Sequence[tuple[Event, Sequence[Delivery]]]) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        recorded = [self.record(event, deliveries) for event, deliveries in happened]
        return gatherResults(recorded).addCallback(lambda rows: list(chain.from_iterable(rows)))

    def watch(self, source: str) -> Deferred[Watch]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        if self._watch.source != source:
            self._watch = Watch(source)
            self._states.clear()
        return succeed(self._watch)

    def watched(self, until: float) -> Deferred[None]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        self._watch = Watch(self._watch.source, until)
        return succeed(None)

    def states(self) -> Deferred[list[ObjectState]]:
        """See `IJournal`."""
        return succeed([self._states[uri] for uri in sorted(self._states)]) if self._is_open else _not_open()

    def catch_up(
        self, told: Sequence[tuple[Event, Sequence[Delivery]]], found: Sequence[ObjectState], until: float
    ) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        rows: list[Pending] = []
        for event, deliveries in told:
            self.record(event, deliveries).addCallback(rows.extend)
        self._states.update({each.uri: each for each in found})
        self.watched(until)
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
                self._opens.append(Opened(*name, at))
                self._incidents.setdefault(name, OpenIncident(*name, row.event.type, at))
            elif incident.ends:
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
        for each in dead:
            if self._pending.pop(each.pending.seq, None):
                self._lay_out(each)
        return succeed(None)

    def dead_letters(self, limit: int, before: int | None = None) -> Deferred[list[DeadLetter]]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        chosen = [self._dead[seq] for seq in sorted(self._dead) if before is None or seq < before]
        return succeed(_newest(chosen, limit))

    def dead_letters_named(self, ids: Sequence[str]) -> Deferred[list[DeadLetter]]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        newest = {self._dead[seq].pending.id: seq for seq in sorted(self._dead)}
        return succeed(
            [self._dead[seq] for seq in sorted((newest[each] for each in set(ids) & set(newest)), reverse=True)]
        )

    def revive(self, seqs: Sequence[int], at: float) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        back = [
            replace(self._dead.pop(seq).pending, attempts=0, due=0.0, reason="", answer="", born_at=at)
            for seq in sorted(set(seqs) & set(self._dead))
        ]
        self._pending.update({row.seq: row for row in back})
        return succeed(back)

    def forget(self, seqs: Sequence[int]) -> Deferred[int]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        forgotten = set(seqs) & set(self._dead)
        for seq in forgotten:
            del self._dead[seq]
        return succeed(len(forgotten))

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

    def recent_opens(self) -> Deferred[list[Opened]]:
        """See `IJournal`."""
        return succeed(list(self._opens)) if self._is_open else _not_open()

    def prune(self, now: float, limits: Limits) -> Deferred[Pruned]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        self._opens = [each for each in self._opens if each.at >= now - OPENS_SECONDS]
        return succeed(Pruned(self._forget_history(now, limits), self._overflow(limits, now)))

    def _forget_history(self, now: float, limits: Limits) -> int:
        waiting = {self._event_of[seq] for seq in self._pending}
        first, since = self._last_event - limits.history_rows + 1, now - limits.history_seconds
        died_lately = {
            self._event_of[seq]
            for seq, each in self._dead.items()
            if each.died_at >= since and self._number_of_death[seq] > self._last_death - limits.history_rows
        }
        gone = {
            seq
            for seq, told in self._told.items()
            if seq not in waiting and seq not in died_lately and (seq < first or told.event.received_at < since)
        }
        self._told = {seq: told for seq, told in self._told.items() if seq not in gone}
        self._dead = {seq: each for seq, each in self._dead.items() if self._event_of[seq] not in gone}
        self._event_of = {seq: event for seq, event in self._event_of.items() if event not in gone}
        self._states = {uri: each for uri, each in self._states.items() if each.state != TERMINATED or each.at >= since}
        return len(gone)

    def _lay_out(self, letter: DeadLetter) -> None:
        self._number_of_death[letter.pending.seq] = self._last_death + 1
        self._dead[letter.pending.seq] = letter

    @property
    def _last_death(self) -> int:
        return self._number_of_death[next(reversed(self._dead))] if self._dead else 0

    def _overflow(self, limits: Limits, now: float) -> int:
        by_destination = defaultdict[str, list[int]](list)
        for seq in sorted(seq for seq, row in self._pending.items() if not row.delivery.urgent):
            by_destination[self._pending[seq].delivery.destination].append(seq)
        others = sorted(chain.from_iterable(seqs[limits.in_hand :] for seqs in by_destination.values()))
        dead = others[: max(0, len(self._pending) - limits.pending_rows)]
        for seq in dead:
            row = self._pending.pop(seq)
            self._lay_out(DeadLetter(row, "overflow", "too many deliveries wait", row.answer, now))
        return len(dead)

    def malformed(self, limit: int) -> Deferred[list[Malformed]]:
        """See `IJournal`."""
        return succeed(_newest(self._malformed, limit)) if self._is_open else _not_open()

    def history(self, limit: int) -> Deferred[list[Told]]:
        """See `IJournal`."""
        return succeed(_newest(list(self._told.values()), limit)) if self._is_open else _not_open()

    def destinations(self) -> Deferred[dict[str, int]]:
        """See `IJournal`."""
        if not self._is_open:
            return _not_open()
        return succeed(dict(Counter(row.delivery.destination for row in self._pending.values())))


def _newest(rows: Sequence[T], limit: int) -> list[T]:
    return list(reversed(rows))[: max(limit, 0)]


def _not_open() -> Deferred[T]:
    return fail(JournalError("in memory", "is not open"))
