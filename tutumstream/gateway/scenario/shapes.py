"""The scenario's objects as the REST API shows them: every field of protocol B4, none of the forbidden ones. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, Final

from tutumstream.gateway.platform import Resource
from tutumstream.gateway.scenario.objects import (
    Action,
    Container,
    Node,
    NodeCluster,
    Object,
    Service,
    Stack,
    uri,
)
from tutumstream.gateway.scenario.places import NODETYPE, REGION
from tutumstream.gateway.scenario.world import World

ACCOUNT: Final = "demo"
_OPTIONS: Final[Mapping[str, Any]] = {
    "autodestroy": "OFF",
    "autorestart": "ALWAYS",
    "bindings": [],
    "cap_add": [],
    "cap_drop": [],
    "cgroup_parent": "",
    "cpu_shares": None,
    "cpuset": None,
    "devices": [],
    "dns": [],
    "dns_search": [],
    "domainname": "",
    "entrypoint": "",
    "extra_hosts": [],
    "labels": {},
    "mac_address": None,
    "memory": None,
    "memory_swap": None,
    "net": "bridge",
    "pid": "none",
    "privileged": False,
    "read_only": False,
    "security_opt": [],
    "stdin_open": False,
    "tty": False,
    "user": "",
    "working_dir": "",
}
"""Docker's options, which service and container have in common; the scenario leaves them all as they come."""


def resource(one: Object, world: World) -> Resource:
    """An object with all its fields."""
    shapes = {
        "stack": _stack,
        "service": _service,
        "container": _container,
        "nodecluster": _nodecluster,
        "node": _node,
        "action": _action,
    }
    own: Mapping[str, Any] = shapes[one.kind](one, world)  # type: ignore[operator]  # one function for each kind
    return {"uuid": one.uuid, "resource_uri": uri(one.kind, one.uuid), "state": one.state, **own}


@lru_cache(1024)
def date(seconds: float | None) -> str | None:
    """A time as Tutum writes it (protocol B1): always UTC, always `+0000`."""
    return None if seconds is None else format_datetime(datetime.fromtimestamp(seconds, UTC))


def container_name(one: Container, world: World) -> str:
    """The service's name and a number."""
    return f"{world.get(Service, one.service).blueprint.name}-{one.number}"


def _stack(one: Stack, world: World) -> Mapping[str, Any]:
    return {
        "name": one.name,
        "nickname": one.name,
        "synchronized": True,
        "services": [uri("service", part.uuid) for part in world.services(one)],
        "deployed_datetime": date(one.deployed),
        "destroyed_datetime": date(one.destroyed),
    }


def _image(one: Service) -> Mapping[str, Any]:
    name, _, tag = one.blueprint.image.partition(":")
    return {
        "image_name": one.blueprint.image,
        "image_tag": f"/api/v1/image/{name}/tag/{tag}/",
        "run_command": one.blueprint.command,
    }


def _port(one: Service, host: str) -> dict[str, Any]:
    blueprint = one.blueprint
    return {
        "protocol": "tcp",
        "inner_port": blueprint.port,
        "outer_port": blueprint.port if blueprint.published else None,
        "port_name": blueprint.protocol,
        "endpoint_uri": f"{blueprint.protocol}://{host}:{blueprint.port}/" if blueprint.published else None,
        "published": blueprint.published,
    }


def _links(one: Service, world: World) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """What the service uses, and what uses it."""
    siblings = world.services(world.get(Stack, one.stack))

    def link(user: Service, used: Service) -> dict[str, str]:
        return {
            "name": used.blueprint.name.upper(),
            "from_service": uri("service", user.uuid),
            "to_service": uri("service", used.uuid),
        }

    used = [link(one, other) for other in siblings if other.blueprint.name in one.blueprint.links]
    users = [link(other, one) for other in siblings if one.blueprint.name in other.blueprint.links]
    return used, users


def _service(one: Service, world: World) -> Mapping[str, Any]:
    live = [part for part in world.containers(one) if part.state != "Terminated"]
    name = one.blueprint.name
    host = f"{name}.{world.get(Stack, one.stack).name}.{ACCOUNT}.svc.tutum.io"
    used, users = _links(one, world)
    return {
        **_OPTIONS,
        **_image(one),
        "name": name,
        "nickname": name,
        "hostname": name,
        "public_dns": host,
        "stack": uri("stack", one.stack),
        "synchronized": True,
        "target_num_containers": one.target,
        "current_num_containers": len(live),
        "running_num_containers": sum(part.state == "Running" for part in live),
        "stopped_num_containers": sum(part.state == "Stopped" for part in live),
        "deployed_datetime": date(one.deployed),
        "started_datetime": date(min((part.started for part in live if part.started is not None), default=None)),
        "stopped_datetime": date(max((part.stopped for part in live if part.stopped is not None), default=None)),
        "destroyed_datetime": date(one.destroyed),
        "container_ports": [_port(one, host)],
        "containers": [uri("container", part.uuid) for part in live],
        "container_envvars": [],
        "calculated_envvars": [],
        "link_variables": {},
        "linked_to_service": used,
        "linked_from_service": users,
        "autoredeploy": False,
        "deployment_strategy": "EMPTIEST_NODE",
        "sequential_deployment": False,
        "roles": [],
        "tags": [],
    }


