"""What comes live around a comparison, so that nothing is told twice and nothing too late. Pure."""

from collections.abc import Iterable
from datetime import datetime
from math import inf
from typing import Final

from tutumstream.docker_details import DockerDetails
from tutumstream.event import GONE, LISTED_TYPES, TERMINATED, Event

MOST: Final = 100_000
"""Objects that may be heard of during one comparison; where it takes that long, it is begun again."""

ECHO_SECONDS: Final = 60.0
"""For so long after a change was told as missed its own event may still come, from a server that is slow to send it."""

_LISTED: Final = frozenset(LISTED_TYPES)

_STATE_STAYS: Final = frozenset({"unhealthy", "healthy", "recovery", "oom", "rename"})
"""What Docker tells of a container whose state is what it was: an event of its own, and no echo of that state."""


class Live:
    """Hears each live event before it goes on.

    Attributes:
        heard: the objects that were heard of since `listen`.
        busy: whether events have to be shown to `admits` at all.
    """

    def __init__(self) -> None:
        self.heard: set[str] = set()
        self.busy = False
        self._late: dict[str, tuple[float, Event]] = {}
        self._opened_at = 0.0
        self._listening = False
        self._told: dict[str, Event] = {}
        self._told_until = 0.0

    def opened(self, at: float) -> None:
        """The stream is there, perhaps not for the first time since it was lost. Until the comparison is over, what
        comes of earlier times is late."""
        self._opened_at = at
        self.busy = True

    def late(self, since: float) -> dict[str, Event]:
        """What happened since then and before the stream was there, and the server told by itself: of each object the
        last event, by URI. That one is gone happened then too where it was only found out."""
        return {uri: event for uri, (happened, event) in self._late.items() if happened >= since}

    def listen(self) -> None:
        """A list is about to be asked for: what is heard of an object from now on is newer than that."""
        self.heard = set()
        self._listening = self.busy = True

    @property
    def too_much(self) -> bool:
        """More objects were heard of than can be remembered."""
        return len(self.heard) > MOST

    def told(self, changes: Iterable[Event], now: float) -> None:
        """The comparison is over; these were told as missed."""
        self._late = {}
        self._opened_at = 0.0
        self._told = {event.resource_uri: event for event in changes}
        self._told_until = now + ECHO_SECONDS
        self.silence()

    def silence(self) -> None:
        """No comparison is under way."""
        self.heard = set()
        self._listening = False
        self.busy = bool(self._told or self._opened_at)

    def admits(self, event: Event) -> bool:
        """Whether this live event is to be told; False for the belated event of a change that was told as missed."""
        if event.type not in _LISTED:
            return True
        if self._listening and not self.too_much:
            self.heard.add(event.resource_uri)
        if self._opened_at and len(self._late) < MOST:
            happened = _when(event)
            if happened < self._opened_at or _found_gone(event):
                self._late[event.resource_uri] = happened, event
        return not self._echoes(event)

    def _echoes(self, event: Event) -> bool:
        if event.received_at >= self._told_until:
            self._told = {}
            self.busy = self._listening or bool(self._opened_at)
            return False
        told = self._told.get(event.resource_uri)
        if told is None:
            return False
        if told.action == GONE:
            # Its end may come in two events, and nothing else can come of it any more.
            return event.action == GONE or event.state == TERMINATED
        del self._told[event.resource_uri]
        return event.state == told.state and event.action != GONE and not _says_more(event, told)


def _when(event: Event) -> float:
    """Seconds since 1970, by the engine's clock; infinity where nobody says it."""
    try:
        return datetime.fromisoformat(event.docker.time).timestamp() if event.docker is not None else inf
    except ValueError:
        return inf


def _found_gone(event: Event) -> bool:
    """Our own gateway knows when something was removed, unless it was away too."""
    return event.docker is not None and event.docker.event == "remove" and not event.docker.time


def _says_more(event: Event, told: Event) -> bool:
    """Whether Docker knows something of it that is not in what was told."""
    now, before = event.docker or DockerDetails(), told.docker or DockerDetails()
    if now.event == before.event:
        return (now.given_up and not before.given_up) or now.error not in ("", before.error)
    # A loop that a swarm gives up, or that ends as its service is removed, ends after the container did.
    over = now.event == "stop" and now.looping
    return over or now.event in _STATE_STAYS or now.error not in ("", before.error)
