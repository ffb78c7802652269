"""Keeps the journal's size within limits, a few rows at a time, so that events are recorded in between."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sqlalchemy import Connection, delete, exists, func, select

from tutumstream.journal.interface import DeadLetter, Limits, Pending, Pruned
from tutumstream.journal.reads import oldest_unimportant
from tutumstream.journal.schema import dead_letters, deliveries, events
from tutumstream.journal.writes import Write, burying

STEP: Final = 2000
"""Events looked at in one transaction."""

STEPS: Final = 50
"""Steps of one pruning; the next one goes on where it ended."""

AT_WORK: Final = 5000
"""Of the oldest deliveries, so many are left alone by an overflow: they are in the lanes' hands."""


@dataclass(slots=True)
class Pruning:
    """Where the walk over the history is.

    Attributes:
        after: the seq of the last event that was looked at; events before it that are still there were pending then.
    """

    after: int = 0
    _forgotten: int = field(default=0)

    async def prune(self, ask: Callable[[Write], Awaitable[None]], backlog: int, now: float, limits: Limits) -> Pruned:
        """One pruning.

        Args:
            ask: does a write.
            backlog: deliveries that are pending.
            now: seconds since 1970.
        """
        self._forgotten = 0
        for _ in range(STEPS):
            before = self.after
            await ask(Write(act=lambda connection: self._step(connection, now, limits)))
            if self.after <= before:
                break
        overflow = 0
        while backlog - overflow > limits.pending_rows:
            dead: list[Pending] = []
            most = min(STEP, backlog - overflow - limits.pending_rows)
            await ask(Write(act=partial(_overflow, dead=dead, most=most, now=now)))
            if not dead:
                break
            overflow += len(dead)
        return Pruned(self._forgotten, overflow)

    def _step(self, connection: Connection, now: float, limits: Limits) -> None:
        """Forget what is too old or too much among the next few events."""
        newest = connection.scalar(select(func.max(events.c.seq))) or 0
        rows = connection.execute(
            select(events.c.seq, events.c.received_at)
            .where(events.c.seq > self.after)
            .order_by(events.c.seq)
            .limit(STEP)
        ).all()
        beyond = [
            row.seq
            for row in rows
            if row.seq <= newest - limits.history_rows or row.received_at < now - limits.history_seconds
        ]
        if beyond:
            waits = exists().where(deliveries.c.event_seq == events.c.seq, deliveries.c.settled_at.is_(None))
            gone = connection.scalars(
                select(events.c.seq).where(events.c.seq.between(beyond[0], beyond[-1]), ~waits)
            ).all()
            gone = [seq for seq in gone if seq in set(beyond)] if len(beyond) < len(rows) else gone
            theirs = select(deliveries.c.seq).where(deliveries.c.event_seq.in_(gone))
            connection.execute(delete(dead_letters).where(dead_letters.c.delivery_seq.in_(theirs)))
            connection.execute(delete(deliveries).where(deliveries.c.event_seq.in_(gone)))
            connection.execute(delete(events).where(events.c.seq.in_(gone)))
            self._forgotten += len(gone)
        # Times grow with seqs: after the first that may stay, nothing more is to be found, so it begins anew next time.
        self.after = rows[-1].seq if len(beyond) == len(rows) == STEP else 0


def _overflow(connection: Connection, dead: list[Pending], most: int, now: float) -> None:
    rows = oldest_unimportant(connection, AT_WORK, most)
    dead[:] = rows
    letters = [DeadLetter(row, "overflow", "too many deliveries wait", row.answer, now) for row in rows]
    write = burying(letters)
    for bulk in write.change:
        bulk.run(connection, write.rows)
