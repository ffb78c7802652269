"""PagerDuty's bodies and answers, for both of its Events APIs. Pure.

Schemas: github.com/PagerDuty/api-schema, `reference/events-v1` and `reference/events-v2`.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from tutumstream.net.http import Answer
from tutumstream.notifiers.answers import by_status, excerpt, json_object, limited
from tutumstream.notifiers.document import document, timestamp
from tutumstream.notifiers.interface import Delivered, Hold, Message, Rejected, Verdict
from tutumstream.notifiers.text import clean, cut
from tutumstream.routing.delivery import Incident

Severity = Literal["critical", "error", "warning", "info"]

SUMMARY_LIMIT: Final = 1024
KEY_LIMIT: Final = 255
SOURCE_LIMIT: Final = 255
BODY_LIMIT: Final = 512_000
"""Bytes. Documented for v2 as 512 KB; v1 gets the same."""

DEFAULT_DESCRIPTION: Final = "Tutum Stream Issue"

_KEY_PROBLEM = re.compile(r"(?:routing|service|integration)[ _]key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Origin:
    """Who pages, as PagerDuty shows it.

    Attributes:
        client, client_url: the monitoring system and a link to it; "" leaves them out.
        severity: of what is triggered; v2 wants one.
    """

    client: str = ""
    client_url: str = ""
    severity: Severity = "critical"


def incident_of(message: Message) -> Incident:
    """What the message does; one that says nothing about incidents opens one of its own."""
    return message.incident or Incident("trigger", message.id)


def v1_body(message: Message, key: str, origin: Origin) -> bytes:
    """A body for `create_event.json`; `client` and `client_url` are allowed with a trigger only."""
    incident = incident_of(message)
    wanted: dict[str, Any] = {
        "service_key": key,
        "event_type": incident.action,
        "incident_key": short_key(incident.key),
        "description": _summary(message),
        "details": document(message.event),
    }
    if incident.action == "trigger":
        wanted.update(_client(origin))
    return _fitted(wanted, wanted, "details")


def v2_body(message: Message, key: str, origin: Origin) -> bytes:
    """A body for `/v2/enqueue`. The same `dedup_key` makes a repeat harmless."""
    incident = incident_of(message)
    payload: dict[str, Any] = {
        "summary": _summary(message),
        "source": cut(message.event.resource_uri or "tutum-stream", SOURCE_LIMIT),
        "severity": origin.severity,
        "timestamp": timestamp(message.event.received_at),
        "custom_details": document(message.event),
    }
    wanted: dict[str, Any] = {
        "routing_key": key,
        "event_action": incident.action,
        "dedup_key": short_key(incident.key),
        "payload": payload,
    }
    if incident.action == "trigger":
        wanted.update(_client(origin))
    return _fitted(wanted, payload, "custom_details")


def short_key(key: str) -> str:
    """The key, or, where it is too long, its start and its SHA-256: the same for the same key, always."""
    if len(key) <= KEY_LIMIT:
        return key
    digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
    return f"{key[: KEY_LIMIT - len(digest) - 1]}-{digest}"


def judge_v1(answer: Answer, now: float) -> Verdict:
    """200 is the success; 403 is v1's word for "slow down", not for "go away"."""
    if answer.status == 200:
        return _taken(answer, "incident_key", now)
    if answer.status == 403:
        return limited(answer, now)
    return _refused(answer, now)


def judge_v2(answer: Answer, now: float) -> Verdict:
    """202 is the success: queued. 200 is taken too, for relays in between that do the work at once."""
    if answer.status in (200, 202):
        return _taken(answer, "dedup_key", now)
    return _refused(answer, now)


def _taken(answer: Answer, name: str, now: float) -> Verdict:
    """A login page has the status of a success, too: the body must say that it is one."""
    said = json_object(answer)
    if said.get("status") == "success":
        found = said.get(name)
        return Delivered(found if isinstance(found, str) else "")
    if not said.get("errors"):
        return by_status(answer, now)
    return _key_refused(answer) or Rejected(
        f"it answered {answer.status}: it does not accept the event", excerpt(answer)
    )


def _refused(answer: Answer, now: float) -> Verdict:
    held = _key_refused(answer) if answer.status == 400 else None
    return held or by_status(answer, now)


def _key_refused(answer: Answer) -> Hold | None:
    """A key that is not taken comes as an error like any broken body, but it stops every message, not this one."""
    errors = json_object(answer).get("errors")
    if isinstance(errors, list) and any(_KEY_PROBLEM.search(str(one)) for one in errors):
        return Hold(f"it answered {answer.status}: it does not take the integration key", excerpt(answer))
    return None


def _summary(message: Message) -> str:
    return cut(clean(message.text).strip() or DEFAULT_DESCRIPTION, SUMMARY_LIMIT)


def _client(origin: Origin) -> Mapping[str, str]:
    return {name: value for name in ("client", "client_url") if (value := getattr(origin, name))}


def _fitted(body: dict[str, Any], holder: dict[str, Any], details: str) -> bytes:
    """The body as JSON; where it is too long, without the details."""
    whole = msgspec.json.encode(body)
    if len(whole) <= BODY_LIMIT:
        return whole
    del holder[details]
    return msgspec.json.encode(body)
