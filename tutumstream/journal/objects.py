"""What is remembered of the platform's objects, to be compared with what they are after a gap."""

from typing import Final

import msgspec

from tutumstream.event import GONE, LISTED_TYPES, Event


class ObjectState(msgspec.Struct, frozen=True):
    """What was told last of an object.

    Attributes:
        at: when that was learned, seconds since 1970.
        health: of a container, as Docker calls it; "" where it was not told.
    """

    uri: str
    type: str
    state: str
    parents: tuple[str, ...]
    at: float
    health: str = ""


class Watch(msgspec.Struct, frozen=True):
    """How far a source of events was watched.

    Attributes:
        source: whose objects the known states are.
        complete_until: everything that became of them up to then was told, seconds since 1970; None before they were
            listed for the first time.
    """

    source: str
    complete_until: float | None = None


_LISTED: Final = frozenset(LISTED_TYPES)


def left_behind(event: Event) -> ObjectState | None:
    """The state that an event leaves of its object; None where it says that there is none any more."""
    if event.action == GONE:
        return None
    return ObjectState(event.resource_uri, event.type, event.state, event.parents, event.received_at, health_of(event))


def health_of(event: Event) -> str:
    """Of a container, where that is known, else ""."""
    return "" if event.docker is None else event.docker.health


def about_objects(event: Event) -> bool:
    """Whether it is about something that is remembered."""
    return event.type in _LISTED
