"""States, from a swarm's words to Tutum's. Pure.

A service's state follows from its tasks, place by place: a place is a slot of a replicated service, or a node of a
global one. What ended stays listed for a while, so only the newest tasks of a place say how it is.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from tutumstream.gateway.docker import folds
from tutumstream.gateway.docker.endings import QUICK
from tutumstream.gateway.docker.facts import Container
from tutumstream.gateway.docker.swarm.facts import (
    GLOBAL,
    JOBS,
    REPLICATED,
    REPLICATED_JOB,
    Machine,
    Ordered,
    Swarm,
    Task,
)

_LIVE: Final = frozenset({"running", "ready"})
_AHEAD: Final = _LIVE | {"complete"}
_FAILED: Final = frozenset({"failed", "rejected"})
_ENDED: Final = _FAILED | {"complete"}
_BEFORE: Final = frozenset({"new", "pending", "assigned", "accepted", "preparing", "ready", "starting"})

REDEPLOYING: Final = frozenset({"updating", "rollback_started"})

_SECOND: Final = 1_000_000_000

AFTERMATH: Final = 60 * _SECOND
"""Nanoseconds between a failure and the creation of what takes its place, at most; it is created at once, but clocks
differ. What comes later has nothing to do with it."""


PLANNING: Final = 10.0
"""Seconds after its order in which a global service, or a job, may still be without any task."""


class Count(NamedTuple):
    """Places of a service where something runs, and how many there should be."""

    running: int
    desired: int


class Last(NamedTuple):
    """A container that nothing more comes in the place of. `wanted`: there should be something, but its restart policy
    leaves it at that; else nothing is to run there any more."""

    container: str
    wanted: bool


def count(service: Ordered, tasks: Collection[Task], down: Collection[str] = ()) -> Count:
    """How much of a service runs.

    Args:
        tasks: its tasks.
        down: the nodes of which nobody knows whether their tasks still run.
    """
    if service.mode in JOBS:
        open_ = [line for line in _lines(service, tasks) if _is_open(line)]
        return Count(sum(_runs(line, down) for line in open_), len(open_))
    wanted = {_place(service, task) for task in tasks if task.desired in _LIVE}
    running = {_place(service, task) for task in tasks if task.state == "running" and task.node not in down}
    desired = len(wanted) if service.mode == GLOBAL or service.replicas is None else service.replicas
    there, superfluous = len(running & wanted), len(running - wanted)
    # What is no longer wanted does not make up for what is missing.
    return Count(there if there < desired else there + superfluous, desired)


def service_state(service: Ordered, tasks: Collection[Task], down: Collection[str] = (), now: float = 0.0) -> str:
    """The state of a service that is listed.

    Args:
        now: seconds since 1970.
    """
    running, desired = count(service, tasks, down)
    if service.update is not None and service.update.state in REDEPLOYING:
        return folds.REDEPLOYING
    if desired == 0 and not tasks and service.replicas != 0 and 0 <= now - service.created / 1e9 < PLANNING:
        # Something was asked for; its tasks are made a moment later.
        return folds.STARTING
    if desired == 0:
        return folds.STOPPING if running else folds.STOPPED
    if running == desired:
        return folds.RUNNING
    if running > desired:
        return folds.SCALING
    failing = trouble(service, tasks, down) is not None
    if running == 0:
        return folds.NOT_RUNNING if failing else folds.STARTING
    return folds.PARTLY_RUNNING if failing else folds.SCALING


def trouble(service: Ordered, tasks: Collection[Task], down: Collection[str] = ()) -> Task | None:
    """The newest task that failed, or can't begin, of a place where nothing runs; None where all is well.

    A place is in trouble too while the successor of a task that failed is on its way.
    """
    found: Task | None = None
    for line in _lines(service, tasks):
        if _runs(line, down):
            continue
        failed = _failure(line, down)
        if failed is not None and (found is None or found.at < failed.at):
            found = failed
    return found


def last(service: Ordered, tasks: Collection[Task], down: Collection[str] = ()) -> Iterable[Last]:
    """The newest container of each place that gets no other task.

    What follows a task is made in the moment in which that is given up. It may be let go again before it has a
    container: a swarm forgets such a task soon, but not those before it.
    """
    lines = _lines(service, tasks, cleared=True)
    ahead = [line for line in lines if line[-1].desired in _AHEAD]
    full = service.mode == REPLICATED and service.replicas is not None and len(ahead) >= service.replicas
    for line in lines:
        newest = line[-1]
        container = next((task.container for task in reversed(line) if task.container), "")
        if container and newest.desired not in _AHEAD and newest.node not in down:
            yield Last(container, wanted=not full and _may_be_given_up(newest))


def _may_be_given_up(task: Task) -> bool:
    """Its restart policy may say that it was tried often enough."""
    if task.desired != "shutdown" or task.state not in _ENDED:
        return False
    enough = task.condition == "on-failure" and task.state == "complete"
    return enough or task.condition == "none" or task.attempts > 0


def _lines(service: Ordered, tasks: Collection[Task], *, cleared: bool = False) -> Collection[list[Task]]:
    """The tasks of each place, the oldest first. `cleared`: those too that are only still to be cleared away."""
    places: dict[str | int, list[Task]] = {}
    for task in sorted(tasks, key=lambda one: (one.created, one.id)):
        if cleared or task.desired != "remove":
            places.setdefault(_place(service, task), []).append(task)
    return places.values()


def _runs(line: list[Task], down: Collection[str]) -> bool:
    return any(task.state == "running" and task.node not in down for task in line)


def _is_open(line: list[Task]) -> bool:
    """What a job is to do at this place was not done yet, whether or not it is tried again."""
    if any(task.state == "complete" for task in line):
        return False
    return line[-1].state in _FAILED or line[-1].desired in _AHEAD


def _failure(line: list[Task], down: Collection[str]) -> Task | None:
    """What went wrong lately at a place, of whose tasks the oldest come first."""
    newest, before = line[-1], line[-2] if len(line) > 1 else None
    if _went_wrong(newest, down):
        return newest
    if before is None or newest.state not in _BEFORE or newest.created > before.at + AFTERMATH:
        # Being lost has no time of its own.
        return before if before is not None and newest.state in _BEFORE and _is_lost(before, down) else None
    return before if _went_wrong(before, down) else None


def _went_wrong(task: Task, down: Collection[str]) -> bool:
    return task.state in _FAILED or (task.state == "pending" and task.error != "") or _is_lost(task, down)


def _is_lost(task: Task, down: Collection[str]) -> bool:
    return task.state == "running" and task.node in down


def machine_state(machine: Machine) -> str | None:
    """Tutum's state of a node; None where the managers don't know yet."""
    if machine.state == "ready":
        return folds.DEPLOYED
    return None if machine.state == "unknown" else folds.UNREACHABLE


def task_container(task: Task, service: str, before: Container | None) -> Container:
    """The container of a task on another node, as far as a manager knows it.

    Args:
        service: the name of its service.
        before: the same container, as it was known until now: when it started is not told twice.
    """
    running, ended = task.state == "running", task.state not in _BEFORE and task.state != "running"
    started = before.started if before is not None else 0
    # The time of a status moves on while it stays the same.
    began = task.at if running or (ended and task.state not in ("rejected", "remove")) else 0
    return Container(
        id=task.container,
        name=f"{service}.{task.slot or task.node}.{task.id}",
        image=task.image,
        labels={
            **task.labels,
            "com.docker.swarm.service.id": task.service,
            "com.docker.swarm.service.name": service,
            "com.docker.swarm.task.id": task.id,
            "com.docker.swarm.node.id": task.node,
        },
        status="running" if running else "exited" if ended else "created",
        error=task.error if ended else "",
        exit_code=task.exit_code if ended else None,
        fate=task.state if ended else "",
        created=task.created,
        started=started or began,
        finished=(before.finished if before is not None and before.finished else task.at) if ended else 0,
    )


def elsewhere(
    swarm: Swarm, here: str, known: Mapping[str, Container], names: Mapping[str, str]
) -> Iterable[tuple[str, Container]]:
    """The containers on other nodes, each with the id of its node, the oldest first.

    Args:
        known: those that were there before, by id.
        names: of services, by id. One that is being removed is not listed any more; its tasks are.
    """
    for task in sorted(swarm.tasks, key=lambda one: (one.created, one.id)):
        if task.container and task.node not in ("", here):
            before = known.get(task.container)
            name = names.get(task.service) or (before.name.partition(".")[0] if before else task.service)
            yield task.node, task_container(task, name, before)


def fates(swarm: Swarm, here: str) -> dict[str, str]:
    """The states in which the tasks of a node ended, by the ids of their containers."""
    return {
        task.container: task.state
        for task in swarm.tasks
        if task.container and task.node == here and task.state not in _BEFORE and task.state != "running"
    }


def restless(swarm: Swarm) -> frozenset[str]:
    """The services that put another task in the place of each that ended, however well, and soon."""
    jobs = {service.id for service in swarm.services if service.mode in JOBS}
    newest = {task.service: task for task in sorted(swarm.tasks, key=lambda one: one.created)}
    return frozenset(
        service
        for service, task in newest.items()
        if task.condition == "any" and task.delay < QUICK * _SECOND and service not in jobs
    )


def _place(service: Ordered, task: Task) -> str | int:
    # The slots of a job are counted from 0.
    return task.slot if task.slot or service.mode == REPLICATED_JOB else task.node


def at_rest(state: str) -> bool:
    """Whether a service that is in this state stays in it by itself."""
    return state in (folds.RUNNING, folds.STOPPED, folds.NOT_RUNNING, folds.PARTLY_RUNNING)
