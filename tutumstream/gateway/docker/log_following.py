"""Which log is read how. That of a service which no swarm looks after has containers that come and go meanwhile.

A container that starts, for the first time or again, is read from there on; nobody who follows a service wants to hear
of it only what it wrote before somebody replaced it.
"""

from collections.abc import Callable

from tutumstream.gateway.docker import folds
from tutumstream.gateway.docker.action_log import ActionReading
from tutumstream.gateway.docker.actions import Action
from tutumstream.gateway.docker.control import Control, Performed
from tutumstream.gateway.docker.identity import resource_uri
from tutumstream.gateway.docker.log_reading import LogClient, LogReading
from tutumstream.gateway.docker.registry import Registry
from tutumstream.gateway.docker.subjects import log_origin, log_origins
from tutumstream.gateway.platform import Change, ILogReader, ILogs, Listener

Subscribe = Callable[[Listener], Callable[[], None]]


def read_logs(
    registry: Registry,
    client: LogClient | None,
    control: Control | None,
    subscribe: Subscribe,
    kind: str,
    uuid: str,
    tail: int,
    follow: bool,
    reader: ILogReader,
) -> ILogs | None:
    """Read the log of a container, a service or an action; None where there is nothing to read.

    Args:
        client: None where nobody may read what containers wrote.
        control: knows the actions that were asked for here.
        subscribe: tells every change from then on, until the function that it returns is called.
    """
    if kind == "action":
        return _read_action(registry, control, subscribe, uuid, tail, follow, reader)
    origins = log_origins(registry, kind, uuid)
    if client is None or not origins:
        return None
    reading = LogReading(client, origins, tail, follow, reader)
    if follow and kind == "service" and origins[0].kind == "containers":
        _add_what_starts(registry, subscribe, uuid, reading)
    return reading


def _read_action(
    registry: Registry,
    control: Control | None,
    subscribe: Subscribe,
    uuid: str,
    tail: int,
    follow: bool,
    reader: ILogReader,
) -> ILogs | None:
    def find() -> Action | Performed | None:
        asked_for = control.actions.get(uuid) if control is not None else None
        return asked_for or registry.actions.known.get(uuid)

    return ActionReading(find, subscribe, tail, follow, reader) if find() is not None else None


def _add_what_starts(registry: Registry, subscribe: Subscribe, uuid: str, reading: LogReading) -> None:
    service = resource_uri("service", uuid)
    members = [registry.containers[key] for key in registry.groups.containers_of(uuid)]
    read = {known.container.id for known in members if known.state in (folds.RUNNING, folds.STOPPING)}
    ends = {known.container.id: known.container.finished for known in members}

    def heard(change: Change) -> None:
        if change.resource_uri == service and change.action == "delete":
            reading.no_more()
        if change.type != "container" or service not in change.parents:
            return
        known = registry.find(change.resource_uri.split("/")[-2])
        if known is None or change.docker is None:
            return
        container = known.container
        if change.state == folds.STOPPED:
            ends[container.id] = container.finished
            read.discard(container.id)
        # One that only seemed to be stopping is told as running again, too.
        if change.docker.event == "start" and container.id not in read:
            read.add(container.id)
            # Docker notes the start a moment after the first words, so from the end of the run before.
            reading.add(log_origin(known, ends.get(container.id, 0) or container.created))

    reading.stays = True
    reading.over = subscribe(heard)
