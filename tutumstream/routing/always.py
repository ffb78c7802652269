"""The routes that every built-in set has: about ourselves, for the machines, and those that a variable asks for."""

from collections.abc import Collection
from typing import Final

from tutumstream.event import OBJECT_TYPES
from tutumstream.routing.route import IncidentRule, Route

STREAM_INCIDENT: Final = "tutum-stream"
"""The incident key of our own connection, as in the tutorial."""

LINE: Final = "{{ event.type }}:{{ event.action }}:{{ event.state }}:{{ event.resource_uri }}:{{ event.parents }}"


MISSED: Final = (
    "{% if event.synthetic %}\nIt is {{ event.state }} now.{% if event.missed_from < event.missed_to %} That happened "
    "between {{ event.missed_from | utc }} and {{ event.missed_to | utc }}, without a stream.{% endif %}{% endif %}"
)
"""What a text says in addition about an event that was found out after a gap."""


def cel(names: Collection[str]) -> str:
    """A list of texts, as conditions have it."""
    return "[" + ", ".join(f'"{name}"' for name in sorted(names)) + "]"


STREAM: Final = (
    Route(
        name="stream opened",
        when='event.type == "stream" && event.action == "open"',
        notify=("pagerduty",),
        text="Tutum Stream connection open.",
        incident=IncidentRule("resolve", STREAM_INCIDENT),
    ),
    Route(
        name="stream closed",
        when='event.type == "stream" && event.action in ["close", "error"]',
        notify=("pagerduty",),
        text="Tutum Stream connection closed.",
        incident=IncidentRule("trigger", STREAM_INCIDENT),
    ),
)
"""Our own connection is an incident."""

MACHINES: Final = (
    Route(
        name="webhook",
        when=f"event.type in {cel(OBJECT_TYPES)}",
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


def gaps(chat: str) -> tuple[Route, ...]:
    """What is said of a gap: all of it in the log, what somebody should know in the chat too, before the details."""
    in_log = Route(
        name="gap",
        when='event.type == "stream" && event.action in ["gap", "caught-up"]',
        notify=("log",),
        text="{{ event.message }}",
    )
    if chat == "log":
        return (in_log,)
    in_chat = Route(
        name="gap with changes",
        when='event.type == "stream" && event.action in ["gap", "caught-up"] && event.state != "Unchanged"',
        notify=(chat,),
        text="{{ event.message }}",
        urgent=True,
    )
    return (in_log, in_chat)


def destinations(chat: str) -> tuple[Route, ...]:
    """A destination that takes nothing is told through the others."""
    return (
        Route(
            name="destination held",
            when='event.type == "destination" && event.action in ["held", "limited", "failing", "refusing"]',
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
    )


def journal(chat: str) -> tuple[Route, ...]:
    """That the journal is well again. The trouble itself was told without it, see `delivery.alarm`."""
    return (
        Route(
            name="journal recovered",
            when='event.type == "journal"',
            notify=(chat,),
            text="{{ event.message }}",
            urgent=True,
        ),
        Route(
            name="journal recovered, stream open",
            when='event.type == "journal" && event.state == "Connected"',
            notify=("pagerduty",),
            text="{{ event.message }}",
            incident=IncidentRule("resolve", STREAM_INCIDENT),
        ),
    )


def deletions(types: Collection[str]) -> tuple[Route, ...]:
    """Types whose deletion pages."""
    if not types:
        return ()
    return (
        Route(
            name="deleted",
            when=f'event.type in {cel(types)} && event.action == "delete"',
            notify=("pagerduty",),
            text="{{ event.type }} {{ event.resource_uri }} was deleted on Tutum." + MISSED,
            incident=IncidentRule("trigger", "{{ event.resource_uri }}"),
        ),
    )
