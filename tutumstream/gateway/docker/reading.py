"""The engine's JSON becomes values here; nothing behind this page looks into a dict of Docker's.

Names, labels, images, commands and exit codes are whatever the author of a container likes (a label of a megabyte
passes through Docker unchanged), so every field is checked, cut and given a default on its own: one strange field never
hides a container. Only what Engine 29 (API 1.52) still sends is read.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from tutumstream.gateway.docker.facts import Binding, Container, Engine, Membership, Options, Port

TEXT_LIMIT: Final = 4096
"""Characters of any text that are kept."""

ITEMS_LIMIT: Final = 256
"""Entries of any list or label set that are kept."""

NAME_LIMIT: Final = 255

_ID = re.compile(r"[0-9a-f]{64}")
_SWARM_ID = re.compile(r"[0-9a-z]{25}")
_WHEN = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_RESTART: Final = {"on-failure": "ON_FAILURE", "always": "ALWAYS", "unless-stopped": "ALWAYS"}
_SIGNALS: Final = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15, "WINCH": 28}
MEGABYTE: Final = 1024 * 1024
_COUNT_LIMIT: Final = 1_000_000
_HEALTH: Final = frozenset({"starting", "healthy", "unhealthy"})

Json = Mapping[Any, Any]


class _Listed(msgspec.Struct):
    id: str = msgspec.field(name="Id")


_listed = msgspec.json.Decoder(list[_Listed])


def read_ids(raw: bytes) -> list[str]:
    """The containers' ids in an answer of `/containers/json`. Raises ValueError where it is none."""
    return [row.id for row in _listed.decode(raw) if container_id(row.id)]


def read_engine(raw: bytes) -> Engine:
    """Read an answer of `/info`. Raises ValueError where it is no JSON object."""
    info = _top(raw)
    return Engine(
        hostname=text(info.get("Name"), NAME_LIMIT),
        version=text(info.get("ServerVersion"), NAME_LIMIT),
        graphdriver=text(info.get("Driver"), NAME_LIMIT),
        execdriver=text(info.get("DefaultRuntime"), NAME_LIMIT),
        cpus=integer(info.get("NCPU")) or 0,
        memory=(integer(info.get("MemTotal")) or 0) // MEGABYTE,
        swarm=_membership(mapping(info.get("Swarm"))),
        tells_stops="BuildahVersion" not in info,  # only Podman has one
    )


def read_container(raw: bytes) -> Container:
    """Read an answer of `/containers/{id}/json`. Raises ValueError where it is no JSON object with an id."""
    found = _top(raw)
    own = container_id(found.get("Id"))
    if own is None:
        raise ValueError("without the Id of a container")
    state, config, host = mapping(found.get("State")), mapping(found.get("Config")), mapping(found.get("HostConfig"))
    network = mapping(found.get("NetworkSettings"))
    attached = [mapping(value) for value in mapping(network.get("Networks")).values()]
    started, finished = nanoseconds(state.get("StartedAt")), nanoseconds(state.get("FinishedAt"))
    grace = integer(config.get("StopTimeout"))
    return Container(
        id=own,
        name=text(found.get("Name"), NAME_LIMIT).removeprefix("/"),
        image=text(config.get("Image"), NAME_LIMIT),
        labels=read_labels(config.get("Labels")),
        status=text(state.get("Status"), NAME_LIMIT),
        error=text(state.get("Error")),
        exit_code=_exit_code(state, finished),
        oom_killed=state.get("OOMKilled") is True,
        restart_count=_count(found.get("RestartCount")),
        retries=_count(mapping(host.get("RestartPolicy")).get("MaximumRetryCount")),
        health=_health(state),
        probed=_is_probed(config),
        created=nanoseconds(found.get("Created")),
        started=started,
        finished=finished,
        stop_signal=signal_number(config.get("StopSignal")) or 15,
        stop_timeout=10 if grace is None else min(max(grace, 0), 3600),
        private_ip=_first(attached, "IPAddress"),
        ports=_ports(mapping(config.get("ExposedPorts")), mapping(network.get("Ports"))),
        options=_options(config, host, attached, sequence(found.get("Mounts"))),
    )


def read_labels(value: object) -> dict[str, str]:
    """Labels whose key and value are texts, each cut; whatever else is in there is left out."""
    kept = [(key, item) for key, item in mapping(value).items() if isinstance(item, str)]
    return {key[:NAME_LIMIT]: item[:TEXT_LIMIT] for key, item in kept[:ITEMS_LIMIT]}


def container_id(value: object) -> str | None:
    """The value if it is a container's full id; nothing else may become part of a request's path."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def swarm_id(value: object) -> str | None:
    """The value if it is the id of a swarm, or of one of its services, tasks and nodes."""
    return value if isinstance(value, str) and _SWARM_ID.fullmatch(value) else None


def text(value: object, limit: int = TEXT_LIMIT) -> str:
    return value[:limit] if isinstance(value, str) else ""


def _health(state: Json) -> str:
    """How it is; "" where it does not run: Docker calls all that has ended unhealthy."""
    if text(state.get("Status"), NAME_LIMIT) not in ("running", "paused"):
        return ""
    return health_word(mapping(state.get("Health") or state.get("Healthcheck")).get("Status"))


def health_word(value: object) -> str:
    """One of Docker's three words; "" for all else, `none` included."""
    return value if isinstance(value, str) and value in _HEALTH else ""


