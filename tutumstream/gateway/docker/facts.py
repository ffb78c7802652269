"""What is known of the engine and its containers: frozen values, read from Docker's JSON in `reading`."""

from collections.abc import Mapping

import msgspec


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """One port of a container; `outer_port` is None where it is not published."""

    inner_port: int
    outer_port: int | None
    protocol: str


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """One mount; `host_path` is None for a volume that Docker keeps itself."""

    host_path: str | None
    container_path: str
    rewritable: bool


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a container was set up, under the names of Tutum's REST API (protocol B4). `memory` is in MB."""

    autorestart: str = "OFF"
    autodestroy: str = "OFF"
    run_command: str = ""
    entrypoint: str = ""
    privileged: bool = False
    read_only: bool = False
    tty: bool = False
    stdin_open: bool = False
    cpu_shares: int | None = None
    cpuset: str | None = None
    memory: int | None = None
    memory_swap: int | None = None
    net: str = "bridge"
    pid: str = "none"
    hostname: str = ""
    domainname: str = ""
    user: str = ""
    working_dir: str = ""
    cgroup_parent: str = ""
    mac_address: str | None = None
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    bindings: tuple[Binding, ...] = ()


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """One container at one moment.

    Attributes:
        id: 64 hex digits.
        name: without Docker's leading slash.
        status: Docker's own word: `created`, `running`, `exited`, …
        error: why it could not be started last; of a task on another node, what its swarm says of its end.
        exit_code: of the last run; None while it runs and before anything ended.
        created, started, finished: nanoseconds since 1970 by the engine's clock, 0 for never.
        fate: of a task of a swarm, the state that it ended in by its managers: `failed`, `shutdown`, …, or ours,
            `repeated`; "" while they have not said so.
        oom_killed: the kernel killed a process in it during the last run, for want of memory.
        restart_count: how often its restart policy started it since somebody did.
        retries: how often it does so at most; 0 for no limit.
        health: `starting`, `healthy` or `unhealthy`; "" without a health check.
        probed: it has a health check.
        stop_signal, stop_timeout: what `docker stop` sends, and the seconds it waits before it sends SIGKILL.
        bare: nobody has looked at it yet, or not since a restart of ours: its options and more are not known.
    """

    id: str
    name: str
    image: str
    labels: Mapping[str, str]
    status: str
    error: str = ""
    exit_code: int | None = None
    fate: str = ""
    oom_killed: bool = False
    restart_count: int = 0
    retries: int = 0
    health: str = ""
    probed: bool = False
    created: int = 0
    started: int = 0
    finished: int = 0
    stop_signal: int = 15
    stop_timeout: int = 10
    private_ip: str | None = None
    ports: tuple[Port, ...] = ()
    options: Options = Options()
    bare: bool = False


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """An engine's part in a swarm.

    Attributes:
        state: `active`; `pending`, `error` or `locked` while that is not settled.
        node: the swarm's id of this engine.
        manager: it can be asked about the whole swarm.
        cluster: the swarm's id; "" where only a manager would know, or the managers have no leader now.
    """

    state: str
    node: str = ""
    manager: bool = False
    cluster: str = ""
    cluster_name: str = ""


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """What `/info` says about the machine.

    Attributes:
        memory: in MB.
        swarm: None where it belongs to none.
        tells_stops: its stream says when somebody stops a container. Podman's often doesn't, and says `restart` where a
            restart policy does that.
    """

    hostname: str = ""
    version: str = ""
    graphdriver: str = ""
    execdriver: str = ""
    cpus: int = 0
    memory: int = 0
    swarm: Membership | None = None
    tells_stops: bool = True


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the event stream that may concern a container's state.

    Attributes:
        container: its id.
        action: Docker's word, Podman's synonyms replaced: `create`, `start`, `die`, `destroy`, …; `connect` and
            `disconnect` are the network's.
        at: nanoseconds since 1970 by the engine's clock.
        signal: what a `kill` sent. A label of the name `signal` overwrites it.
        exit_code: what a `die` reports. A label of the name `exitCode` overwrites it.
        health: what a `health_status` reports, "" where it does not say (Podman).
        born: with `create`, all that the event tells about the container.
    """

    container: str
    action: str
    at: int
    signal: int | None = None
    exit_code: int | None = None
    health: str = ""
    born: Container | None = None
