"""Everything that is read from the journal: values from rows.

A body that can't be read (damaged, or written by hand) stands for one event only: views show a stand-in for it, and a
lane gets to know which of its rows have none.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, LargeBinary, Row, Select, bindparam, cast, func, literal_column, select

from tutumstream.event import Event, Malformed
from tutumstream.journal.bulk import among
from tutumstream.journal.interface import DeadLetter, Opened, OpenIncident, Pending, Standing, Told
from tutumstream.journal.schema import dead_letters, deliveries, events, incidents, malformed, opens, standings
from tutumstream.routing.delivery import Delivery, Incident


class Unreadable(Event, frozen=True):
    """Stands for an event whose body can't be read; its message says why."""


def pending(
    connection: Connection, destination: str, after: int, limit: int, urgent: bool
) -> tuple[list[Pending], list[Pending]]:
    """A window of a destination's backlog: the rows, and those among them without a readable event, apart."""
    where = {"to": destination, "after": after, "most": max(limit, 0)}
    rows = [_pending(row) for row in connection.execute(_URGENT if urgent else _PENDING, where)]
    damaged = [row for row in rows if isinstance(row.event, Unreadable)]
    return [row for row in rows if not isinstance(row.event, Unreadable)], damaged


def revived(connection: Connection, seqs: Sequence[int]) -> list[Pending]:
    """These rows, where they are pending, in order."""
    chosen = _DELIVERIES.where(deliveries.c.settled_at.is_(None)).where(deliveries.c.seq.in_(among(seqs)))
    return [_pending(row) for row in connection.execute(chosen.order_by(deliveries.c.seq))]


def how_they_stood(connection: Connection) -> dict[str, Standing]:
    """By destination."""
    rows = connection.execute(_STANDINGS)
    return {row.destination: Standing(row.kind, row.since, row.until, row.reason, bool(row.told)) for row in rows}


def still_open(connection: Connection) -> list[OpenIncident]:
    """The oldest first."""
    rows = connection.execute(_INCIDENTS)
    return [OpenIncident(row.destination, row.key, row.event_type, row.opened_at) for row in rows]


def opened_lately(connection: Connection) -> list[Opened]:
    """In the order in which they were settled."""
    rows = connection.execute(_OPENS)
    return [Opened(row.destination, row.key, row.at) for row in rows]


def newest_dead_letters(connection: Connection, limit: int, before: int | None) -> list[DeadLetter]:
    """Those of the newest deliveries first."""
    chosen = _NEWEST_DEAD_LETTERS if before is None else _OLDER_DEAD_LETTERS
    where = {"most": max(limit, 0)} if before is None else {"most": max(limit, 0), "before": before}
    return [_dead_letter(row) for row in connection.execute(chosen, where)]


def dead_letters_named(connection: Connection, ids: Sequence[str]) -> list[DeadLetter]:
    """The newest of each id, the newest first."""
    found: dict[str, DeadLetter] = {}
    for row in connection.execute(_DEAD_LETTERS.where(dead_letters.c.id.in_(among(ids)))):
        found.setdefault(f"{row.id}-{row.ordinal}", _dead_letter(row))
    return list(found.values())


def newest_malformed(connection: Connection, limit: int) -> list[Malformed]:
    """The newest first."""
    rows = connection.execute(_MALFORMED, {"most": max(limit, 0)})
    return [Malformed(received_at=row.received_at, reason=row.reason, raw=row.raw) for row in rows]


def newest_events(connection: Connection, limit: int) -> list[Told]:
    """The newest first."""
    rows = connection.execute(_EVENTS, {"most": max(limit, 0)})
    return [Told(_event(row), row.caused) for row in rows]


def backlogs(connection: Connection) -> dict[str, int]:
    """Pending deliveries by destination."""
    return {row.destination: row.number for row in connection.execute(_BACKLOGS)}


def last_seqs(connection: Connection) -> tuple[int, int]:
    """The highest seq of an event and of a delivery, 0 where there is none."""
    event_seq, delivery_seq = connection.execute(_LAST_SEQS).one()
    return event_seq or 0, delivery_seq or 0


