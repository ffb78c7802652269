"""What Tutum's objects are at the engine: the containers behind a name. Pure."""

from functools import partial

from tutumstream.gateway.docker.control import Subject
from tutumstream.gateway.docker.known import Known
from tutumstream.gateway.docker.log_reading import Origin
from tutumstream.gateway.docker.registry import Registry
from tutumstream.gateway.platform import OrderError

SHORTEST_GRACE = 10.0


def subject_of(registry: Registry, kind: str, uuid: str) -> Subject | None:
    """What an order for this object is about, None where there is none or nothing of it is left.

    What a swarm looks after is changed through the swarm: it would start at once what is stopped behind its back.
    Raises `OrderError` for what is out of this engine's reach.
    """
    services, containers = [], _containers(registry, kind, uuid)
    for one in {"service": [uuid], "stack": registry.groups.services_of(uuid)}.get(kind, []):
        orders = registry.groups.orders.get(one)
        if orders is not None and orders.service is not None:
            services.append(orders.service.id)
            containers = [known for known in containers if known.place.service != one]
    if any(known.machine for known in containers):
        raise OrderError(409, "it runs on another node of the swarm: change its service, or ask a gateway there")
    if not containers and not services:
        return None
    grace = {known.container.id: float(max(known.container.stop_timeout, SHORTEST_GRACE)) for known in containers}
    return Subject(grace, tuple(services))


def log_origins(registry: Registry, kind: str, uuid: str) -> list[Origin]:
    """What to read for the logs of this object. A swarm's managers bring those of a service from all nodes, and of a
    container on another node by its task."""
    orders = registry.groups.orders.get(uuid) if kind == "service" else None
    if orders is not None and orders.service is not None:
        ordered = orders.service
        return [
            Origin(
                ordered.id,
                ordered.name,
                kind="services",
                names=partial(_name_of_task, registry, uuid),
            )
        ]
    return [log_origin(one) for one in _containers(registry, kind, uuid)]


def log_origin(known: Known, since: int = 0) -> Origin:
    """What to read for the log of one container.

    Args:
        since: nanoseconds; 0 for all of it.
    """
    container = known.container
    if not known.machine:
        return Origin(container.id, container.name, since)
    task = container.labels.get("com.docker.swarm.task.id", "")
    return Origin(task, container.name, since, kind="tasks")


def _name_of_task(registry: Registry, service: str, task: str) -> str:
    """The name of its container; "" where it is not known."""
    for key in registry.groups.containers_of(service):
        container = registry.containers[key].container
        if container.labels.get("com.docker.swarm.task.id") == task:
            return container.name
    return ""


def _containers(registry: Registry, kind: str, uuid: str) -> list[Known]:
    if kind == "container":
        known = registry.find(uuid)
        found = [known] if known is not None else []
    elif kind in ("service", "stack"):
        services = registry.groups.services_of(uuid) if kind == "stack" else [uuid]
        found = [registry.containers[key] for one in services for key in registry.groups.containers_of(one)]
    else:
        found = []
    return [one for one in found if not one.destroyed]
