"""What the service does with the environment alone: the tutorial's behaviour, as routes."""

from collections.abc import Collection
from typing import Final

from tutumstream.event import OBJECT_TYPES
from tutumstream.routing.route import IncidentRule, Route

STREAM_INCIDENT: Final = "tutum-stream"
"""The incident key of our own connection, as in the tutorial."""

LINE: Final = "{{ event.type }}:{{ event.action }}:{{ event.state }}:{{ event.resource_uri }}:{{ event.parents }}"


def _cel(names: Collection[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in sorted(names)) + "]"


_STREAM: Final = (
    Route(
        name="stream opened",
        when='event.type == "stream" && event.action == "open"',
        notify=("pagerduty",),
        text="Tutum Stream connection open.",
        incident=IncidentRule("resolve", STREAM_INCIDENT),
    ),
    Route(
        name="stream closed",
        when='event.type == "stream" && event.action != "open"',
        notify=("pagerduty",),
        text="Tutum Stream connection closed.",
        incident=IncidentRule("trigger", STREAM_INCIDENT),
    ),
)
"""Our own connection is an incident."""

_MACHINES: Final = (
    Route(
        name="webhook",
        when=f"event.type in {_cel(OBJECT_TYPES)}",
        notify=("webhook",),
        text=LINE,
    ),
    Route(
        name="elasticsearch",
        when="true",
        notify=("elasticsearch",),
        text=LINE,
    ),
)
"""Who reads no texts gets everything."""


def tutorial(page_on_delete: Collection[str] = (), chat: str = "slack") -> tuple[Route, ...]:
    """The built-in routes.

    Args:
        page_on_delete: types whose deletion pages.
        chat: the destination of what the tutorial says in Slack.
    """
    return (
        *_STREAM,
        Route(
            name="container",
            when='event.type == "container"',
            notify=(chat,),
            text="Your container was {{ event.action }}d on Tutum!\n"
            "Check {{ event.resource_uri }} to see more details.",
        ),
        Route(
            name="service of a stack",
            when='event.type == "service" && event.parent.stack != ""',
            notify=(chat,),
            text="A Service on Tutum was {{ event.action }}d.\n"
            "It belonged to the {{ stack.name }} Stack.\n"
            "The Stack state is: {{ stack.state }}",
        ),
        *_deletions(page_on_delete),
        Route(
            name="destination held",
            when='event.type == "destination" && event.action in ["held", "limited"]',
            notify=(chat, "pagerduty"),
            text="{{ event.message }}",
            incident=IncidentRule("trigger", "tutumstream-{{ event.resource_uri }}"),
        ),
        Route(
            name="destination recovered",
            when='event.type == "destination" && event.action == "recovered"',
            notify=(chat, "pagerduty"),
            text="{{ event.message }}",
            incident=IncidentRule("resolve", "tutumstream-{{ event.resource_uri }}"),
        ),
        Route(
            name="everything else",
            when='!(event.type in ["container", "stream", "destination", "user-notification", "user-notifications"])'
            ' && !(event.type == "service" && event.parent.stack != "")',
            notify=("log",),
            text=LINE + "{% if event.message %}:{{ event.message }}{% endif %}",
        ),
        *_MACHINES,
    )


def _deletions(types: Collection[str]) -> tuple[Route, ...]:
    if not types:
        return ()
    return (
        Route(
            name="deleted",
            when=f'event.type in {_cel(types)} && event.action == "delete"',
            notify=("pagerduty",),
            text="{{ event.type }} {{ event.resource_uri }} was deleted on Tutum.",
            incident=IncidentRule("trigger", "{{ event.resource_uri }}"),
        ),
    )
