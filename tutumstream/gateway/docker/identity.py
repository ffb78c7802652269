"""Who is who: from Docker's names to Tutum's objects, the same after every restart.

Identities are derived, never stored: a uuid depends on nothing but the endpoint's name and Docker's own names. Two
engines may have the same ID (both read it from one file; cloned machines too), so the name of the endpoint is part of
everything that is not unique by itself.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from tutumstream.gateway.docker.facts import Container

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "tutumstream/docker")

_COMPOSE: Final = "com.docker.compose."
_SWARM: Final = "com.docker.swarm."
_NAMESPACE_LABEL: Final = "com.docker.stack.namespace"

LABELS: Final = frozenset(
    {
        *(_COMPOSE + name for name in ("project", "service", "oneoff")),
        *(_SWARM + name for name in ("service.id", "service.name")),
        _NAMESPACE_LABEL,
    }
)
"""The labels that say where a container belongs; no other one does."""

# Whatever is a name of one of these may be shown on one line.
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,255}")

_NICKNAME_LIMIT: Final = 255

# docker-compose renames a container that it replaces to this, and Compose v2 names the new one so until it is ready.
_RENAMED = re.compile(r"[0-9a-f]{12}_(?=.)")

_IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")

_SWARM_ID = re.compile(r"[0-9a-z]{25}")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a container belongs.

    Attributes:
        service: the uuid of its service.
        service_name: in words.
        stack: the uuid of the service's stack, None where it has none.
        stack_name: "" where it has none.
        by_swarm: a swarm made it, with its service and its stack.
    """

    service: str
    service_name: str
    stack: str | None = None
    stack_name: str = ""
    by_swarm: bool = False


@lru_cache(maxsize=4096)
def derived(kind: str, *key: str) -> str:
    """The uuid of an object: always the same for the same key. Every hint asks for a few, mostly for the same again.

    It has the look of version 4, because Tutum's clients take every other uuid for a name (protocol B1). NUL can't be
    in a key's parts, so two keys never run into one.
    """
    return str(UUID(bytes=uuid5(_NAMESPACE, "\0".join((kind, *key))).bytes, version=4))


def resource_uri(kind: str, uuid: str) -> str:
    return f"/api/v1/{kind}/{uuid}/"


def swarm_place(service: str, name: str, stack: str, cluster: str) -> Place:
    """The place of a swarm's service and its containers.

    Args:
        service: its id.
        stack: the name of its stack, "" where it has none.
        cluster: the id of the swarm; of one whose managers can't be asked, the name of the endpoint.
    """
    return Place(
        service=derived("service", "swarm", service),
        service_name=name,
        stack=derived("stack", "swarm", cluster, stack) if stack else None,
        stack_name=stack,
        by_swarm=True,
    )


def is_task(labels: Mapping[str, str]) -> bool:
    """A swarm made it."""
    return _SWARM_ID.fullmatch(swarm_service(labels)) is not None


def swarm_service(labels: Mapping[str, str]) -> str:
    """The swarm's id of the service that it was made for; "" outside of a swarm."""
    return labels.get(_SWARM + "service.id", "")


def place_of(container: Container, endpoint: str, cluster: str = "") -> Place:
    """The service and the stack of a container.

    A Compose project is a stack, and each of its services a service; those of a swarm are what they are. Everything
    else is a service of its own, named as the container; `docker compose run` too, but within its project.

    Args:
        cluster: the id of the swarm, "" where it is not known.
    """
    if is_task(container.labels):
        service = container.labels[_SWARM + "service.id"]
        name = _named(container.labels, _SWARM + "service.name") or service
        return swarm_place(service, name, _named(container.labels, _NAMESPACE_LABEL), cluster or endpoint)
    project = _label(container.labels, "project")
    service = _label(container.labels, "service")
    stack = derived("stack", "compose", endpoint, project) if project else None
    if project and service and not _is_oneoff(container.labels):
        return Place(
            service=derived("service", "compose", endpoint, project, service),
            service_name=service,
            stack=stack,
            stack_name=project,
        )
    name = _RENAMED.sub("", container.name, count=1) or container.id[:12]
    return Place(
        service=derived("service", "container", endpoint, project, name),
        service_name=name,
        stack=stack,
        stack_name=project,
    )


def slot_of(container: Container, place: Place) -> str:
    """The place in a swarm's service in which tasks follow each other; "" for all that is no task."""
    return f"{place.service}/{_task_place(container)[:64]}" if is_task(container.labels) else ""


def _task_place(container: Container) -> str:
    # `web.1.lo7098fc0cw2kmct08ujhbiwk`; of a global service the node's id stands in the middle.
    parts = container.name.rsplit(".", 2)
    return parts[1] if len(parts) == 3 else ""


def nickname(container: Container, place: Place) -> str:
    """What people call it: `web-2`, where Compose named it `shop_web_2` or `shop-web-2`, or a swarm `shop_web.2.…`;
    else its name."""
    if is_task(container.labels):
        service = service_nickname(place.service_name, place.stack_name)
        number = _task_place(container)
        return (f"{service}-{number}" if number.isascii() and number.isdigit() else service)[:_NICKNAME_LIMIT]
    own = _RENAMED.sub("", container.name, count=1)
    for separator in "-_":
        start = f"{place.stack_name}{separator}{place.service_name}{separator}"
        number = own.removeprefix(start)
        if place.stack_name and number != own and number.isascii() and number.isdigit():
            return f"{place.service_name}-{number}"[:_NICKNAME_LIMIT]
    return own if _NAME.fullmatch(own) else container.id[:12]


def service_nickname(name: str, stack: str) -> str:
    """What people call a service: `web`, where a swarm has it as `shop_web` of the stack `shop`."""
    return (name.removeprefix(f"{stack}_") if stack else name) or name


def is_being_replaced(container: Container) -> bool:
    """Compose is about to put another container in its place, or it in another's."""
    return _RENAMED.match(container.name) is not None and bool(_label(container.labels, "project"))


def is_intermediate(image: str, labels: Mapping[str, str]) -> bool:
    """One of the short-lived containers in which the classic `docker build` runs its steps."""
    return _IMAGE_ID.fullmatch(image) is not None and not _label(labels, "project")


def _label(labels: Mapping[str, str], name: str) -> str:
    return _named(labels, _COMPOSE + name)


def _named(labels: Mapping[str, str], name: str) -> str:
    value = labels.get(name, "")
    return value if _NAME.fullmatch(value) else ""


def _is_oneoff(labels: Mapping[str, str]) -> bool:
    return labels.get(_COMPOSE + "oneoff", "").lower() == "true"
