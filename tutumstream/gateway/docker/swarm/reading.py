"""A manager's JSON becomes values here. As with containers, one strange field never hides an object, and one strange
object never hides the others."""

import shlex
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from tutumstream.gateway.docker.facts import Binding, Options, Port
from tutumstream.gateway.docker.reading import (
    MEGABYTE,
    NAME_LIMIT,
    Json,
    container_id,
    integer,
    mapping,
    nanoseconds,
    read_labels,
    sequence,
    swarm_id,
    text,
    texts,
)
from tutumstream.gateway.docker.swarm.facts import (
    GLOBAL,
    GLOBAL_JOB,
    REPLICATED,
    REPLICATED_JOB,
    Machine,
    Ordered,
    Task,
    Update,
)

T = TypeVar("T")

NAMESPACE: Final = "com.docker.stack.namespace"

_RESTART: Final = {"none": "OFF", "on-failure": "ON_FAILURE"}


def read_machines(raw: bytes) -> tuple[Machine, ...]:
    """Read an answer of `/nodes`. Raises ValueError where it is no JSON list."""
    return _rows(raw, _machine)


def read_tasks(raw: bytes) -> tuple[Task, ...]:
    """Read an answer of `/tasks`. Raises ValueError where it is no JSON list."""
    return _rows(raw, _task)


def read_services(raw: bytes) -> tuple[Ordered, ...]:
    """Read an answer of `/services`. Raises ValueError where it is no JSON list."""
    return _rows(raw, _service)


def _rows(raw: bytes, read: Callable[[str, Json], T]) -> tuple[T, ...]:
    try:
        found = msgspec.json.decode(raw)
    except RecursionError as problem:
        raise ValueError("nested too deeply") from problem
    if not isinstance(found, list):
        raise msgspec.ValidationError("not a JSON list")
    rows = [(swarm_id(mapping(row).get("ID")), mapping(row)) for row in found]
    return tuple(read(own, row) for own, row in rows if own is not None)


def _machine(own: str, row: Json) -> Machine:
    spec, status, description = mapping(row.get("Spec")), mapping(row.get("Status")), mapping(row.get("Description"))
    resources = mapping(description.get("Resources"))
    return Machine(
        id=own,
        hostname=text(description.get("Hostname"), NAME_LIMIT),
        address=text(status.get("Addr"), NAME_LIMIT),
        state=text(status.get("State"), NAME_LIMIT),
        availability=text(spec.get("Availability"), NAME_LIMIT),
        version=text(mapping(description.get("Engine")).get("EngineVersion"), NAME_LIMIT),
        cpus=(integer(resources.get("NanoCPUs")) or 0) // 1_000_000_000,
        memory=(integer(resources.get("MemoryBytes")) or 0) // MEGABYTE,
        labels=read_labels(spec.get("Labels")),
    )


def _task(own: str, row: Json) -> Task:
    status, spec = mapping(row.get("Status")), mapping(row.get("Spec"))
    container, wanted = mapping(status.get("ContainerStatus")), mapping(spec.get("ContainerSpec"))
    policy = mapping(spec.get("RestartPolicy"))
    return Task(
        id=own,
        service=swarm_id(row.get("ServiceID")) or "",
        node=swarm_id(row.get("NodeID")) or "",
        slot=integer(row.get("Slot")) or 0,
        state=text(status.get("State"), NAME_LIMIT),
        desired=text(row.get("DesiredState"), NAME_LIMIT),
        error=text(status.get("Err")),
        container=container_id(container.get("ContainerID")) or "",
        exit_code=integer(container.get("ExitCode")),
        created=nanoseconds(row.get("CreatedAt")),
        at=nanoseconds(status.get("Timestamp")),
        image=text(wanted.get("Image"), NAME_LIMIT),
        labels=read_labels(wanted.get("Labels")),
        condition=text(policy.get("Condition"), NAME_LIMIT) or "any",
        attempts=max(integer(policy.get("MaxAttempts")) or 0, 0),
        delay=5_000_000_000 if (delay := integer(policy.get("Delay"))) is None else delay,
    )


