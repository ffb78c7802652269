"""Settles deliveries together with the incidents that they open and close: in one transaction, for many at once."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    CTE,
    Connection,
    Delete,
    Float,
    Insert,
    Integer,
    Text,
    Update,
    column,
    delete,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from tutumstream.journal.bulk import Bulk, Row, inserting
from tutumstream.journal.interface import Pending
from tutumstream.journal.schema import deliveries, incidents, opens


class SettleIncidents:
    """The change of deliveries that act on incidents. Takes the rows that `incident_rows` makes."""

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Settle them, in order; those that are pending no more do nothing."""
        settled = {row[0] for row in _SETTLE.run(connection, [row[:2] for row in rows])}
        opened: dict[Row, Row] = {}
        closed: dict[Row, None] = {}
        triggers: list[Row] = []
        for seq, at, action, *name, event_type in rows:
            if seq not in settled:
                continue
            settled.discard(seq)
            incident = tuple(name)
            if action == "trigger":
                opened.setdefault(incident, (*incident, event_type, at))
                triggers.append((*incident, at))
            elif action in ("resolve", "close"):
                opened.pop(incident, None)
                closed[incident] = None
        # One that is in both was closed first.
        _CLOSE.run(connection, list(closed))
        _OPEN.run(connection, list(opened.values()))
        _NOTE.run(connection, triggers)


def incident_rows(rows: Sequence[Pending], at: float) -> list[Row]:
    """seq, at, action, destination, key, event type; of some without an incident the action is ""."""
    return [
        (row.seq, at, incident.action, row.delivery.destination, incident.key, row.event.type)
        if (incident := row.delivery.incident) is not None
        else (row.seq, at, "", "", "", "")
        for row in rows
    ]


def _settle(given: CTE) -> Update:
    return (
        update(deliveries)
        .where(deliveries.c.seq == given.c.seq, deliveries.c.settled_at.is_(None))
        .values(settled_at=given.c.at)
        .returning(deliveries.c.seq)
    )


def _close(given: CTE) -> Delete:
    names: Any = tuple_(incidents.c.destination, incidents.c.key)
    return delete(incidents).where(names.in_(select(given.c.destination, given.c.key)))


def _open(given: CTE) -> Insert:
    # The condition is for SQLite's parser: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    chosen = select(given).where(given.c.key.is_not(None))
    return (
        insert(incidents)
        .from_select(["destination", "key", "event_type", "opened_at"], chosen)
        .on_conflict_do_nothing()
    )


_NAME: Final = (column("destination", Text), column("key", Text))
_SETTLE: Final = Bulk([column("seq", Integer), column("at", Float)], _settle)
_CLOSE: Final = Bulk(_NAME, _close)
_OPEN: Final = Bulk([*_NAME, column("event_type", Text), column("opened_at", Float)], _open)
_NOTE: Final = inserting(opens, "destination", "key", "at")
