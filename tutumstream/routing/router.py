"""Event in, deliveries out, each with its reason. Pure: no clock, no I/O."""

from collections.abc import Collection, Sequence

from twisted.logger import Logger

from tutumstream.event import Event
from tutumstream.rendering import Template, Templates
from tutumstream.routing.conditions import Conditions
from tutumstream.routing.delivery import Delivery, Incident
from tutumstream.routing.route import Route


class Router:
    """All routes, compiled.

    Args:
        routes: tried in order; all that match apply.
        destinations: the names that exist; a route's other names are left out.

    Raises:
        ConditionError: a condition does not compile.
        TemplateError: an incident key does not compile.
    """

    log = Logger()

    def __init__(self, routes: Sequence[Route], destinations: Collection[str]) -> None:
        self._routes = [
            (route, tuple(name for name in route.notify if name in destinations), _key(route)) for route in routes
        ]
        self._conditions = Conditions([route.when for route in routes])

    def deliveries(self, event: Event) -> tuple[Delivery, ...]:
        """What this event causes, in the order of the routes. A condition that fails on it is logged: no match."""
        view = event.view()
        found: list[Delivery] = []
        for (route, destinations, key), answer in zip(self._routes, self._conditions.hold(view), strict=True):
            if answer is False:
                continue
            if answer is not True:
                self.log.warn(
                    "route {route!r} can't be decided for event {id}: {problem}",
                    route=route.name,
                    id=event.id,
                    problem=answer,
                )
                continue
            incident = None
            if route.incident is not None and key is not None:
                # An incident without a key would be another one each time.
                incident = Incident(route.incident.action, key.render(view, {}) or event.id)
            found.extend(
                Delivery(
                    destination=destination,
                    route=route.name,
                    reason=f"{route.name}: {route.when}",
                    ordering_key=incident.key if incident else event.resource_uri or event.type,
                    incident=incident,
                    urgent=route.urgent or incident is not None,
                    grace=route.grace if incident is not None and incident.action == "trigger" else 0.0,
                )
                for destination in destinations
            )
        return tuple(found)


def _key(route: Route) -> Template | None:
    if route.incident is None:
        return None
    return Templates().compile(f"{route.name} (incident key)", route.incident.key, resources=False)
