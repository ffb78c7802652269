"""The REST API's objects, from what the registry knows. Pure.

Every field of protocol B4 is there, and what B5 finds indispensable is never null. Environment variables are the one
thing that is never served: they are where containers keep their secrets.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from tutumstream.gateway.docker import folds, runs
from tutumstream.gateway.docker.actions import Action
from tutumstream.gateway.docker.facts import Container, Options, Port
from tutumstream.gateway.docker.groups import Orders, Service, Stack
from tutumstream.gateway.docker.identity import resource_uri
from tutumstream.gateway.docker.known import Known
from tutumstream.gateway.docker.nodes import Cluster, Node
from tutumstream.gateway.docker.registry import Registry
from tutumstream.gateway.docker.swarm.facts import GLOBAL, Ordered
from tutumstream.gateway.platform import Resource

_SIGNALS: Final = {1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def tutum_date(seconds: float) -> str | None:
    """A time as Tutum writes it, in UTC and in English whatever the locale (protocol B1); None for 0."""
    if seconds <= 0:
        return None
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at:%Y %H:%M:%S} +0000"


def list_resources(registry: Registry, kind: str) -> list[Resource]:
    """All objects of a kind, the oldest first; [] for a kind that an engine does not have."""
    groups = registry.groups
    if kind == "container":
        known = sorted(registry.containers.values(), key=lambda one: (one.container.created, one.container.id))
        return [_container(registry, one) for one in known]
    if kind == "service":
        return [_service(registry, one) for one in sorted(groups.services.values(), key=_age)]
    if kind == "stack":
        return [_stack(registry, one) for one in sorted(groups.stacks.values(), key=_age)]
    if kind == "node":
        nodes = (*registry.nodes.all(), *registry.nodes.gone.values())
        return [_node(registry, one) for one in sorted(nodes, key=lambda one: (one.created, one.uuid))]
    if kind == "nodecluster":
        return [_cluster(registry, one) for one in _clusters(registry)]
    return [_action(one) for one in registry.actions.known.values()] if kind == "action" else []


def get_resource(registry: Registry, kind: str, uuid: str) -> Resource | None:
    """One object, None where there is none."""
    if kind == "container":
        known = registry.find(uuid)
        return _container(registry, known) if known else None
    if kind == "service":
        service = registry.groups.services.get(uuid)
        return _service(registry, service) if service else None
    if kind == "stack":
        stack = registry.groups.stacks.get(uuid)
        return _stack(registry, stack) if stack else None
    if kind == "node":
        node = registry.nodes.find(uuid)
        return _node(registry, node) if node else None
    if kind == "nodecluster":
        return next((_cluster(registry, one) for one in _clusters(registry) if one.uuid == uuid), None)
    action = registry.actions.known.get(uuid) if kind == "action" else None
    return _action(action) if action else None


def _age(one: Service | Stack) -> tuple[float, str, str]:
    return (one.created, one.name, one.uuid)


def _container(registry: Registry, known: Known) -> Resource:
    container, node = known.container, registry.nodes.at(known.machine)
    host = node.engine.hostname
    stopped = known.state not in (folds.STARTING, folds.RUNNING, folds.STOPPING)
    exit_code = container.exit_code if stopped else None
    return {
        **_options(container),
        "uuid": known.uuid,
        "resource_uri": known.uri,
        "docker_id": container.id,
        "name": container.name,
        "state": known.state,
        "node": node.uri,
        "service": resource_uri("service", known.place.service),
        "public_dns": host,
        "private_ip": container.private_ip,
        "synchronized": True,
        "exit_code": exit_code,
        "exit_code_msg": _exit_message(exit_code, container.error) if stopped else None,
        "deployed_datetime": tutum_date(container.created / 1e9),
        "started_datetime": tutum_date(container.started / 1e9),
        "stopped_datetime": tutum_date(container.finished / 1e9) if stopped else None,
        "destroyed_datetime": tutum_date(known.destroyed),
        "container_ports": [{**_port(port, host), "uri_protocol": port.protocol} for port in container.ports],
        "linked_to_container": [],
        "last_metric": None,
        # As events carry it, for who missed them.
        "docker": runs.as_it_is(known, node.name).document(),
    }


def _service(registry: Registry, service: Service) -> Resource:
    members = [registry.containers[key] for key in registry.groups.containers_of(service.uuid)]
    newest = max((one.container for one in members), key=lambda one: one.created, default=None)
    states = [one.state for one in members]
    host = registry.node.engine.hostname
    over = service.state in (folds.STOPPED, folds.TERMINATED)
    ports = {_port_key(port): port for one in members for port in one.container.ports}
    orders = registry.groups.orders.get(service.uuid)
    return {
        **_options(newest or _NOTHING),
        "uuid": service.uuid,
        "resource_uri": service.uri,
        "name": service.name,
        "nickname": service.name,
        "state": service.state,
        "stack": service.parents[0] if service.parents else None,
        "public_dns": host,
        "synchronized": True,
        # Without a swarm nobody says how many there should be.
        "target_num_containers": len(members),
        "current_num_containers": len(members),
        "running_num_containers": states.count(folds.RUNNING),
        "stopped_num_containers": states.count(folds.STOPPED),
        "containers": [one.uri for one in members],
        "deployed_datetime": _moment(members, lambda one: one.created, min) or tutum_date(service.created),
        "started_datetime": _moment(members, lambda one: one.started, max),
        "stopped_datetime": _moment(members, lambda one: one.finished, max) if over else None,
        "destroyed_datetime": tutum_date(service.destroyed),
        "container_ports": [_port(port, host) for port in ports.values()],
        "calculated_envvars": [],
        "linked_to_service": [],
        "linked_from_service": [],
        "tags": [],
        "autoredeploy": False,
        "sequential_deployment": False,
        "deployment_strategy": "EMPTIEST_NODE",
        "docker": {
            **registry.groups.about(service).document(),
            "restarting": any(one.container.status == "restarting" for one in members),
        },
        **(_ordered(orders, host) if orders is not None else {}),
    }


def _ordered(orders: Orders, host: str) -> Resource:
    """What a swarm's managers know better about a service than its containers do."""
    running, desired = orders.count
    service = orders.service
    if service is None:
        return {"target_num_containers": 0}
    return {
        **_options(_as_container(service)),
        "target_num_containers": desired,
        "running_num_containers": running,
        "deployed_datetime": tutum_date(service.created / 1e9),
        "container_ports": [_port(port, host) for port in service.ports],
        "deployment_strategy": "EVERY_NODE" if service.mode == GLOBAL else "EMPTIEST_NODE",
        # False until all that runs is what was ordered last.
        "synchronized": service.update is None or service.update.state in ("completed", "rollback_completed"),
    }


