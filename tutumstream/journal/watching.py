"""The last known states of the platform's objects: changed together with the events that tell them."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from sqlalchemy import CTE, Connection, Delete, Float, Insert, Text, column, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from tutumstream.event import GONE, LISTED_TYPES, TERMINATED, Event
from tutumstream.journal.bulk import Bulk, Row
from tutumstream.journal.objects import ObjectState, Watch
from tutumstream.journal.schema import states, watches


def learn(connection: Connection, events: Iterable[Event]) -> None:
    """These events were recorded, in this order; of several about one object only the last leaves something behind."""
    # This is done for every event: rows are made of them at once, without a value in between.
    last = {event.resource_uri: event for event in events if event.type in _LISTED}
    encode = _encoder.encode
    rows: list[Row] = [
        (uri, event.type, event.state, encode(event.parents).decode(), event.received_at)
        for uri, event in last.items()
        if event.action != GONE
    ]
    _REMEMBER.run(connection, rows)
    if len(rows) < len(last):
        _FORGET.run(connection, [(uri,) for uri, event in last.items() if event.action == GONE])


def remember(connection: Connection, found: Sequence[ObjectState]) -> None:
    """Each object's state, whatever was known before. No two of the same object."""
    _REMEMBER.run(connection, [_row(each) for each in found])


def known(connection: Connection) -> list[ObjectState]:
    """All of them, in the order of their URIs."""
    rows = connection.execute(select(states).order_by(states.c.uri))
    return [ObjectState(row.uri, row.type, row.state, tuple(_parents.decode(row.parents)), row.at) for row in rows]


def forget_terminated(connection: Connection, before: float) -> None:
    """Those whose end was told so long ago that nobody need hear that their record is gone too."""
    connection.execute(delete(states).where(states.c.state == TERMINATED, states.c.at < before))


def begin(connection: Connection, source: str) -> Watch:
    """How far this source was watched; a new one begins with nothing."""
    row = connection.execute(select(watches).where(watches.c.source == source)).one_or_none()
    if row is not None:
        return Watch(row.source, row.complete_until)
    connection.execute(delete(states))
    connection.execute(delete(watches))
    connection.execute(insert(watches).values(source=source))
    return Watch(source)


def complete(connection: Connection, until: float) -> None:
    """Everything up to then was told."""
    connection.execute(update(watches).values(complete_until=until))


def _row(each: ObjectState) -> Row:
    return (each.uri, each.type, each.state, _encoder.encode(each.parents).decode(), each.at)


def _remember(given: CTE) -> Insert:
    # The condition is for SQLite's parser: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    new = sqlite_insert(states).from_select(list(_NAMES), select(given).where(given.c.uri.is_not(None)))
    changed = {name: new.excluded[name] for name in _NAMES if name != "uri"}
    return new.on_conflict_do_update(index_elements=["uri"], set_=changed)


def _forget(given: CTE) -> Delete:
    return delete(states).where(states.c.uri.in_(select(given.c.uri)))


_LISTED: Final = frozenset(LISTED_TYPES)

_encoder = msgspec.json.Encoder()
_parents = msgspec.json.Decoder(list[str])

_NAMES: Final = ("uri", "type", "state", "parents", "at")
_COLUMNS: Final = [column(name, Float if name == "at" else Text) for name in _NAMES]
_REMEMBER: Final = Bulk(_COLUMNS, _remember)
_FORGET: Final = Bulk([column("uri", Text)], _forget)
