"""What happened: one frozen value per event, decoded once at the door.

The stream has no ids, no timestamps and no replay (protocol A1, A5), so both are given at receipt. Types, states and
actions that nobody has heard of pass through; only a message without the shape of an event is `Malformed`.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from tutumstream.docker_details import ABSENT, DockerDetails, read_details
from tutumstream.ids import mint

OBJECT_TYPES: Final = frozenset({"stack", "service", "container", "nodecluster", "node", "action"})
"""The types of Tutum's objects (protocol A4)."""

LISTED_TYPES: Final = ("nodecluster", "node", "stack", "service", "container")
"""Those with a state of their own that the REST API lists, wholes before their parts. An action only comes and goes."""

GONE: Final = "delete"
"""The action after which there is no such object any more."""

TERMINATED: Final = "Terminated"
"""The last state of everything that has one (protocol A6)."""

NOTIFICATION_TYPES: Final = frozenset({"user-notification", "user-notifications"})

PARENT_TYPES: Final = ("stack", "service", "node", "nodecluster")

EXCERPT_LIMIT: Final = 200
"""Characters of a message that can't be understood that a log line may show."""

_UUID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of the stream, or of our own connection to it (`type` is then `stream`).

    Attributes:
        id: unique and stable: the stream's own `uuid` where it sends a usable one, else a ULID minted at receipt.
        received_at: seconds since 1970, when it was read from the wire.
        type: `container`, `service`, …; always lower case.
        action: `create`, `update`, `delete`; for `stream`: `open`, `close`, `error`, `gap`, `caught-up`.
        state: the object's state after the change.
        resource_uri: `/api/v1/<type>/<uuid>/`; empty where the type has none.
        parents: resource URIs, in the order of the wire. Use `parent` to find one.
        uuid: the stream's own id, empty in Tutum's form (protocol A12).
        datetime: the stream's own time, as sent, empty in Tutum's form.
        message: plain words that came with it: why a connection closed, what an error said.
        synthetic: nobody sent it: it was found out after a gap by comparing what is with what was known.
        missed_from, missed_to: seconds since 1970; in between nobody listened, and there it happened. 0.0 otherwise.
        docker: what Docker knows of it; None where the stream does not say.
    """

    id: str
    received_at: float
    type: str
    action: str = ""
    state: str = ""
    resource_uri: str = ""
    parents: tuple[str, ...] = ()
    uuid: str = ""
    datetime: str = ""
    message: str = ""
    synthetic: bool = False
    missed_from: float = 0.0
    missed_to: float = 0.0
    docker: DockerDetails | None = None

    def parent(self, kind: str) -> str:
        """The URI of the first parent of this type, "" where there is none.

        The order of `parents` means nothing (protocol A7), so the type is read from the URI's last segment but one,
        which holds for Docker Cloud's longer paths too.
        """
        mark = f"/{kind}/"
        for uri in self.parents:
            if mark not in uri:
                continue  # as for most; taking it apart costs more
            segments = uri.rstrip("/").rsplit("/", 2)
            if len(segments) == 3 and segments[1] == kind:
                return uri
        return ""

    def parents_by_type(self) -> dict[str, str]:
        """What `parent` finds, for all of `PARENT_TYPES` in one pass; those without a parent are left out."""
        found: dict[str, str] = {}
        for uri in self.parents:
            segments = uri.rstrip("/").rsplit("/", 2)
            if len(segments) == 3 and segments[1] in PARENT_TYPES:
                found.setdefault(segments[1], uri)
        return found

    def view(self) -> dict[str, Any]:
        """What conditions and templates see as `event`: every name always there, those of `docker` too; `parent.<type>`
        is a URI or ""."""
        return {
            "id": self.id,
            "received_at": self.received_at,
            "type": self.type,
            "action": self.action,
            "state": self.state,
            "resource_uri": self.resource_uri,
            "parents": list(self.parents),
            "parent": dict.fromkeys(PARENT_TYPES, "") | self.parents_by_type(),
            "uuid": self.uuid,
            "datetime": self.datetime,
            "message": self.message,
            "synthetic": self.synthetic,
            "missed_from": self.missed_from,
            "missed_to": self.missed_to,
            "docker": ABSENT if self.docker is None else self.docker.view(),
        }


class Authenticated(msgspec.Struct, frozen=True):
    """The stream's `auth` message: the credentials were taken."""


