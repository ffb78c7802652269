"""The scenario's objects: frozen values, replaced whole when something happens. Times are seconds since 1970."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """What a service is made of; stays the same over the whole scenario.

    Attributes:
        port: where its containers listen; `published` on the same port of the node or not at all.
        links: names of the services that it uses.
        size: containers it is deployed with.
    """

    name: str
    image: str
    command: str
    port: int
    protocol: str
    published: bool
    links: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Services that belong together. `doing`: the word of what is being done to it, "" where nothing is."""

    kind: ClassVar = "stack"
    uuid: str
    name: str
    deployed: float
    state: str = "Not Running"
    doing: str = ""
    destroyed: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Containers of one image. `stack` is a uuid; `doing` as in a stack."""

    kind: ClassVar = "service"
    uuid: str
    stack: str
    blueprint: Blueprint
    target: int
    deployed: float
    state: str = "Not running"
    doing: str = ""
    destroyed: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container. `service` and `node` are uuids; its name is the service's with `number`."""

    kind: ClassVar = "container"
    uuid: str
    service: str
    node: str
    number: int
    address: str
    deployed: float
    state: str
    started: float | None = None
    stopped: float | None = None
    destroyed: float | None = None
    exit_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCluster:
    """Nodes of one kind."""

    kind: ClassVar = "nodecluster"
    uuid: str
    name: str
    deployed: float
    state: str = "Empty cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine. `cluster` is a uuid."""

    kind: ClassVar = "node"
    uuid: str
    cluster: str
    address: str
    deployed: float
    last_seen: float
    state: str = "Deployed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that was asked of an object. `subject` is the object's URI, `path` what was called."""

    kind: ClassVar = "action"
    uuid: str
    subject: str
    name: str
    method: str
    path: str
    body: str
    started: float
    state: str
    ended: float | None = None


Object = Stack | Service | Container | NodeCluster | Node | Action


def uri(kind: str, uuid: str) -> str:
    """The resource URI of an object."""
    return f"/api/v1/{kind}/{uuid}/"
