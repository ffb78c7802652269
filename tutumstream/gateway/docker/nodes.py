"""The machines: the engine itself, and the other nodes of its swarm. Pure."""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

import msgspec

from tutumstream.docker_details import NAME_LIMIT, DockerDetails
from tutumstream.gateway.docker import folds
from tutumstream.gateway.docker.facts import Engine, Membership
from tutumstream.gateway.docker.identity import derived, resource_uri
from tutumstream.gateway.docker.swarm.facts import Machine
from tutumstream.gateway.docker.swarm.folds import machine_state
from tutumstream.gateway.platform import Change

DOUBT: Final = 5.0
"""Seconds for which a node may be in a state that its managers don't know: after a restart of a manager all are."""


_AVAILABILITIES: Final = {"drain": "drain", "pause": "pause", "active": "activate"}


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One machine. Times are seconds since 1970.

    Attributes:
        name: the endpoint's; of the other nodes of a swarm, the hostname, and the id until that is known.
        id: the swarm's; "" outside of one.
        destroyed: 0 while it is there.
        doubtful: since when its managers don't know its state; 0 while they do.
    """

    uuid: str
    name: str
    engine: Engine
    state: str
    created: float
    last_seen: float
    id: str = ""
    address: str = ""
    availability: str = "active"
    tags: tuple[str, ...] = ()
    destroyed: float = 0.0
    doubtful: float = 0.0

    @property
    def uri(self) -> str:
        return resource_uri("node", self.uuid)


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """The swarm. Times are seconds since 1970; `destroyed` is 0 while it is there."""

    uuid: str
    id: str
    name: str
    state: str
    created: float
    destroyed: float = 0.0

    @property
    def uri(self) -> str:
        return resource_uri("nodecluster", self.uuid)


def is_settled(member: Membership) -> bool:
    """Whether what an engine says of its part in a swarm is to be believed: not while it starts, or has no leader."""
    return member.state in ("", "active") and not (member.manager and not member.cluster)


class Nodes:
    """The engine of this name as a node, alone or with the rest of its swarm."""

    def __init__(self, endpoint: str, now: float) -> None:
        self.own = Node(
            uuid=derived("node", endpoint),
            name=endpoint,
            engine=Engine(),
            state=folds.DEPLOYED,
            created=now,
            last_seen=now,
        )
        self.others: Final[dict[str, Node]] = {}
        self.cluster: Cluster | None = None
        self.gone: Final[dict[str, Node]] = {}
        self.gone_clusters: Final[dict[str, Cluster]] = {}
        self._endpoint: Final = endpoint
        self._met = False

    def all(self) -> list[Node]:
        """Those that are there."""
        return [self.own, *self.others.values()]

    def find(self, uuid: str) -> Node | None:
        """A node, also one that is gone, by its uuid."""
        return next((node for node in (*self.all(), *self.gone.values()) if node.uuid == uuid), None)

    def at(self, node: str) -> Node:
        """The node of this id of the swarm's; the engine itself where there is none."""
        return self.own if node in ("", self.own.id) else self.others.get(node) or self.gone.get(node) or self.own

    def parents(self, node: Node) -> tuple[str, ...]:
        """A node's parents: its cluster, if it belongs to one."""
        return (self.cluster.uri,) if self.cluster is not None and node.id else ()

    def describe(self, engine: Engine, now: float) -> Iterator[Change]:
        """Take what the engine says of itself. Joining or leaving a swarm makes another node of it."""
        met, self._met = self._met, True
        self.own = msgspec.structs.replace(self.own, engine=engine)
        member = engine.swarm or Membership(state="")
        if not is_settled(member):
            return
        cluster = member.cluster if member.manager else ""
        if cluster != (self.cluster.id if self.cluster is not None else ""):
            yield from self._leave(now)
        if member.node != self.own.id:
            if met:
                yield self._delete(self.own, now)
            yield self._become(member.node, now)
        if cluster and self.cluster is None:
            yield from self._join(cluster, member.cluster_name, now)

    def seen_alive(self, now: float) -> None:
        """The engine answered."""
        self.own = msgspec.structs.replace(self.own, last_seen=now)

    def reach(self, state: str) -> Iterator[Change]:
        """The engine can be reached (`Deployed`) or can't (`Unreachable`); no container changes by that."""
        if self.own.state != state:
            self.own = msgspec.structs.replace(self.own, state=state)
            yield self._change(self.own, "update")
            yield from self._settle()

    def observe(self, machines: Collection[Machine], now: float) -> Iterator[Change]:
        """Take the managers' list of nodes, of which the engine is one."""
        for machine in machines:
            yield from self._own(machine, now) if machine.id == self.own.id else self._other(machine, now)
        listed = {machine.id for machine in machines}
        for node in [one for one in self.others.values() if one.id not in listed]:
            del self.others[node.id]
            yield self._delete(node, now)
        yield from self._settle()

    def recall(
        self,
        own: Node,
        others: Iterable[Node] = (),
        gone: Iterable[Node] = (),
        clusters: Iterable[Cluster] = (),
    ) -> None:
        """Go on from what was told before a restart."""
        self.own, self._met = own, True
        # How long it was doubtful counts from now on: a restart of its managers is a doubt of its own.
        self.others.update({node.id: msgspec.structs.replace(node, doubtful=0.0) for node in others})
        self.gone.update({node.id: node for node in gone})
        for cluster in clusters:
            if cluster.destroyed:
                self.gone_clusters[cluster.uuid] = cluster
            else:
                self.cluster = cluster

    def purge(self, before: float) -> None:
        """Forget what was destroyed before this time."""
        for key in [key for key, node in self.gone.items() if node.destroyed < before]:
            del self.gone[key]
        for key in [key for key, cluster in self.gone_clusters.items() if cluster.destroyed < before]:
            del self.gone_clusters[key]

    def _become(self, node: str, now: float) -> Change:
        known = self.gone.pop(node, None)
        self.own = msgspec.structs.replace(
            self.own,
            uuid=derived("node", "swarm", node) if node else derived("node", self._endpoint),
            id=node,
            created=known.created if known else now,
            address="",
            availability="active",
            tags=(),
        )
        return self._change(self.own, "create")

    def _own(self, machine: Machine, now: float) -> Iterator[Change]:
        told = self.own
        self.own = _described(told, machine, told.engine, now)
        yield from self._told(told, self.own)

    def _other(self, machine: Machine, now: float) -> Iterator[Change]:
        told = self.others.get(machine.id)
        if told is None:
            known = self.gone.pop(machine.id, None)
            told = Node(
                uuid=derived("node", "swarm", machine.id),
                name=machine.id,
                engine=Engine(),
                state=folds.DEPLOYING,
                created=known.created if known else now,
                last_seen=now,
                id=machine.id,
            )
            told = msgspec.structs.replace(_other_described(told, machine, now), state=folds.DEPLOYING)
            self.others[machine.id] = told
            yield self._change(told, "create")
            yield from self._settle()
        node = self.others[machine.id] = _other_described(told, machine, now)
        yield from self._told(told, node)

    def _told(self, before: Node, node: Node) -> Iterator[Change]:
        """That its state has changed; or, where it has not, what its swarm may run there."""
        if node.state != before.state:
            yield self._change(node, "update")
        elif node.availability != before.availability:
            yield self._change(node, "update", _AVAILABILITIES.get(node.availability, ""))

    def _join(self, cluster: str, name: str, now: float) -> Iterator[Change]:
        uuid = derived("nodecluster", cluster)
        known = self.gone_clusters.pop(uuid, None)
        self.cluster = Cluster(
            uuid=uuid,
            id=cluster,
            name=name or "swarm",
            state=folds.cluster_state([self.own.state]),
            created=known.created if known else now,
        )
        yield Change(type="nodecluster", action="create", state=self.cluster.state, resource_uri=self.cluster.uri)

    def _leave(self, now: float) -> Iterator[Change]:
        if self.cluster is None:
            return
        for node in list(self.others.values()):
            del self.others[node.id]
            yield self._delete(node, now)
        cluster = msgspec.structs.replace(self.cluster, state=folds.TERMINATED, destroyed=now)
        self.gone_clusters[cluster.uuid], self.cluster = cluster, None
        yield Change(type="nodecluster", action="delete", state=cluster.state, resource_uri=cluster.uri)

    def _settle(self) -> Iterator[Change]:
        if self.cluster is None:
            return
        state = folds.cluster_state([node.state for node in self.all()])
        if state != self.cluster.state:
            self.cluster = msgspec.structs.replace(self.cluster, state=state)
            yield Change(type="nodecluster", action="update", state=state, resource_uri=self.cluster.uri)

    def _delete(self, node: Node, now: float) -> Change:
        self.gone[node.id] = msgspec.structs.replace(node, state=folds.TERMINATED, destroyed=now)
        return self._change(self.gone[node.id], "delete")

    def _change(self, node: Node, action: str, event: str | None = None) -> Change:
        lost = node.state == folds.UNREACHABLE
        if event is None:
            event = (
                "unreachable" if lost else "reachable" if node.state == folds.DEPLOYED and action == "update" else ""
            )
        details = DockerDetails(
            event=event,
            name=node.name[:NAME_LIMIT],
            node=node.name[:NAME_LIMIT],
            expected=not lost,
            availability=node.availability if node.id else "",
        )
        return Change(
            type="node",
            action=action,
            state=node.state,
            resource_uri=node.uri,
            parents=self.parents(node),
            docker=details,
        )


def _described(node: Node, machine: Machine, engine: Engine, now: float) -> Node:
    state = machine_state(machine)
    doubtful = 0.0 if state is not None else node.doubtful or now
    if state is None:
        state = folds.UNREACHABLE if now - doubtful >= DOUBT else node.state
    return msgspec.structs.replace(
        node,
        engine=engine,
        state=state,
        doubtful=doubtful,
        address=machine.address,
        availability=machine.availability,
        tags=tuple(f"{key}={value}" if value else key for key, value in machine.labels.items()),
        last_seen=now if state == folds.DEPLOYED else node.last_seen,
    )


def _other_described(node: Node, machine: Machine, now: float) -> Node:
    engine = Engine(hostname=machine.hostname, version=machine.version, cpus=machine.cpus, memory=machine.memory)
    named = msgspec.structs.replace(node, name=machine.hostname or node.name)
    return _described(named, machine, engine, now)
