"""An event as a JSON object, the same for every destination that takes one."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from tutumstream.event import Event


def document(event: Event) -> dict[str, Any]:
    """Tutum's five keys always, our id and time of receipt, and the rest where the stream sent it.

    Times are RFC 3339 in UTC, with milliseconds.
    """
    found: dict[str, Any] = {
        "id": event.id,
        "received_at": timestamp(event.received_at),
        "type": event.type,
        "action": event.action,
        "state": event.state,
        "resource_uri": event.resource_uri,
        "parents": list(event.parents),
    }
    if event.uuid:
        found["uuid"] = event.uuid
    if event.datetime:
        found["datetime"] = event.datetime
    if event.message:
        found["message"] = event.message
    if event.docker is not None:
        found["docker"] = event.docker.document()
    if event.synthetic:
        found["synthetic"] = True
    if event.missed_to:
        found["missed_from"] = timestamp(event.missed_from)
        found["missed_to"] = timestamp(event.missed_to)
    return found


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as `2015-09-01T12:00:00.000Z`."""
    milliseconds = int(seconds * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
