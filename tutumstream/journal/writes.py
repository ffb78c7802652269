"""Everything that changes the journal: what one caller asked for, as rows, and a group of those as a few statements."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Float,
    Insert,
    Integer,
    Text,
    Update,
    cast,
    column,
    delete,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from tutumstream.event import Event, Malformed
from tutumstream.journal.bulk import Bulk, Row, among, inserting
from tutumstream.journal.interface import (
    MALFORMED_BYTES,
    MALFORMED_ROWS,
    DeadLetter,
    Pending,
    Postponement,
    Standing,
)
from tutumstream.journal.objects import ObjectState
from tutumstream.journal.schema import dead_letters, deliveries, events, malformed, opens, standings
from tutumstream.journal.settling import SettleIncidents, incident_rows
from tutumstream.journal.trouble import trouble
from tutumstream.journal.watching import learn


@dataclass(slots=True, eq=False)
class Write:
    """What one caller asked for: wholly done or not at all.

    Never changed, and not frozen only because that makes it three times as long to make: two are made for each event.

    Attributes:
        events, deliveries, malformed: rows to add.
        change: what to do with rows that are there already: statements that each take `rows`.
        act: the same for what is too rare to be done in bulk.
        facts: what changes the last known states of objects, in order.
    """

    events: Sequence[Row] = ()
    deliveries: Sequence[Row] = ()
    malformed: Sequence[Row] = ()
    change: tuple[Bulk | SettleIncidents, ...] = ()
    rows: Sequence[Row] = ()
    act: Callable[[Connection], object] | None = None
    facts: Sequence[Event | ObjectState] = ()


Outcome = Exception | None
"""None: it is done. Else why this one write can't be."""


def commit(connection: Connection, group: Sequence[Write]) -> list[Outcome]:
    """Do a group in one transaction; one that can't be done does not take the others with it.

    Raises:
        Exception: the disk refuses; nothing of the group was done.
    """
    try:
        with connection.begin():
            apply(connection, group)
    except Exception as problem:
        if trouble(problem):
            raise
    else:
        return [None] * len(group)
    with connection.begin():
        return [_alone(connection, write) for write in group]


def _alone(connection: Connection, write: Write) -> Outcome:
    try:
        with connection.begin_nested():
            apply(connection, [write])
    except Exception as problem:
        if trouble(problem):
            raise
        return problem
    return None


def apply(connection: Connection, writes: Sequence[Write]) -> None:
    """Do all of them, inside the caller's transaction.

    New rows go first: nobody can ask for a change of a delivery before it was recorded, so this changes no result, and
    all events of the group become one statement. Changes stay in the order asked.
    """
    _INSERT_EVENTS.run(connection, [row for write in writes for row in write.events])
    _INSERT_DELIVERIES.run(connection, [row for write in writes for row in write.deliveries])
    learn(connection, [fact for write in writes for fact in write.facts])
    for change, same in groupby((write for write in writes if write.change or write.act), attrgetter("change")):
        rows: list[Row] = []
        for write in same:
            rows += write.rows
            if write.act is not None:
                write.act(connection)
        for bulk in change:
            bulk.run(connection, rows)
    if new := [row for write in writes for row in write.malformed]:
        _INSERT_MALFORMED.run(connection, new)
        connection.execute(_TRIM_MALFORMED)


def keeping(broken: Malformed) -> Write:
    """A message that is no event, cut."""
    return Write(malformed=[(broken.received_at, storable(broken.reason), broken.raw[:MALFORMED_BYTES])])


def settling(rows: Sequence[Pending], at: float) -> Write:
    """Deliveries that arrived, and what they do to their incidents."""
    for row in rows:
        if row.delivery.incident is not None:
            return Write(change=_SETTLE_INCIDENTS, rows=incident_rows(rows, at))
    return Write(change=_SETTLE, rows=[(row.seq, at) for row in rows])


def dropping(rows: Sequence[Pending], note: str, at: float) -> Write:
    """Deliveries that need not be told."""
    note = storable(note)
    return Write(change=_DROP, rows=[(row.seq, note, at) for row in rows])


def standing(destination: str, stands: Standing) -> Write:
    """How a destination stands."""
    values = {
        "kind": stands.kind,
        "since": stands.since,
        "until": stands.until,
        "reason": storable(stands.reason),
        "told": int(stands.told),
    }
    new = sqlite_insert(standings).values(destination=destination, **values)
    statement = new.on_conflict_do_update(index_elements=["destination"], set_=values)
    return Write(act=lambda connection: connection.execute(statement))


def reviving(seqs: Sequence[int], at: float, revived: list[int]) -> Write:
    """Take dead letters back; those that there were are added to `revived`."""

    def revive(connection: Connection) -> None:
        revived[:] = connection.scalars(
            select(dead_letters.c.delivery_seq).where(dead_letters.c.delivery_seq.in_(among(seqs)))
        ).all()
        connection.execute(delete(dead_letters).where(dead_letters.c.delivery_seq.in_(among(revived))))
        fresh = {"settled_at": None, "attempts": 0, "due": 0.0, "last_reason": "", "last_answer": "", "born_at": at}
        connection.execute(update(deliveries).where(deliveries.c.seq.in_(among(revived))).values(**fresh))

    return Write(act=revive)


