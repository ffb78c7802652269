"""States, from Docker's to Tutum's, and of many to one. Pure.

Every object is folded from what is below it, so another source of states (a swarm's services) only needs another fold.
"""

from collections.abc import Collection
from itertools import pairwise
from typing import Final

from tutumstream.gateway.docker.facts import Container

STARTING: Final = "Starting"
RUNNING: Final = "Running"
PARTLY_RUNNING: Final = "Partly running"
STOPPING: Final = "Stopping"
STOPPED: Final = "Stopped"
SCALING: Final = "Scaling"
REDEPLOYING: Final = "Redeploying"
TERMINATING: Final = "Terminating"
TERMINATED: Final = "Terminated"
NOT_RUNNING: Final = "Not running"
DEPLOYING: Final = "Deploying"
DEPLOYED: Final = "Deployed"
PARTLY_DEPLOYED: Final = "Partly deployed"
EMPTY: Final = "Empty cluster"
UNREACHABLE: Final = "Unreachable"
STACK_NOT_RUNNING: Final = "Not Running"
"""With a capital R for stacks, and for stacks only (protocol A6)."""

START_PATIENCE: Final = 60.0
"""Seconds after which a container that was created and not started counts as stopped, not as starting."""

_BY_STATUS: Final = {
    "running": RUNNING,
    "paused": RUNNING,  # Tutum has no such state, and `docker commit` pauses for a moment
    "restarting": STOPPED,
    "exited": STOPPED,
    "dead": STOPPED,
    "removing": TERMINATING,
    "stopped": STOPPED,  # this one and the next are Podman's
    "stopping": STOPPING,
}


def container_state(container: Container, now: float) -> str:
    """Tutum's state of a container. A status that nobody has heard of (`created` too) is one before the start.

    Args:
        now: seconds since 1970.
    """
    known = _BY_STATUS.get(container.status)
    if known is not None:
        return known
    overdue = now - container.created / 1e9 >= START_PATIENCE
    return STOPPED if container.error or overdue else STARTING


def path(told: str, last_start: int, container: Container, state: str) -> list[str]:
    """The states from the one that was told last, which is left out, to the one that holds now, without repeats.

    What was missed is told in the right order: a container that is seen running with another start time has stopped
    in between, and one that was told as starting and is over now did run, if it ever started.

    Args:
        last_start: its `started` when it was told.
        state: the one that holds now.
    """
    steps = [told]
    if container.started not in (0, last_start):
        if told in (RUNNING, STOPPING):
            steps.append(STOPPED)
        steps.append(RUNNING)
    if state == TERMINATING and steps[-1] in (RUNNING, STOPPING):
        steps.append(STOPPED)
    steps.append(state)
    return [step for before, step in pairwise(steps) if step != before]


def service_state(members: Collection[str], replaced: Collection[str] = ()) -> str:
    """The state of a service without a swarm.

    Args:
        members: the states of its containers, without those in `replaced`.
        replaced: the states of the containers that Compose exchanges just now; they make it `Redeploying` until all
            others run.
    """
    if replaced and not (members and set(members) == {RUNNING}):
        return REDEPLOYING
    states = set(members)
    if not states:
        return TERMINATED
    if len(states) == 1:
        return states.pop()
    if states == {RUNNING, STARTING}:
        return STARTING
    if states == {STOPPED, STOPPING}:
        return STOPPING
    return TERMINATING if states <= {TERMINATING, STOPPING, STOPPED} else PARTLY_RUNNING


def stack_state(services: Collection[str]) -> str:
    """The state of a stack from those of its services."""
    states = set(services)
    if not states:
        return STACK_NOT_RUNNING
    if REDEPLOYING in states:
        return REDEPLOYING
    if states == {NOT_RUNNING}:
        return STACK_NOT_RUNNING
    for whole in ({RUNNING}, {STOPPED}, {TERMINATED}):
        if states == whole:
            return whole.pop()
    for settling, allowed in (
        (STARTING, {RUNNING, STARTING, SCALING}),
        (STOPPING, {STOPPING, STOPPED}),
        (TERMINATING, {TERMINATING, TERMINATED, STOPPING, STOPPED}),
    ):
        if states <= allowed:
            return settling
    return PARTLY_RUNNING


def cluster_state(nodes: Collection[str]) -> str:
    """The state of a node cluster from those of its nodes."""
    states = set(nodes)
    if not states:
        return EMPTY
    return states.pop() if len(states) == 1 and states <= {DEPLOYED, DEPLOYING} else PARTLY_DEPLOYED