def _as_container(service: Ordered) -> Container:
    return Container(id="", name="", image=service.image, labels=service.labels, status="", options=service.options)


def _stack(registry: Registry, stack: Stack) -> Resource:
    services = registry.groups.services_of(stack.uuid)
    members = [registry.containers[key] for one in services for key in registry.groups.containers_of(one)]
    return {
        "uuid": stack.uuid,
        "resource_uri": stack.uri,
        "name": stack.name,
        "nickname": stack.name,
        "state": stack.state,
        "synchronized": True,
        "services": [resource_uri("service", one) for one in services],
        "deployed_datetime": _moment(members, lambda one: one.created, min) or tutum_date(stack.created),
        "destroyed_datetime": tutum_date(stack.destroyed),
    }


def _node(registry: Registry, node: Node) -> Resource:
    engine, cluster = node.engine, registry.nodes.parents(node)
    containers = [known for known in registry.containers.values() if not known.destroyed]
    return {
        "uuid": node.uuid,
        "resource_uri": node.uri,
        "external_fqdn": engine.hostname or node.name,
        "nickname": node.name,
        "state": node.state,
        # A machine of one's own belongs to no provider, region or type; and to a cluster only in a swarm.
        "node_cluster": cluster[0] if cluster else None,
        "node_type": None,
        "region": None,
        "availability_zone": None,
        "docker_version": engine.version,
        "docker_execdriver": engine.execdriver,
        "docker_graphdriver": engine.graphdriver,
        "cpu": engine.cpus,
        "memory": engine.memory,
        "disk": 0,
        "current_num_containers": sum(registry.nodes.at(known.machine) is node for known in containers),
        "last_seen": tutum_date(node.last_seen),
        "public_ip": node.address or None,
        "private_ips": [],
        "tunnel": None,
        "deployed_datetime": tutum_date(node.created),
        "destroyed_datetime": tutum_date(node.destroyed),
        "last_metric": None,
        "tags": [{"name": tag} for tag in node.tags],
    }