def forgetting(seqs: Sequence[int], forgotten: list[int]) -> Write:
    """Drop dead letters for good; their number is added to `forgotten`."""

    def forget(connection: Connection) -> None:
        gone = connection.execute(delete(dead_letters).where(dead_letters.c.delivery_seq.in_(among(seqs))))
        forgotten[:] = [gone.rowcount]

    return Write(act=forget)


def forgetting_opens(before: float) -> Write:
    """Forget which incidents were opened before then."""
    return Write(act=lambda connection: connection.execute(delete(opens).where(opens.c.at < before)))


def postponing(postponements: Iterable[Postponement]) -> Write:
    """Deliveries that failed and stay."""
    rows = [(each.seq, each.attempts, each.due, storable(each.reason), storable(each.answer)) for each in postponements]
    return Write(change=_POSTPONE, rows=rows)


def burying(dead: Iterable[DeadLetter]) -> Write:
    """Deliveries that are given up; of two with the same seq the first counts."""
    rows: dict[int, Row] = {}
    for each in dead:
        row = each.pending
        told = (each.cause, storable(each.reason), storable(each.answer), each.died_at)
        rows.setdefault(row.seq, (row.seq, *told, row.attempts, row.due, storable(row.reason), storable(row.answer)))
    return Write(change=_BURY, rows=list(rows.values()))


def delivery_id() -> ColumnElement[str]:
    """A delivery's id, `<event id>-<n>`, of the tables that hold its parts."""
    return events.c.id + literal_column("'-'") + cast(deliveries.c.ordinal, Text)


def storable(text: str) -> str:
    """The same text, lone surrogates replaced: SQLite takes UTF-8 only, and no answer may keep a row from changing."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _settle(given: CTE) -> Update:
    return update(deliveries).where(*_still_pending(given)).values(settled_at=given.c.at)


def _postpone(given: CTE) -> Update:
    names = ("attempts", "due", "last_reason", "last_answer")
    return update(deliveries).where(*_still_pending(given)).values({name: given.c[name] for name in names})


def _drop(given: CTE) -> Update:
    changed = {"last_reason": given.c.note, "settled_at": given.c.at}
    return update(deliveries).where(*_still_pending(given)).values(changed)


def _add_dead_letter(given: CTE) -> Insert:
    names = ("cause", "reason", "answer", "died_at")
    chosen = (
        select(deliveries.c.seq, delivery_id(), *(given.c[name] for name in names))
        .join_from(deliveries, events, deliveries.c.event_seq == events.c.seq)
        .where(*_still_pending(given))
    )
    return insert(dead_letters).from_select(["delivery_seq", "id", *names], chosen)


def _mark_dead(given: CTE) -> Update:
    names = ("attempts", "due", "last_reason", "last_answer")
    marks = {name: given.c[name] for name in names}
    return update(deliveries).where(*_still_pending(given)).values(settled_at=given.c.died_at, **marks)


def _still_pending(given: CTE):  # type: ignore[no-untyped-def]
    return deliveries.c.seq == given.c.seq, deliveries.c.settled_at.is_(None)


_INSERT_EVENTS: Final = inserting(events, "seq", "id", "received_at", "caused", "body")

_INSERT_DELIVERIES: Final = inserting(
    deliveries,
    *("seq", "event_seq", "ordinal", "destination", "route", "reason", "ordering_key"),
    *("incident_action", "incident_key", "due", "urgent", "born_at"),
)

_INSERT_MALFORMED: Final = inserting(malformed, "received_at", "reason", "raw")

_TRIM_MALFORMED: Final = delete(malformed).where(
    malformed.c.seq
    <= select(malformed.c.seq).order_by(malformed.c.seq.desc()).limit(1).offset(MALFORMED_ROWS).scalar_subquery()
)

_TRY: Final = (
    column("attempts", Integer),
    column("due", Float),
    column("last_reason", Text),
    column("last_answer", Text),
)
_DEATH: Final = (column("cause", Text), column("reason", Text), column("answer", Text), column("died_at", Float))

_SETTLE: Final = (Bulk([column("seq", Integer), column("at", Float)], _settle),)
_SETTLE_INCIDENTS: Final = (SettleIncidents(),)
_DROP: Final = (Bulk([column("seq", Integer), column("note", Text), column("at", Float)], _drop),)
_POSTPONE: Final = (Bulk([column("seq", Integer), *_TRY], _postpone),)
_BURY: Final = (
    Bulk([column("seq", Integer), *_DEATH, *_TRY], _add_dead_letter),
    Bulk([column("seq", Integer), *_DEATH, *_TRY], _mark_dead),
)
