"""A swarm as its managers list it goes into the registry: its nodes, its services, the containers on other nodes. Pure.

Nodes come first, so that they are there before their containers, and new services before theirs. What a service's
containers did is told before what that means for it.
"""

from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from tutumstream.gateway.docker import folds
from tutumstream.gateway.docker.actions import FAILED, REDEPLOY, ROLLBACK, SCALE, SUCCESS
from tutumstream.gateway.docker.groups import Orders
from tutumstream.gateway.docker.identity import Place, is_task, resource_uri, swarm_place
from tutumstream.gateway.docker.registry import Registry
from tutumstream.gateway.docker.swarm.facts import Ordered, Swarm, Task, Update
from tutumstream.gateway.docker.swarm.folds import (
    at_rest,
    count,
    elsewhere,
    fates,
    last,
    restless,
    service_state,
    trouble,
)
from tutumstream.gateway.platform import Change

SCALE_PATIENCE: Final = 10.0
"""Seconds after which a service that does not all run was scaled in vain; one that starts slowly has all the time."""

_MANUAL: Final = "manually"
_ROLLBACK_ENDS: Final = {"rollback_completed": SUCCESS, "rollback_paused": FAILED}
_REDEPLOY_ENDS: Final = {"completed": SUCCESS, "paused": FAILED}