def _container(one: Container, world: World) -> Mapping[str, Any]:
    service = world.get(Service, one.service)
    name = container_name(one, world)
    host = f"{name}.{world.get(Stack, service.stack).name}.{ACCOUNT}.cont.tutum.io"
    return {
        **_OPTIONS,
        **_image(service),
        "name": name,
        "hostname": name,
        "public_dns": host,
        "private_ip": one.address,
        "service": uri("service", one.service),
        "node": uri("node", one.node),
        "synchronized": True,
        "docker_id": hashlib.sha256(one.uuid.encode()).hexdigest(),
        "exit_code": one.exit_code,
        "exit_code_msg": None if one.exit_code is None else f"Exit code {one.exit_code}",
        "deployed_datetime": date(one.deployed),
        "started_datetime": date(one.started),
        "stopped_datetime": date(one.stopped),
        "destroyed_datetime": date(one.destroyed),
        "container_ports": [_port(service, host) | {"uri_protocol": service.blueprint.protocol}],
        "container_envvars": [],
        "link_variables": {},
        "linked_to_container": _neighbours(one, service, world),
        "last_metric": None,
        "roles": [],
    }


def _neighbours(one: Container, service: Service, world: World) -> list[dict[str, Any]]:
    """Links to the running containers of the services that this one uses."""
    used = [
        other
        for other in world.services(world.get(Stack, service.stack))
        if other.blueprint.name in service.blueprint.links
    ]
    return [
        {
            "name": container_name(part, world).upper().replace("-", "_"),
            "from_container": uri("container", one.uuid),
            "to_container": uri("container", part.uuid),
            "endpoints": {f"{other.blueprint.port}/tcp": f"tcp://{part.address}:{other.blueprint.port}"},
        }
        for other in used
        for part in world.containers(other)
        if part.state == "Running"
    ]


def _nodecluster(one: NodeCluster, world: World) -> Mapping[str, Any]:
    nodes = world.nodes(one)
    return {
        "name": one.name,
        "nickname": one.name,
        "node_type": NODETYPE,
        "region": REGION,
        "disk": 30,
        "target_num_nodes": len(nodes),
        "current_num_nodes": len(nodes),
        "deployed_datetime": date(one.deployed),
        "destroyed_datetime": None,
        "nodes": [uri("node", part.uuid) for part in nodes],
        "provider_options": {},
        "tags": [{"name": one.name}],
    }


def _node(one: Node, world: World) -> Mapping[str, Any]:
    host = f"{one.uuid[:8]}-{ACCOUNT}.node.tutum.io"
    return {
        "external_fqdn": host,
        "nickname": host,
        "node_cluster": uri("nodecluster", one.cluster),
        "node_type": NODETYPE,
        "region": REGION,
        "availability_zone": None,
        "docker_version": "1.9.1-cs2",
        "docker_execdriver": "native-0.2",
        "docker_graphdriver": "aufs",
        "cpu": 1,
        "disk": 30,
        "memory": 1024,
        "current_num_containers": sum(
            part.node == one.uuid and part.state != "Terminated" for part in world.all(Container)
        ),
        "last_seen": date(one.last_seen),
        "public_ip": one.address,
        "tunnel": None,
        "deployed_datetime": date(one.deployed),
        "destroyed_datetime": None,
        "last_metric": None,
        "tags": [{"name": world.get(NodeCluster, one.cluster).name}],
    }


def _action(one: Action, _world: World) -> Mapping[str, Any]:
    settled = one.ended is not None
    return {
        "object": one.subject,
        "action": one.name,
        "method": one.method,
        "path": one.path,
        "body": one.body,
        "user_agent": "tutumstream-scenario",
        "start_date": date(one.started),
        "end_date": date(one.ended),
        "ip": "127.0.0.1",
        "location": "Here",
        "is_user_action": True,
        "can_be_canceled": not settled,
        "can_be_retried": settled,
    }