def _pending(row: Any) -> Pending:
    # By position, in the order of `_DELIVERIES`: a backlog is read at thousands of rows a second.
    seq, ordinal, destination, route, why, key, action, incident = row[:8]
    attempts, due, reason, answer, urgent, born_at, name, at, body = row[8:17]
    acts = None if action is None else Incident(action, incident)
    delivery = Delivery(destination, route, why, key, acts, bool(urgent))
    event = _decoded(name, at, body)
    return Pending(seq, f"{name}-{ordinal}", event, delivery, attempts, due, reason, answer, born_at)


def _dead_letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(_pending(row), row.cause, row.death_reason, row.answer, row.died_at)


def _event(row: Row[Any]) -> Event:
    return _decoded(row.id, row.received_at, row.body)


def _decoded(name: str, at: float, body: bytes) -> Event:
    try:
        return _decoder.decode(body)
    except ValueError as problem:
        # msgspec's errors name the place, never the value.
        return Unreadable(id=name, received_at=at, type="unreadable", message=f"can't be read: {problem}")


_decoder = msgspec.json.Decoder(Event)

# Statements are made once: that takes SQLAlchemy longer than it takes SQLite to answer them.

# As bytes: text that is no UTF-8 would make SQLite's driver refuse all rows of the answer.
_EVENT: Final = (events.c.id, events.c.received_at, cast(events.c.body, LargeBinary).label("body"))

_DELIVERIES: Final[Select[Any]] = select(
    deliveries.c.seq,
    deliveries.c.ordinal,
    deliveries.c.destination,
    deliveries.c.route,
    deliveries.c.reason,
    deliveries.c.ordering_key,
    deliveries.c.incident_action,
    deliveries.c.incident_key,
    deliveries.c.attempts,
    deliveries.c.due,
    deliveries.c.last_reason,
    deliveries.c.last_answer,
    deliveries.c.urgent,
    deliveries.c.born_at,
    *_EVENT,
).join_from(deliveries, events, deliveries.c.event_seq == events.c.seq)

_LAST_SEQS: Final = select(
    select(func.max(events.c.seq)).scalar_subquery(), select(func.max(deliveries.c.seq)).scalar_subquery()
)

_PENDING: Final = (
    _DELIVERIES.where(deliveries.c.settled_at.is_(None))
    .where(deliveries.c.destination == bindparam("to"))
    .where(deliveries.c.seq > bindparam("after"))
    .order_by(deliveries.c.seq)
    .limit(bindparam("most"))
)

# Not as a parameter: SQLite takes an index of some rows only where the SQL says that it is about those.
_URGENT: Final = _PENDING.where(deliveries.c.urgent == literal_column("1"))

_DEAD_LETTERS: Final = (
    _DELIVERIES.add_columns(
        dead_letters.c.cause,
        dead_letters.c.reason.label("death_reason"),
        dead_letters.c.answer,
        dead_letters.c.died_at,
    )
    .join(dead_letters, dead_letters.c.delivery_seq == deliveries.c.seq)
    .order_by(dead_letters.c.delivery_seq.desc())
)

_NEWEST_DEAD_LETTERS: Final = _DEAD_LETTERS.limit(bindparam("most"))
_OLDER_DEAD_LETTERS: Final = _NEWEST_DEAD_LETTERS.where(dead_letters.c.delivery_seq < bindparam("before"))

_STANDINGS: Final = select(standings)
_INCIDENTS: Final = select(incidents).order_by(incidents.c.opened_at, incidents.c.destination, incidents.c.key)
_OPENS: Final = select(opens).order_by(opens.c.seq)
_MALFORMED: Final = select(malformed).order_by(malformed.c.seq.desc()).limit(bindparam("most"))
_EVENTS: Final = select(*_EVENT, events.c.caused).order_by(events.c.seq.desc()).limit(bindparam("most"))
_BACKLOGS: Final = (
    select(deliveries.c.destination, func.count().label("number"))
    .where(deliveries.c.settled_at.is_(None))
    .group_by(deliveries.c.destination)
)