def _clusters(registry: Registry) -> list[Cluster]:
    nodes = registry.nodes
    return [*nodes.gone_clusters.values(), *([nodes.cluster] if nodes.cluster is not None else [])]


def _cluster(registry: Registry, cluster: Cluster) -> Resource:
    nodes = [] if cluster.destroyed else registry.nodes.all()
    return {
        "uuid": cluster.uuid,
        "resource_uri": cluster.uri,
        "name": cluster.name,
        "nickname": cluster.name,
        "state": cluster.state,
        "node_type": None,
        "region": None,
        "disk": 0,
        "nodes": [node.uri for node in nodes],
        "target_num_nodes": len(nodes),
        "current_num_nodes": len(nodes),
        "deployed_datetime": tutum_date(cluster.created),
        "destroyed_datetime": tutum_date(cluster.destroyed),
        "tags": [],
        "provider_options": {},
    }


def _action(action: Action) -> Resource:
    return {
        "uuid": action.uuid,
        "resource_uri": action.uri,
        "action": action.name,
        "object": action.object,
        "state": action.state,
        "start_date": tutum_date(action.started),
        "end_date": tutum_date(action.ended),
        # Docker does not say who did it, nor from where.
        "method": None,
        "path": None,
        "user_agent": None,
        "ip": None,
        "location": None,
        "body": None,
        "is_user_action": False,
        "can_be_canceled": False,
        "can_be_retried": False,
    }


def _options(container: Container) -> dict[str, Any]:
    options = msgspec.structs.asdict(container.options)
    return {
        **{name: list(value) if isinstance(value, tuple) else value for name, value in options.items()},
        "bindings": [
            {**msgspec.structs.asdict(row), "volume": None, "volumes_from": None} for row in container.options.bindings
        ],
        "image_name": container.image.partition("@")[0],
        "image_tag": None,
        "labels": dict(container.labels),
        "container_envvars": [],
        "link_variables": {},
        "roles": [],
    }


def _port(port: Port, host: str) -> dict[str, Any]:
    reachable = port.outer_port is not None and host
    return {
        "protocol": port.protocol,
        "inner_port": port.inner_port,
        "outer_port": port.outer_port,
        "port_name": f"{port.inner_port}/{port.protocol}",
        "published": port.outer_port is not None,
        "endpoint_uri": f"{port.protocol}://{host}:{port.outer_port}/" if reachable else None,
    }


def _port_key(port: Port) -> tuple[int, str, int | None]:
    return (port.inner_port, port.protocol, port.outer_port)


def _exit_message(code: int | None, error: str) -> str | None:
    if error:
        return error
    if code is None:
        return None
    signal = _SIGNALS.get(code - 128)
    return f"Exit code {code} ({signal})" if signal else f"Exit code {code}"


def _moment(members: list[Known], at: Callable[[Container], int], choose: Callable[[list[int]], int]) -> str | None:
    moments = [at(one.container) for one in members if at(one.container)]
    return tutum_date(choose(moments) / 1e9) if moments else None


_NOTHING: Final = Container(id="", name="", image="", labels={}, status="", options=Options())
