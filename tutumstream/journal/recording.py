"""Events as rows: each with what it causes, and those that were missed all at once."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from tutumstream.event import Event
from tutumstream.journal.bulk import Row
from tutumstream.journal.objects import ObjectState
from tutumstream.journal.watching import complete
from tutumstream.journal.writes import Write
from tutumstream.routing.delivery import Delivery

T = TypeVar("T")


def recording(event: Event, causes: Sequence[Delivery], event_seq: int, first_seq: int) -> Write:
    """An event with everything it causes; the deliveries take `first_seq` and those after it."""
    return Write(
        events=[_event_row(event, causes, event_seq)],
        deliveries=_delivery_rows(event, causes, event_seq, first_seq),
        facts=[event],
    )


def catching_up(
    told: Sequence[tuple[Event, Sequence[Delivery]]],
    found: Sequence[ObjectState],
    until: float,
    event_seq: int,
    first_seq: int,
) -> Write:
    """Events with everything they cause, states that nobody is told, and that all is complete."""
    rows, causing = list[Row](), list[Row]()
    for n, (event, causes) in enumerate(told):
        rows.append(_event_row(event, causes, event_seq + n))
        causing += _delivery_rows(event, causes, event_seq + n, first_seq + len(causing))
    facts: list[Event | ObjectState] = [*(event for event, _ in told), *found]
    return Write(events=rows, deliveries=causing, act=partial(complete, until=until), facts=facts)


def asking(read: Callable[[Connection], T], answers: list[T]) -> Write:
    """Not a change, but in the order of the changes: the answer is put into `answers`, alone."""

    def ask(connection: Connection) -> None:
        answers[:] = [read(connection)]

    return Write(act=ask)


def completing(until: float) -> Write:
    """Everything up to then was told."""
    return Write(act=partial(complete, until=until))


def _event_row(event: Event, causes: Sequence[Delivery], seq: int) -> Row:
    return (seq, event.id, event.received_at, len(causes), _encoder.encode(event).decode())


def _delivery_rows(event: Event, causes: Sequence[Delivery], event_seq: int, first_seq: int) -> list[Row]:
    return [
        (
            first_seq + n,
            event_seq,
            n + 1,
            each.destination,
            each.route,
            each.reason,
            each.ordering_key,
            each.incident.action if each.incident else None,
            each.incident.key if each.incident else None,
            event.received_at + each.grace if each.grace else 0.0,
            int(each.urgent),
            event.received_at,
        )
        for n, each in enumerate(causes)
    ]


_encoder = msgspec.json.Encoder()