class Census:
    """Takes one snapshot after the other.

    Attributes:
        busy: a service is on its way to another state, or a stack.
    """

    def __init__(self, registry: Registry) -> None:
        self.busy = False
        self._registry = registry

    def take(self, swarm: Swarm, asked: float, now: float) -> list[Change]:
        """The changes that follow from what the managers answered.

        Args:
            asked: when they were asked; seconds since 1970.
        """
        cluster = self._registry.nodes.cluster
        return list(self._take(swarm, cluster.id, asked, now)) if cluster is not None else []

    def _take(self, swarm: Swarm, cluster: str, asked: float, now: float) -> Iterator[Change]:
        yield from self._registry.nodes.observe(swarm.machines, now)
        services = sorted(swarm.services, key=lambda one: (one.created, one.id))
        places = {one.id: swarm_place(one.id, one.name, one.stack, cluster) for one in services}
        before = {uuid: orders.service for uuid, orders in self._registry.groups.orders.items()}
        tasks: dict[str, list[Task]] = {}
        for task in swarm.tasks:
            tasks.setdefault(task.service, []).append(task)
        down = [node.id for node in self._registry.nodes.all() if node.id and node.state == folds.UNREACHABLE]
        states = {}
        for service in services:
            orders = _orders(service, tasks.get(service.id, ()), down, now)
            states[service.id] = orders.state
            yield from self._registry.groups.order(places[service.id], orders, now)
            self._take_along(places[service.id])
        yield from self._containers(swarm, now)
        for service in services:
            for container, wanted in last(service, tasks.get(service.id, ()), down):
                yield from self._registry.conclude(container, wanted=wanted)
            place = places[service.id].service
            yield from self._settle(place, states[service.id], before.get(place), service, now)
        yield from self._removed({place.service for place in places.values()}, asked, now)
        groups = self._registry.groups
        self.busy = any(not at_rest(orders.state) for orders in groups.orders.values()) or groups.gathering(now)

    def _take_along(self, place: Place) -> None:
        """The containers of a service are where it is, whatever their labels say."""
        containers = self._registry.containers
        for key in self._registry.groups.containers_of(place.service):
            if containers[key].place != place:
                containers[key] = msgspec.structs.replace(containers[key], place=place)

    def _containers(self, swarm: Swarm, now: float) -> Iterator[Change]:
        registry = self._registry
        there = {key: known.container for key, known in registry.containers.items() if known.machine}
        seen = set()
        names = {service: self._name(service) for service in {task.service for task in swarm.tasks}}
        names.update((service.id, service.name) for service in swarm.services)
        yield from registry.sentence(fates(swarm, registry.node.id), restless(swarm), now)
        for node, container in elsewhere(swarm, registry.node.id, there, names):
            seen.add(container.id)
            known = registry.containers.get(container.id)
            if known is None or known.machine:
                yield from registry.observe(container.id, container, now, machine=node)
        for key in there:
            if key not in seen and not registry.containers[key].destroyed:
                yield from registry.observe(key, None, now)

    def _name(self, service: str) -> str:
        """Of a service that was listed once; "" where nobody knows it any more."""
        known = self._registry.groups.services.get(swarm_place(service, "", "", "").service)
        return known.name if known is not None else ""

    def _settle(self, uuid: str, state: str, before: Ordered | None, service: Ordered, now: float) -> Iterator[Change]:
        uri = resource_uri("service", uuid)
        changed = before is None or before.update != service.update
        if changed and service.update is not None:
            yield from self._updating(uri, service.update, now)
        if before is not None and _is_scaled(before, service):
            yield from self._registry.actions.begin(SCALE, uri, service.updated, now)
        yield from self._registry.groups.decide(uuid, state, now)
        if changed and service.update is not None:
            yield from self._updated(uri, service.update, now)
        yield from self._scaled(uri, state, now)

    def _updating(self, uri: str, update: Update, now: float) -> Iterator[Change]:
        """What an update begins; and what a rollback says of the update before it."""
        actions = self._registry.actions
        if not update.state.startswith("rollback"):
            yield from actions.begin(REDEPLOY, uri, update.started, now)
            return
        if update.state == "rollback_started" and _MANUAL not in update.message:
            yield from actions.begin(REDEPLOY, uri, update.started, now)
        yield from actions.end(REDEPLOY, uri, FAILED, now)
        yield from actions.begin(ROLLBACK, uri, update.started, now)

    def _updated(self, uri: str, update: Update, now: float) -> Iterator[Change]:
        if state := _REDEPLOY_ENDS.get(update.state):
            yield from self._registry.actions.end(REDEPLOY, uri, state, now)
        if state := _ROLLBACK_ENDS.get(update.state):
            yield from self._registry.actions.end(ROLLBACK, uri, state, now)

    def _scaled(self, uri: str, state: str, now: float) -> Iterator[Change]:
        actions = self._registry.actions
        since = actions.since(SCALE, uri)
        if since is None or not at_rest(state):
            return
        if state in (folds.RUNNING, folds.STOPPED):
            yield from actions.end(SCALE, uri, SUCCESS, now)
        elif now - since >= SCALE_PATIENCE:
            yield from actions.end(SCALE, uri, FAILED, now)

    def _removed(self, listed: Collection[str], asked: float, now: float) -> Iterator[Change]:
        """What is not listed is removed, or not listed yet."""
        registry = self._registry
        unlisted = {uuid for uuid in registry.groups.orders if uuid not in listed}
        for known in registry.containers.values():
            uuid = known.place.service
            if known.destroyed or uuid in listed or not is_task(known.container.labels):
                continue
            if registry.groups.services[uuid].created < asked:
                unlisted.add(uuid)
        for uuid in sorted(unlisted):
            # Of a job what ended is kept.
            for key in registry.groups.containers_of(uuid):
                yield from registry.conclude(key, wanted=False)
        yield from registry.actions.follow(registry.groups.unlist(sorted(unlisted), now), now)


def _orders(service: Ordered, tasks: Collection[Task], down: Collection[str], now: float) -> Orders:
    wrong = trouble(service, tasks, down)
    return Orders(
        state=service_state(service, tasks, down, now),
        service=service,
        count=count(service, tasks, down),
        problem=wrong.error if wrong is not None else "",
    )


def _is_scaled(before: Ordered, after: Ordered) -> bool:
    rolled_back = after.update != before.update and after.update is not None and "rollback" in after.update.state
    return before.replicas != after.replicas and after.replicas is not None and not rolled_back
