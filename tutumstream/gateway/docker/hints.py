"""Lines of `GET /events` → hints. The stream is not the truth: a hint only says where to look, and in which order.

Of a line only `Type`, `Action`, `Actor`, `time` and `timeNano` are read: Engine 29 (API 1.52) removed the others.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tutumstream.gateway.docker.facts import Container, Hint
from tutumstream.gateway.docker.identity import is_intermediate
from tutumstream.gateway.docker.reading import NAME_LIMIT, container_id, health_word, integer, read_labels, text

_SYNONYMS: Final = {"died": "die", "remove": "destroy"}
"""Podman's names for Docker's actions."""

_ACTIONS: Final = frozenset(
    {"create", "start", "restart", "kill", "die", "stop", "rename", "update", "destroy", "cleanup"}
    | {"oom", "health_status"}
)
"""What may change something that is told or shown. `exec_*`, `pause` and the like can't."""

_NOT_LABELS: Final = frozenset({"name", "image", "exitCode", "signal", "execID", "oldName"})


_SWARM_KINDS: Final = frozenset({"service", "node"})


class _Actor(msgspec.Struct):
    id: str = msgspec.field(name="ID", default="")
    attributes: dict[str, Any] | None = msgspec.field(name="Attributes", default=None)


class _Line(msgspec.Struct):
    type: str = msgspec.field(name="Type", default="")
    action: str = msgspec.field(name="Action", default="")
    actor: _Actor = msgspec.field(name="Actor", default_factory=_Actor)
    time: int = 0
    time_nano: int = msgspec.field(name="timeNano", default=0)


_line = msgspec.json.Decoder(_Line)


class SwarmHint(msgspec.Struct, frozen=True):
    """Something happened to a service or a node of the swarm: ask its managers. What is said of it may be years old:
    a manager that restarts tells its whole log again."""


def read_hint(line: bytes) -> Hint | SwarmHint | None:
    """The hint in a line of the stream, None where it concerns nothing that is shown.

    Raises:
        ValueError: the line is no event.
    """
    try:
        # RFC 7464 (`application/json-seq`) puts a record separator in front of each value.
        event = _line.decode(line.lstrip(b"\x1e"))
    except RecursionError as problem:
        raise ValueError("nested too deeply") from problem
    attributes = event.actor.attributes or {}
    at = event.time_nano or event.time * 1_000_000_000
    if event.type == "network":
        # A container that can't be started sends neither `start` nor `die`: its network lets go of it, that is all.
        own = container_id(attributes.get("container"))
        known = event.action in ("connect", "disconnect")
        return Hint(container=own, action=event.action, at=at) if own and known else None
    if event.type in _SWARM_KINDS:
        return SwarmHint()
    own = container_id(event.actor.id)
    # `health_status: healthy` is one word and its value.
    word, _, value = event.action.partition(": ")
    action = _SYNONYMS.get(word, word)
    if event.type != "container" or own is None or action not in _ACTIONS:
        return None
    return _container_hint(own, action, value, at, attributes)


def _container_hint(own: str, action: str, value: str, at: int, attributes: Mapping[str, Any]) -> Hint | None:
    labels = read_labels({key: value for key, value in attributes.items() if key not in _NOT_LABELS})
    image = text(attributes.get("image"), NAME_LIMIT)
    if is_intermediate(image, labels):
        return None
    born = None
    if action == "create":
        name = text(attributes.get("name"), NAME_LIMIT)
        born = Container(id=own, name=name, image=image, labels=labels, status="created", created=at, bare=True)
    return Hint(
        container=own,
        action=action,
        at=at,
        signal=integer(attributes.get("signal")) if action == "kill" else None,
        exit_code=integer(attributes.get("exitCode")) if action == "die" else None,
        health=health_word(value) if action == "health_status" else "",
        born=born,
    )
