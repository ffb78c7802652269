"""Event in, deliveries out, each with its reason. Pure: no clock, no I/O."""

from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Final

from twisted.logger import Logger

from tutumstream.docker_details import DockerDetails
from tutumstream.event import PARENT_TYPES, Event
from tutumstream.rendering import Templates
from tutumstream.routing.conditions import Conditions
from tutumstream.routing.delivery import Delivery, Incident
from tutumstream.routing.route import Route

_FEW_VALUES: Final = (
    {"type", "action", "state", "synthetic"}
    | {f"parent.{kind}" for kind in PARENT_TYPES}
    | {f"docker.{name}" for name in ("event", "expected", "news", "health", "oom_killed", "restarting", "looping")}
)
"""Fields with so few values that remembering what followed from them pays."""

_NO_DETAILS: Final = DockerDetails()


class Router:
    """All routes, compiled.

    Args:
        routes: tried in order; all that match apply.
        destinations: the names that exist; a route's other names are left out.
        remembered: how many kinds of events it remembers what follows from.

    Raises:
        ConditionError: a condition does not compile.
        TemplateError: an incident key does not compile.
    """

    log = Logger()

    def __init__(self, routes: Sequence[Route], destinations: Collection[str], remembered: int = 10_000) -> None:
        self._routes = [_Rule(route, tuple(name for name in route.notify if name in destinations)) for route in routes]
        self._conditions = Conditions([route.when for route in routes])
        fields = self._conditions.fields
        # An exit code has many values, but only where there are details at all.
        many = {name for name in fields or () if name.startswith("docker.")} - _FEW_VALUES
        self._asks_details = bool(many)
        few = None if fields is None else fields - many
        self._key = _key_of(sorted(few)) if few is not None and few <= _FEW_VALUES else None
        self._remembered = remembered
        self._known: dict[object, Sequence[_Rule]] = {}

    def deliveries(self, event: Event) -> tuple[Delivery, ...]:
        """What this event causes, in the order of the routes. A condition that fails on it is logged: no match."""
        found: list[Delivery] = []
        for rule in self._matches(event):
            rule.add(event, found)
        if event.type == "destination":
            # What is wrong with a destination is told through the others.
            subject = event.resource_uri.removeprefix("destination/")
            found = [delivery for delivery in found if delivery.destination != subject]
        return tuple(found)

    def _matches(self, event: Event) -> Sequence["_Rule"]:
        """The routes whose conditions hold. Most events are like one before, so their answer is known."""
        if self._key is None or (self._asks_details and event.docker is not None):
            return self._ask(event)[0]
        key = self._key(event)
        known = self._known.get(key)
        if known is None:
            known, sure = self._ask(event)
            if len(self._known) >= self._remembered:
                self._known.clear()
            if sure:
                self._known[key] = known
        return known

    def _ask(self, event: Event) -> tuple[Sequence["_Rule"], bool]:
        """The routes that match, and whether every condition could be decided."""
        answers = self._conditions.hold(event.view())
        for rule, answer in zip(self._routes, answers, strict=True):
            if isinstance(answer, str):
                self.log.warn(
                    "route {route!r} can't be decided for event {id}: {problem}",
                    route=rule.route.name,
                    id=event.id,
                    problem=answer,
                )
        matches = [rule for rule, answer in zip(self._routes, answers, strict=True) if answer is True]
        return matches, not any(isinstance(answer, str) for answer in answers)


class _Rule:
    """A route, ready to be applied."""

    def __init__(self, route: Route, destinations: tuple[str, ...]) -> None:
        self.route = route
        self._destinations = destinations
        self._reason = f"{route.name}: {route.when}"
        self._key = None
        if route.incident is not None:
            self._key = Templates().compile(f"{route.name} (incident key)", route.incident.key, resources=False)

    def add(self, event: Event, found: list[Delivery]) -> None:
        """One for each destination."""
        route, incident, grace = self.route, None, 0.0
        key, urgent = event.resource_uri or event.type, route.urgent
        if self._destinations and route.incident is not None and self._key is not None:
            # An incident without a key would be another one each time.
            key, urgent = self._key.render(event.view(), {}) or event.id, True
            incident = Incident(route.incident.action, key)
            if incident.action == "trigger":
                grace = route.grace
        found += [
            Delivery(destination, route.name, self._reason, key, incident, urgent, grace)
            for destination in self._destinations
        ]


def _key_of(fields: Sequence[str]) -> Callable[[Event], object]:
    """What of an event the conditions depend on."""
    plain = [name for name in fields if "." not in name]
    parents = [name.removeprefix("parent.") for name in fields if name.startswith("parent.")]
    details = [name.removeprefix("docker.") for name in fields if name.startswith("docker.")]

    get = attrgetter(*plain) if plain else lambda _: None

    def key(event: Event) -> object:
        return (get(event), *[event.parent(kind) for kind in parents])

    if not details:
        return key
    get_details = attrgetter(*details)

    def key_with_details(event: Event) -> object:
        return (key(event), get_details(event.docker or _NO_DETAILS))

    return key_with_details