def integer(value: object) -> int | None:
    """A number, or a short text that is one; None for everything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else None


def mapping(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def sequence(value: object) -> list[Any]:
    return value[:ITEMS_LIMIT] if isinstance(value, list) else []


def nanoseconds(value: object) -> int:
    """An RFC 3339 time as nanoseconds since 1970; 0 for Docker's `0001-01-01T00:00:00Z` and for what is no time."""
    found = _WHEN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return 0
    whole, fraction, zone = found.groups()
    try:
        seconds = int(datetime.fromisoformat(whole + zone.replace("Z", "+00:00")).timestamp())
    except (ValueError, OverflowError):
        return 0
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0")) if seconds > 0 else 0


def signal_number(value: object) -> int | None:
    """`SIGTERM`, `term`, `15` or `SIGRTMIN+3` as a number; Docker counts real-time signals from 34."""
    name = text(value, 16).upper().removeprefix("SIG")
    if name.startswith("RTMIN"):
        return 34 + (integer(name[5:].removeprefix("+")) or 0)
    return _SIGNALS.get(name, integer(name))


def _top(raw: bytes) -> Json:
    try:
        found = msgspec.json.decode(raw)
    except RecursionError as problem:
        raise ValueError("nested too deeply") from problem
    if not isinstance(found, dict):
        raise msgspec.ValidationError("not a JSON object")
    return found


def _membership(swarm: Json) -> Membership | None:
    state, cluster = text(swarm.get("LocalNodeState"), NAME_LIMIT), mapping(swarm.get("Cluster"))
    if state in ("", "inactive"):
        return None
    return Membership(
        state=state,
        node=swarm_id(swarm.get("NodeID")) or "",
        manager=state == "active" and swarm.get("ControlAvailable") is True,
        cluster=swarm_id(cluster.get("ID")) or "",
        cluster_name=text(mapping(cluster.get("Spec")).get("Name"), NAME_LIMIT),
    )


def _is_probed(config: Json) -> bool:
    test = sequence(mapping(config.get("Healthcheck")).get("Test"))
    return bool(test) and test[0] != "NONE"


def _count(value: object) -> int:
    return min(max(integer(value) or 0, 0), _COUNT_LIMIT)


def _exit_code(state: Json, finished: int) -> int | None:
    # Docker says 0 where nothing ended yet. A container that could not be started has a code and no times; of one that
    # ended at once FinishedAt may be earlier than StartedAt.
    code = integer(state.get("ExitCode"))
    if state.get("Running") is True and state.get("Restarting") is not True:
        return None
    return code if finished or code else None


def _options(config: Json, host: Json, attached: list[Json], mounts: list[Any]) -> Options:
    return Options(
        autorestart=_RESTART.get(text(mapping(host.get("RestartPolicy")).get("Name")), "OFF"),
        autodestroy="ALWAYS" if host.get("AutoRemove") is True else "OFF",
        run_command=_command(config.get("Cmd")),
        entrypoint=_command(config.get("Entrypoint")),
        privileged=host.get("Privileged") is True,
        read_only=host.get("ReadonlyRootfs") is True,
        tty=config.get("Tty") is True,
        stdin_open=config.get("OpenStdin") is True,
        cpu_shares=integer(host.get("CpuShares")) or None,
        cpuset=text(host.get("CpusetCpus")) or None,
        memory=_megabytes(host.get("Memory")),
        memory_swap=_megabytes(host.get("MemorySwap")),
        net=text(host.get("NetworkMode"), NAME_LIMIT) or "bridge",
        pid="host" if host.get("PidMode") == "host" else "none",
        hostname=text(config.get("Hostname"), NAME_LIMIT),
        domainname=text(config.get("Domainname"), NAME_LIMIT),
        user=text(config.get("User"), NAME_LIMIT),
        working_dir=text(config.get("WorkingDir")),
        cgroup_parent=text(host.get("CgroupParent")),
        mac_address=_first(attached, "MacAddress"),
        cap_add=texts(host.get("CapAdd")),
        cap_drop=texts(host.get("CapDrop")),
        devices=texts(mapping(device).get("PathOnHost") for device in sequence(host.get("Devices"))),
        dns=texts(host.get("Dns")),
        dns_search=texts(host.get("DnsSearch")),
        extra_hosts=texts(host.get("ExtraHosts")),
        security_opt=texts(host.get("SecurityOpt")),
        bindings=tuple(_binding(mapping(mount)) for mount in mounts),
    )


def _binding(mount: Json) -> Binding:
    return Binding(
        host_path=text(mount.get("Source")) or None if mount.get("Type") == "bind" else None,
        container_path=text(mount.get("Destination")),
        rewritable=mount.get("RW") is True,
    )


def _ports(exposed: Json, published: Json) -> tuple[Port, ...]:
    found: dict[tuple[int, str, int | None], Port] = {}
    for key in sorted({text(name, 32) for name in (*exposed, *published)})[:ITEMS_LIMIT]:
        number, _, protocol = key.partition("/")
        inner = integer(number)
        if inner is None:
            continue
        outers = [integer(mapping(row).get("HostPort")) or None for row in sequence(published.get(key))]
        # One port published on IPv4 and on IPv6 comes as two rows.
        for outer in outers or [None]:
            port = Port(inner_port=inner, outer_port=outer, protocol=protocol or "tcp")
            found[inner, port.protocol, outer] = port
    return tuple(found.values())


def texts(values: object) -> tuple[str, ...]:
    rows = values if isinstance(values, Iterable) and not isinstance(values, str) else ()
    return tuple([text(row) for row in rows if isinstance(row, str)][:ITEMS_LIMIT])


def _command(value: object) -> str:
    return text(value) if isinstance(value, str) else text(shlex.join(texts(value)))


def _megabytes(value: object) -> int | None:
    size = integer(value)
    return size // MEGABYTE if size is not None and size > 0 else None


def _first(rows: list[Json], key: str) -> str | None:
    return next((text(row.get(key), 64) for row in rows if text(row.get(key), 64)), None)
