"""What is remembered of the platform's objects, to be compared with what they are after a gap."""

from typing import Final

import msgspec

from tutumstream.docker_details import DockerDetails
from tutumstream.event import GONE, LISTED_TYPES, Event


class ObjectState(msgspec.Struct, frozen=True):
    """What was told last of an object.

    Attributes:
        at: when that was learned, seconds since 1970.
        health: of a container, as Docker calls it, or `REFUSED`; "" where it was not told.
        looping: it crashed again and again, and Docker was about to start it once more, or just had.
        name, stack, node: what people call it, and where it was, as Docker's details have them; "" where nobody said.
    """

    uri: str
    type: str
    state: str
    parents: tuple[str, ...]
    at: float
    health: str = ""
    looping: bool = False
    name: str = ""
    stack: str = ""
    node: str = ""


class Watch(msgspec.Struct, frozen=True):
    """How far a source of events was watched.

    Attributes:
        source: whose objects the known states are.
        complete_until: everything that became of them up to then was told, seconds since 1970; None before they were
            listed for the first time.
    """

    source: str
    complete_until: float | None = None


REFUSED: Final = "refused"
"""Of what ended: Docker was to start it again, and could not."""

_LISTED: Final = frozenset(LISTED_TYPES)
_ENDS: Final = frozenset({"finish", "stop", "recovery", "remove"})


def left_behind(event: Event) -> ObjectState | None:
    """The state that an event leaves of its object; None where it says that there is none any more."""
    if event.action == GONE:
        return None
    return ObjectState(
        event.resource_uri,
        event.type,
        event.state,
        event.parents,
        event.received_at,
        *condition(event.docker),
        *names(event.docker),
    )


def condition(docker: DockerDetails | None) -> tuple[str, bool]:
    """How a container does, and whether it is in a crash loop that goes on: as `ObjectState` has them."""
    if docker is None:
        return "", False
    ended = docker.event in _ENDS or (docker.event == "crash" and not docker.restarting)
    refused = docker.event == "crash" and docker.given_up and docker.error != ""
    return REFUSED if refused else docker.health, docker.looping and not ended


def names(docker: DockerDetails | None) -> tuple[str, str, str]:
    """Name, stack and node of an object: as `ObjectState` has them."""
    return (docker.name, docker.stack, docker.node) if docker is not None else ("", "", "")


def about_objects(event: Event) -> bool:
    """Whether it is about something that is remembered."""
    return event.type in _LISTED
