"""What routing decides: values only."""

from typing import Literal

import msgspec

IncidentAction = Literal["trigger", "acknowledge", "resolve", "close"]


class Incident(msgspec.Struct, frozen=True, gc=False):
    """What a message does to an incident (PagerDuty's terms).

    Attributes:
        action: `trigger` opens or repeats it, `resolve` ends it. `close` resolves it where it is open, and is not told
            where it is not.
        key: one incident has one key; never empty.
    """

    action: IncidentAction
    key: str

    @property
    def ends(self) -> bool:
        """Whether the incident is over with it."""
        return self.action in ("resolve", "close")


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One message that an event causes.

    Attributes:
        destination: the name of the notifier that is to be told.
        route: the name of the route that wants it; its template gives the text when it is sent.
        reason: why, in words: the condition that held.
        ordering_key: deliveries of one destination with the same key must arrive in the order of their events.
        incident: None where the message is only told.
        urgent: overtakes what is not, and is never told in a digest.
        grace: seconds that it is held back; a resolve of the same incident that comes first cancels it.
    """

    destination: str
    route: str
    reason: str
    ordering_key: str
    incident: Incident | None = None
    urgent: bool = False
    grace: float = 0.0
