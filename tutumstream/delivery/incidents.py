"""Which incidents each destination knows to be open: the journal's table, mirrored, for routing can't wait for it."""

from collections.abc import Callable, Iterable
from typing import Final

from tutumstream.delivery.pairs import Opens
from tutumstream.event import Event
from tutumstream.journal.interface import Opened, OpenIncident, Pending
from tutumstream.routing.delivery import Delivery, Incident

BLIND_PATIENCE: Final = 75.0
"""Seconds without sight for which a trigger with a grace waits on: the longest pause between two tries to connect, and
time to hear and compare what happened meanwhile."""

LOOK_AGAIN: Final = 1.0

DUTY = "duty to resolve"
"""The route of a resolve that no route asks for any more."""


class Incidents:
    """Open incidents by destination and key, and how often each was opened lately.

    Attributes:
        blind_since: since when nobody could know whether what was told still holds, seconds since 1970; 0.0 while that
            is known.
    """

    blind_since: Callable[[], float] = staticmethod(lambda: 0.0)

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], OpenIncident] = {}
        self._opens: dict[tuple[str, str], Opens] = {}

    def load(self, incidents: Iterable[OpenIncident], opened: Iterable[Opened], now: float) -> None:
        """What the journal remembers: which are open, and when any was opened lately, in order.

        Before a clock was set back, nobody knows when anything was.
        """
        self._open = {(each.destination, each.key): each for each in incidents}
        for each in opened:
            if each.at <= now:
                self._opens.setdefault((each.destination, each.key), Opens()).opened(each.at)

    def told(self, row: Pending, now: float) -> None:
        """A delivery arrived."""
        incident = row.delivery.incident
        if incident is None:
            return
        name = (row.delivery.destination, incident.key)
        if incident.ends:
            self._open.pop(name, None)
        elif incident.action == "trigger":
            if name not in self._open:
                self._open[name] = OpenIncident(*name, row.event.type, now)
            self._opens.setdefault(name, Opens()).opened(now)

    def is_open(self, destination: str, key: str) -> bool:
        return (destination, key) in self._open

    def held_open_until(self, destination: str, key: str, now: float) -> float:
        """Until when a flapping incident is held open; 0.0 where it does not flap."""
        opens = self._opens.get((destination, key))
        return opens.quiet_at() if opens is not None and opens.flapping(now) else 0.0

    def held_until(self, row: Pending, now: float) -> float:
        """Until when a delivery that is due waits all the same; a time that is past where it need not.

        A grace is there to hear that it is over. While nobody listens that can't be heard, so it is waited for a little
        longer: it may have been over for long.
        """
        since, incident = self.blind_since(), row.delivery.incident
        # What failed before has a reason; of what is read from the journal the time is known, and not the grace itself.
        if not since or row.reason or incident is None or incident.action != "trigger":
            return 0.0
        return min(now + LOOK_AGAIN, max(row.due, since) + BLIND_PATIENCE)

    def duties(self, event: Event, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """The resolves that are owed because the stream is back, and that no route gives any more.

        A route may have been renamed or dropped since the incident was opened, and its destination too; what was
        opened in our name is ours to close.
        """
        if event.type != "stream" or event.action != "open":
            return []
        given = {(each.destination, each.incident.key) for each in deliveries if each.incident is not None}
        return [
            Delivery(
                destination=each.destination,
                route=DUTY,
                reason="an incident of the stream is open, and the stream is back",
                ordering_key=each.key,
                incident=Incident("resolve", each.key),
                urgent=True,
            )
            for name, each in self._open.items()
            if each.event_type == "stream" and name not in given
        ]
