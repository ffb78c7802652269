"""A route: which events, to whom, in which words. Built-in routes and those of a file are the same type."""

from dataclasses import dataclass

from tutumstream.routing.delivery import IncidentAction


@dataclass(frozen=True, slots=True)
class IncidentRule:
    """What a route does to an incident.

    Attributes:
        action: `trigger` or `resolve`, for instance.
        key: a template over `event` that gives the incident's key.
    """

    action: IncidentAction
    key: str


@dataclass(frozen=True, slots=True)
class Route:
    """One rule.

    Attributes:
        name: unique among the routes; deliveries find their text by it.
        when: a CEL condition over `event`.
        notify: names of destinations.
        text: a Jinja2 template over `event` and the resources it names.
        incident: None where the message is only told.
        urgent: its messages overtake others and are never told in a digest; what acts on an incident always is.
        grace: seconds to hold a trigger back: where the resolve comes first, nobody is paged.
    """

    name: str
    when: str
    notify: tuple[str, ...]
    text: str
    incident: IncidentRule | None = None
    urgent: bool = False
    grace: float = 0.0
