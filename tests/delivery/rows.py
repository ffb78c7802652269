"""Deliveries for tests."""

from tutumstream.event import Event
from tutumstream.journal.interface import Pending
from tutumstream.routing.delivery import Delivery, Incident, IncidentAction


def row(
    seq: int,
    key: str = "k",
    action: IncidentAction | None = None,
    *,
    due: float = 0.0,
    attempts: int = 0,
    urgent: bool = False,
    received_at: float = 0.0,
) -> Pending:
    """A pending delivery; with an action it acts on the incident of its key."""
    event = Event(id=f"e{seq}", received_at=received_at, type="container", action="create", resource_uri=f"/{key}/")
    incident = Incident(action, key) if action else None
    return Pending(
        seq,
        f"e{seq}-1",
        event,
        Delivery("slack", "r", "r: true", key, incident, urgent),
        attempts,
        due,
        born_at=received_at,
    )
