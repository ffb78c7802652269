"""What a swarm's managers know, at one moment: frozen values, read from Docker's JSON in `reading`.

Times are nanoseconds since 1970 by the managers' clock, 0 for never.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from tutumstream.gateway.docker.facts import Options, Port

REPLICATED: Final = "replicated"
GLOBAL: Final = "global"
REPLICATED_JOB: Final = "replicated-job"
GLOBAL_JOB: Final = "global-job"
JOBS: Final = frozenset({REPLICATED_JOB, GLOBAL_JOB})


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """The last rolling update of a service; `state` is Docker's word: `updating`, `paused`, `rollback_started`, …

    An automatic rollback keeps the update's `started`; one by hand begins anew.
    """

    state: str
    started: int = 0
    completed: int = 0
    message: str = ""


class Ordered(msgspec.Struct, frozen=True, kw_only=True):
    """A service, as it was ordered from the swarm.

    Attributes:
        stack: the name of its stack, "" where it has none.
        mode: `replicated`, `global`, `replicated-job` or `global-job`.
        replicas: how many tasks were asked for; None where the nodes decide.
    """

    id: str
    name: str
    image: str = ""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    stack: str = ""
    mode: str = REPLICATED
    replicas: int | None = None
    update: Update | None = None
    created: int = 0
    updated: int = 0
    ports: tuple[Port, ...] = ()
    options: Options = Options()


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt to run one container of a service on one node.

    Attributes:
        node: the swarm's id of the node, "" where none was found yet.
        slot: its number among the replicas; 0 in a global service.
        state, desired: Docker's words.
        error: why it is not what it should be.
        container: the id of its container, "" where it has none.
        exit_code: meaningless before the container ended.
        at: when it came to its state.
        condition: after which end another one follows it: `any`, `on-failure` or `none`.
        attempts: how often one does so at most; 0 for no limit.
        delay: how long after the end it may begin, nanoseconds.
    """

    id: str
    service: str
    node: str = ""
    slot: int = 0
    state: str = ""
    desired: str = ""
    error: str = ""
    container: str = ""
    exit_code: int | None = None
    created: int = 0
    at: int = 0
    image: str = ""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    condition: str = "any"
    attempts: int = 0
    delay: int = 5_000_000_000


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the swarm. `state` is `ready`, `down`, `disconnected` or `unknown`; `memory` is in MB."""

    id: str
    hostname: str = ""
    address: str = ""
    state: str = "unknown"
    availability: str = "active"
    version: str = ""
    cpus: int = 0
    memory: int = 0
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)


class Swarm(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. The parts were asked for one after the other, in this order."""

    machines: tuple[Machine, ...] = ()
    tasks: tuple[Task, ...] = ()
    services: tuple[Ordered, ...] = ()
