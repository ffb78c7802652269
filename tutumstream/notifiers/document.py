"""An event as a JSON object, the same for every destination that takes one."""

from datetime import UTC, datetime
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
    extra = {"uuid": event.uuid, "datetime": event.datetime, "message": event.message}
    found.update({name: value for name, value in extra.items() if value})
    return found


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as `2015-09-01T12:00:00.000Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
