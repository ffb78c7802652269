"""Many messages in one, where one by one they would come hours late. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from tutumstream.docker_details import sentence
from tutumstream.event import Event


def digest(events: Sequence[Event]) -> str:
    """One text for many events, in plain words without markup: `37 container events in 60 s: 20 created, 17 updated`.

    Args:
        events: at least one, in the order of their receipt.
    """
    first, last = events[0].received_at, events[-1].received_at
    seconds = max(1, round(last - first))
    kinds = Counter(event.type for event in events)
    if len(kinds) == 1:
        (kind,) = kinds
        heading = f"{_events(len(events), kind)} in {seconds} s: {_actions(events)}"
    else:
        parts = [
            f"{_events(number, kind)} ({_actions([event for event in events if event.type == kind])})"
            for kind, number in kinds.most_common()
        ]
        heading = f"{len(events)} events in {seconds} s: {', '.join(parts)}"
    return f"{heading}\nOldest {_line(events[0])}\nNewest {_line(events[-1])}"


def _events(number: int, kind: str) -> str:
    return f"{number} {kind} event{'' if number == 1 else 's'}"


def _actions(events: Sequence[Event]) -> str:
    counted = Counter(event.action for event in events)
    return ", ".join(f"{number} {action}d" for action, number in counted.most_common())


def _line(event: Event) -> str:
    at = datetime.fromtimestamp(event.received_at, UTC)
    what = f"{event.type} {event.resource_uri} {event.state}"
    if event.docker is not None and event.docker.event:
        what = sentence(event.docker)
    return f"{at:%H:%M:%S} UTC: {what}"