class Refused(msgspec.Struct, frozen=True):
    """The stream's `error` message with `UNAUTHORIZED`: the credentials were not taken (protocol A3)."""


class Malformed(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is no event.

    Attributes:
        reason: what is wrong with it, in words.
        raw: the message as it came.
    """

    received_at: float
    reason: str
    raw: bytes

    @property
    def excerpt(self) -> str:
        """The start of the message, escaped: at most `EXCERPT_LIMIT` printable ASCII characters."""
        return escaped(self.raw[:EXCERPT_LIMIT].decode("utf-8", "replace"), EXCERPT_LIMIT)


Decoded = Event | Authenticated | Refused | Malformed


class _Detail(msgspec.Struct):
    """`data` of an `error` or a `user-notification`; only the one field that is known of each (protocol A3, E)."""

    error_message: str = msgspec.field(name="errorMessage", default="")
    message: str = ""


_NOTHING: Final = msgspec.Raw()


class _Envelope(msgspec.Struct):
    """The wire's form. Fields that are missing or null get told apart from mistyped ones, which msgspec refuses."""

    type: str
    action: str | None = None
    state: str | None = None
    resource_uri: str | None = None
    parents: tuple[str, ...] | None = None
    uuid: str | None = None
    datetime: str | None = None
    docker: msgspec.Raw = _NOTHING


class _Notice(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")


_envelope = msgspec.json.Decoder(_Envelope)
_notice = msgspec.json.Decoder(_Notice)
_detail = msgspec.json.Decoder(_Detail)

# What msgspec raises on bytes from outside: ValueError covers its own errors and bad UTF-8.
_UNREADABLE = (ValueError, RecursionError)


def escaped(text: str, limit: int) -> str:
    """The text on one line, printable ASCII only, at most `limit` characters long."""
    shown = text[: limit + 1].encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def decode(raw: bytes, received_at: float, new_id: Callable[[], str] = mint) -> Decoded:
    """Read one text message of the stream. Never raises.

    Args:
        raw: the message's payload; UTF-8 is checked here too.
        received_at: seconds since 1970.
        new_id: mints the id where the message brings none.
    """
    try:
        wire = _envelope.decode(raw)
    except _UNREADABLE as problem:
        return Malformed(received_at=received_at, reason=_words(problem), raw=raw)
    kind = wire.type if wire.type in OBJECT_TYPES else wire.type.lower()
    if kind in OBJECT_TYPES:
        return _object(wire, kind, raw, received_at, new_id)
    if kind == "auth":
        return Authenticated()
    if kind == "error" or kind in NOTIFICATION_TYPES:
        return _notification(kind, raw, received_at, new_id)
    return Malformed(received_at=received_at, reason=f"unknown type {escaped(wire.type, 40)!r}", raw=raw)


def _object(wire: _Envelope, kind: str, raw: bytes, received_at: float, new_id: Callable[[], str]) -> Event | Malformed:
    if wire.action is None or wire.state is None or wire.resource_uri is None:
        missing = [name for name in ("action", "state", "resource_uri") if getattr(wire, name) is None]
        return Malformed(received_at=received_at, reason=f"without {', '.join(missing)}", raw=raw)
    own = wire.uuid or ""
    return Event(
        id=own if own and _UUID.fullmatch(own) else new_id(),
        received_at=received_at,
        type=kind,
        action=wire.action,
        state=wire.state,
        resource_uri=wire.resource_uri,
        parents=wire.parents or (),
        uuid=own,
        datetime=wire.datetime or "",
        docker=None if wire.docker is _NOTHING else read_details(wire.docker),
    )


def _notification(kind: str, raw: bytes, received_at: float, new_id: Callable[[], str]) -> Event | Refused:
    try:
        data = _notice.decode(raw).data
        detail = _detail.decode(data)
        text = detail.error_message or detail.message
    except _UNREADABLE:
        # Nobody knows the shape of these (protocol G): whatever came is kept as it is.
        text = raw.decode("utf-8", "replace")
    if kind == "error" and text == "UNAUTHORIZED":
        return Refused()
    return Event(id=new_id(), received_at=received_at, type=kind, message=text)


def _words(problem: Exception) -> str:
    if isinstance(problem, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(problem, RecursionError):
        return "nested too deeply"
    return escaped(str(problem), 120)
