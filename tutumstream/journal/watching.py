"""The last known states of the platform's objects: changed together with the events that tell them."""

from collections.abc import Iterable
from typing import Final

import msgspec
from sqlalchemy import CTE, Connection, Delete, Insert, Text, column, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from tutumstream.event import GONE, LISTED_TYPES, TERMINATED, Event
from tutumstream.journal.bulk import Bulk, Row
from tutumstream.journal.objects import ObjectState, Watch, condition, names
from tutumstream.journal.schema import states, watches


def learn(connection: Connection, facts: Iterable[Event | ObjectState]) -> None:
    """These events were recorded and these states found, in this order; the last one about an object counts."""
    last: dict[str, Row | None] = {}
    encode = _encoder.encode
    for fact in facts:
        if type(fact) is ObjectState:
            parents = encode(fact.parents).decode()
            about = (fact.health, int(fact.looping), fact.name, fact.stack, fact.node)
            last[fact.uri] = (fact.uri, fact.type, fact.state, parents, fact.at, *about)
        elif isinstance(fact, Event) and fact.type in _LISTED:
            uri = fact.resource_uri
            if fact.action == GONE:
                last[uri] = None
                continue
            # This is done for every event: a row is made of it at once, without a value in between.
            parents = encode(fact.parents).decode()
            health, looping = condition(fact.docker)
            about = (health, int(looping), *names(fact.docker))
            last[uri] = (uri, fact.type, fact.state, parents, fact.received_at, *about)
    rows = [row for row in last.values() if row is not None]
    _REMEMBER.run(connection, rows)
    if len(rows) < len(last):
        _FORGET.run(connection, [(uri,) for uri, row in last.items() if row is None])


def known(connection: Connection) -> list[ObjectState]:
    """All of them, in the order of their URIs."""
    rows = connection.execute(select(states).order_by(states.c.uri))
    return [
        ObjectState(
            row.uri,
            row.type,
            row.state,
            tuple(_parents.decode(row.parents)),
            row.at,
            row.health,
            bool(row.looping),
            row.name,
            row.stack,
            row.node,
        )
        for row in rows
    ]


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


def _remember(given: CTE) -> Insert:
    # The condition is for SQLite's parser: https://www.sqlite.org/lang_upsert.html#parsing_ambiguity
    new = sqlite_insert(states).from_select(list(states.c), select(given).where(given.c.uri.is_not(None)))
    changed = {each.name: new.excluded[each.name] for each in states.c if not each.primary_key}
    return new.on_conflict_do_update(index_elements=["uri"], set_=changed)


def _forget(given: CTE) -> Delete:
    return delete(states).where(states.c.uri.in_(select(given.c.uri)))


_LISTED: Final = frozenset(LISTED_TYPES)

_encoder = msgspec.json.Encoder()
_parents = msgspec.json.Decoder(list[str])

_COLUMNS: Final = [column(each.name, each.type) for each in states.c]
_REMEMBER: Final = Bulk(_COLUMNS, _remember)
_FORGET: Final = Bulk([column("uri", Text)], _forget)