def _service(own: str, row: Json) -> Ordered:
    spec = mapping(row.get("Spec"))
    template, labels = mapping(spec.get("TaskTemplate")), read_labels(spec.get("Labels"))
    mode, replicas = _mode(mapping(spec.get("Mode")))
    return Ordered(
        id=own,
        name=text(spec.get("Name"), NAME_LIMIT),
        image=text(mapping(template.get("ContainerSpec")).get("Image"), NAME_LIMIT),
        labels=labels,
        stack=labels.get(NAMESPACE, "")[:NAME_LIMIT],
        mode=mode,
        replicas=replicas,
        update=_update(mapping(row.get("UpdateStatus"))),
        created=nanoseconds(row.get("CreatedAt")),
        updated=nanoseconds(row.get("UpdatedAt")),
        ports=tuple(_port(mapping(port)) for port in sequence(mapping(row.get("Endpoint")).get("Ports"))),
        options=_options(mapping(template.get("ContainerSpec")), template),
    )


def _mode(mode: Json) -> tuple[str, int | None]:
    if "Global" in mode:
        return GLOBAL, None
    if "GlobalJob" in mode:
        return GLOBAL_JOB, None
    if "ReplicatedJob" in mode:
        job = mapping(mode["ReplicatedJob"])
        total = integer(job.get("TotalCompletions"))
        return REPLICATED_JOB, (integer(job.get("MaxConcurrent")) or 0) if total is None else total
    return REPLICATED, integer(mapping(mode.get("Replicated")).get("Replicas")) or 0


def _update(status: Json) -> Update | None:
    state = text(status.get("State"), NAME_LIMIT)
    if not state:
        return None
    return Update(
        state=state,
        started=nanoseconds(status.get("StartedAt")),
        completed=nanoseconds(status.get("CompletedAt")),
        message=text(status.get("Message")),
    )


def _port(port: Json) -> Port:
    return Port(
        inner_port=integer(port.get("TargetPort")) or 0,
        outer_port=integer(port.get("PublishedPort")) or None,
        protocol=text(port.get("Protocol"), 16) or "tcp",
    )


def _options(wanted: Json, template: Json) -> Options:
    limits = mapping(mapping(template.get("Resources")).get("Limits"))
    memory = integer(limits.get("MemoryBytes"))
    return Options(
        autorestart=_RESTART.get(text(mapping(template.get("RestartPolicy")).get("Condition")), "ALWAYS"),
        run_command=text(shlex.join(texts(wanted.get("Args")))),
        entrypoint=text(shlex.join(texts(wanted.get("Command")))),
        read_only=wanted.get("ReadOnly") is True,
        tty=wanted.get("TTY") is True,
        stdin_open=wanted.get("OpenStdin") is True,
        memory=memory // MEGABYTE if memory else None,
        hostname=text(wanted.get("Hostname"), NAME_LIMIT),
        user=text(wanted.get("User"), NAME_LIMIT),
        working_dir=text(wanted.get("Dir")),
        cap_add=texts(wanted.get("CapabilityAdd")),
        cap_drop=texts(wanted.get("CapabilityDrop")),
        dns=texts(mapping(wanted.get("DNSConfig")).get("Nameservers")),
        dns_search=texts(mapping(wanted.get("DNSConfig")).get("Search")),
        extra_hosts=texts(wanted.get("Hosts")),
        bindings=tuple(_binding(mapping(mount)) for mount in sequence(wanted.get("Mounts"))),
    )


def _binding(mount: Json) -> Binding:
    return Binding(
        host_path=text(mount.get("Source")) or None if mount.get("Type") == "bind" else None,
        container_path=text(mount.get("Target")),
        rewritable=mount.get("ReadOnly") is not True,
    )
