"""Journals with dead letters in them."""

from collections.abc import Sequence

from msgspec.structs import replace
from twisted.internet.defer import Deferred

from tutumstream.event import Event
from tutumstream.journal.interface import DeadLetter, DeathCause, IJournal, Pending
from tutumstream.journal.memory import MemoryJournal
from tutumstream.routing.delivery import Delivery, Incident

NOW = 5000.0


def an_event(name: str) -> Event:
    uri = f"/api/v1/container/{name}/"
    return Event(id=name, received_at=1000.0, type="container", action="update", state="Running", resource_uri=uri)


def delivery(destination: str = "slack", key: str = "key", incident: Incident | None = None) -> Delivery:
    return Delivery(destination, "containers", "event.type == 'container'", key, incident)


def result(deferred: Deferred[Sequence[Pending]]) -> Sequence[Pending]:
    """What a memory's Deferred holds already."""
    held: list[Sequence[Pending]] = []
    deferred.addCallback(held.append)
    return held[0]


def bury(
    journal: IJournal,
    name: str,
    *,
    destination: str = "slack",
    cause: DeathCause = "rejected",
    incident: Incident | None = None,
    at: float = 2000.0,
) -> DeadLetter:
    """Record an event of this name, try its delivery once, and give it up."""
    (row,) = result(journal.record(an_event(name), [delivery(destination, incident=incident)]))
    row = replace(row, attempts=1, reason="it answered 400", answer="invalid_payload")
    letter = DeadLetter(row, cause, "it answered 400", "invalid_payload", at)
    journal.bury([letter])
    return letter


def a_journal(*names: str) -> MemoryJournal:
    """Open, with one dead letter for Slack of each name, the last one the newest."""
    journal = MemoryJournal()
    journal.open()
    for name in names:
        bury(journal, name)
    return journal
