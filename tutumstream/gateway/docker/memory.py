"""What is kept of an engine's objects over a restart of the gateway, and how it goes on from there. Pure.

What is kept is what was told: a first look at Docker then tells what has changed, as after every other gap. Nothing is
kept that only describes a container (its command line, and labels that do not say where it belongs, may hold secrets):
that is read from Docker again.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tutumstream.gateway.docker import folds
from tutumstream.gateway.docker.actions import Action
from tutumstream.gateway.docker.facts import Container, Options
from tutumstream.gateway.docker.groups import Orders, Service, Stack
from tutumstream.gateway.docker.identity import LABELS
from tutumstream.gateway.docker.known import Known
from tutumstream.gateway.docker.nodes import Cluster, Node
from tutumstream.gateway.docker.registry import Registry
from tutumstream.gateway.docker.swarm.facts import Ordered
from tutumstream.gateway.saving import Row

_KEPT_LABELS: Final = LABELS | {"com.docker.swarm.task.id", "exitCode", "signal"}
"""The last two for their names: what an event says under them is not to be believed."""

_LAST_SEEN: Final = 60.0
"""Seconds to which that is exact after a restart: it changes with every ping, and is not worth a write."""


class About(msgspec.Struct, frozen=True):
    """Whose objects these are: the same name may be given to another engine."""

    host: str


KINDS: Final[Mapping[str, Any]] = {
    "about": About,
    "container": Known,
    "service": Service,
    "stack": Stack,
    "orders": Orders,
    "own node": Node,
    "node": Node,
    "gone node": Node,
    "cluster": Cluster,
    "action": Action,
}
"""The kinds of rows. Whoever changes the form of one, or of a part of it, raises `state_file.VERSION`."""


class EngineMemory:
    """The lasting part of a registry.

    Args:
        host: the engine, as in DOCKER_HOST. What is kept of another one is not taken for its own.
        now: seconds since 1970.

    Attributes:
        name: under which it is kept.
        begun: what the registry holds was told, or was there from the first; before that it is not worth keeping.
    """

    def __init__(self, name: str, host: str, registry: Registry, now: Callable[[], float]) -> None:
        self.name: Final = f"engine {name}"
        self.begun = False
        self._host = host
        self._registry = registry
        self._now = now

    def rows(self) -> Mapping[Row, Any] | None:
        """All that is to be kept now; None for what was kept before."""
        if not self.begun:
            return None
        registry, groups, nodes = self._registry, self._registry.groups, self._registry.nodes
        clusters = (*nodes.gone_clusters.values(), *((nodes.cluster,) if nodes.cluster is not None else ()))
        own = msgspec.structs.replace(nodes.own, last_seen=nodes.own.last_seen // _LAST_SEEN * _LAST_SEEN)
        rows: dict[Row, Any] = {("about", ""): About(self._host), ("own node", ""): own}
        rows.update({("container", key): known for key, known in registry.containers.items()})
        rows.update({("service", key): service for key, service in groups.services.items()})
        rows.update({("stack", key): stack for key, stack in groups.stacks.items()})
        rows.update({("orders", key): orders for key, orders in groups.orders.items()})
        rows.update({("node", key): node for key, node in nodes.others.items()})
        rows.update({("gone node", key): node for key, node in nodes.gone.items()})
        rows.update({("cluster", cluster.uuid): cluster for cluster in clusters})
        rows.update({("action", key): action for key, action in registry.actions.known.items()})
        return rows

    def written(self, value: Any) -> bytes:
        """One row as it is kept."""
        if isinstance(value, Known):
            value = msgspec.structs.replace(value, container=_without_secrets(value.container))
        elif isinstance(value, Orders) and value.service is not None:
            value = msgspec.structs.replace(value, service=_as_ordered(value.service))
        return msgspec.json.encode(value)

    def understand(self, rows: Mapping[Row, bytes]) -> Callable[[], object]:
        """What makes the registry go on from there, silently. Raises ValueError where that can't be done."""
        found: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        for (kind, key), value in rows.items():
            if kind not in found:
                raise ValueError(f"nobody knows what {kind!r} is")
            found[kind][key] = msgspec.json.decode(value, type=KINDS[kind])
        about = found["about"].get("")
        if about is None or about.host != self._host:
            return bool
        if "" not in found["own node"]:
            raise ValueError("the engine itself is missing")
        _check(found)
        return lambda: self._recall(found)

    def _recall(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        registry = self._registry
        registry.nodes.recall(
            found["own node"][""], found["node"].values(), found["gone node"].values(), found["cluster"].values()
        )
        registry.groups.recall(found["service"].values(), found["stack"].values(), found["orders"])
        registry.actions.recall(
            sorted(found["action"].values(), key=lambda one: (one.started, one.uuid)),
            [service.uri for service in found["service"].values() if service.state == folds.REDEPLOYING],
        )
        # Those that are there first, for their age; the others by their end.
        for known in sorted(found["container"].values(), key=lambda one: (one.destroyed, one.container.created)):
            registry.recall(known, self._now())
        self.begun = True


def _without_secrets(container: Container) -> Container:
    labels = {name: value for name, value in container.labels.items() if name in _KEPT_LABELS}
    return msgspec.structs.replace(container, labels=labels, options=Options(), bare=True)


def _as_ordered(service: Ordered) -> Ordered:
    return msgspec.structs.replace(service, labels={}, options=Options())


def _check(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises ValueError where one row speaks of another that is not there: no state that was written is like that."""
    services = {key for key, service in found["service"].items() if not service.destroyed}
    stacks = {key for key, stack in found["stack"].items() if not stack.destroyed}
    for key, known in found["container"].items():
        if known.container.id != key or known.state == "" or (known.destroyed > 0) != (known.state == folds.TERMINATED):
            raise ValueError("a container is not what it is kept as")
        if not known.destroyed and known.place.service not in services:
            raise ValueError("the service of a container is missing")
    for key in services:
        stack = found["service"][key].stack
        if stack is not None and stack not in stacks:
            raise ValueError("the stack of a service is missing")
    if not found["orders"].keys() <= services:
        raise ValueError("a service that was ordered is missing")
