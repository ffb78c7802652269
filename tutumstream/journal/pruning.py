"""Keeps the journal's size within limits, a few rows at a time, so that events are recorded in between."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from heapq import merge
from itertools import islice
from typing import Final

from sqlalchemy import Connection, delete, exists, func, insert, literal, or_, select, update

from tutumstream.journal.bulk import among
from tutumstream.journal.interface import Limits
from tutumstream.journal.schema import dead_letters, deliveries, events
from tutumstream.journal.upgrade import driver
from tutumstream.journal.writes import Write, delivery_id

PAGES: Final = 1000
"""Pages of 4 KiB given back to the disk in one transaction: about 40 ms."""

Ask = Callable[[Write], Awaitable[None]]
"""Does a write."""


async def forget_history(ask: Ask, now: float, limits: Limits) -> int:
    """Forget events beyond the limits; how many they were.

    It goes from the oldest to the first that may stay: times grow with seqs. So it keeps up with any rate of recording.
    """
    after: int | None = 0
    forgotten = 0
    while after is not None:
        # A step may be repeated while the disk refuses, so it tells what became of it, anew each time.
        done: list[tuple[int, int | None]] = []
        await ask(Write(act=partial(_forget, after=after, now=now, limits=limits, done=done)))
        number, after = done[-1]
        forgotten += number
    return forgotten


def _forget(connection: Connection, after: int, now: float, limits: Limits, done: list[tuple[int, int | None]]) -> None:
    newest, newest_dead = (connection.scalar(select(func.max(each.c.seq))) or 0 for each in (events, dead_letters))
    since = now - limits.history_seconds
    window = (
        select(events.c.seq, events.c.received_at)
        .where(events.c.seq > after)
        .order_by(events.c.seq)
        .limit(limits.at_once)
    ).subquery()
    waits = exists().where(deliveries.c.event_seq == window.c.seq, deliveries.c.settled_at.is_(None))
    died_lately = exists().where(
        deliveries.c.event_seq == window.c.seq,
        dead_letters.c.delivery_seq == deliveries.c.seq,
        dead_letters.c.died_at >= since,
        dead_letters.c.seq > newest_dead - limits.history_rows,
    )
    too_many, too_old = window.c.seq <= newest - limits.history_rows, window.c.received_at < since
    beyond = connection.execute(
        select(window.c.seq, or_(waits, died_lately).label("stays"))
        .where(or_(too_many, too_old))
        .order_by(window.c.seq)
    ).all()
    gone = [row.seq for row in beyond if not row.stays]
    if gone:
        theirs = select(deliveries.c.seq).where(deliveries.c.event_seq.in_(among(gone)))
        connection.execute(delete(dead_letters).where(dead_letters.c.delivery_seq.in_(theirs)))
        connection.execute(delete(deliveries).where(deliveries.c.event_seq.in_(among(gone))))
        connection.execute(delete(events).where(events.c.seq.in_(among(gone))))
    done.append((len(gone), beyond[-1].seq if len(beyond) == limits.at_once else None))


def give_back(connection: Connection, room: int) -> bool:
    """Shorten the file a little when more than a quarter of it, and than `room`, is empty; whether there is more to do.

    Files that were made before revision 0002 keep their size; what is empty is used again.
    """
    file = driver(connection)
    (pages,), (empty,) = (file.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count"))
    if empty <= max(pages // 4, room):
        return False
    # As a script: it takes a step for each page, and would wait for the interpreter lock in between (see `bulk`).
    file.executescript(f"PRAGMA incremental_vacuum({PAGES})")
    (left,) = file.execute("PRAGMA freelist_count").fetchone()
    return bool(left < empty)


async def bury_overflow(ask: Ask, backlogs: Mapping[str, int], now: float, limits: Limits) -> int:
    """Give up what is too much, the oldest of all destinations first; how many they were."""
    excess = sum(backlogs.values()) - limits.pending_rows
    large = [destination for destination, waiting in backlogs.items() if waiting > limits.in_hand]
    buried = 0
    while buried < excess:
        done: list[int] = []
        most = min(limits.at_once, excess - buried)
        await ask(Write(act=partial(_bury, destinations=large, spared=limits.in_hand, most=most, now=now, done=done)))
        buried += done[-1]
        if not done[-1]:
            break
    return buried


def _bury(connection: Connection, destinations: list[str], spared: int, most: int, now: float, done: list[int]) -> None:
    seqs = list(islice(merge(*(_oldest(connection, each, spared, most) for each in destinations)), most))
    reason = literal("too many deliveries wait")
    chosen = select(
        deliveries.c.seq, delivery_id(), literal("overflow"), reason, deliveries.c.last_answer, literal(now)
    ).join_from(deliveries, events, deliveries.c.event_seq == events.c.seq)
    connection.execute(
        insert(dead_letters).from_select(
            ["delivery_seq", "id", "cause", "reason", "answer", "died_at"],
            chosen.where(deliveries.c.seq.in_(among(seqs))).order_by(deliveries.c.seq),
        )
    )
    connection.execute(update(deliveries).where(deliveries.c.seq.in_(among(seqs))).values(settled_at=now))
    done.append(len(seqs))


def _oldest(connection: Connection, destination: str, spared: int, most: int) -> list[int]:
    chosen = (
        select(deliveries.c.seq)
        .where(deliveries.c.destination == destination)
        .where(deliveries.c.settled_at.is_(None))
        .where(deliveries.c.urgent == 0)
        .order_by(deliveries.c.seq)
        .limit(most)
        .offset(spared)
    )
    return list(connection.scalars(chosen))
