"""Services and stacks: what containers make together, and the changes of it. Pure.

They exist as long as a container belongs to them or a swarm's managers list them, and are shown for a while after
that.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from tutumstream.docker_details import ERROR_LIMIT, NAME_LIMIT, DockerDetails
from tutumstream.gateway.docker import folds
from tutumstream.gateway.docker.identity import Place, resource_uri, service_nickname
from tutumstream.gateway.docker.swarm.facts import Ordered
from tutumstream.gateway.docker.swarm.folds import Count
from tutumstream.gateway.platform import Change

GATHERING: Final = 1.0
"""Seconds after the order of a service in which more of its stack may follow: `docker stack deploy` orders one after
the other, and the first may run before the last is ordered."""


class Member(msgspec.Struct, frozen=True):
    """What a service needs to know of one of its containers.

    Attributes:
        replaced: Compose exchanges it just now.
        past: it has ended for good, and another one takes its place.
    """

    state: str
    replaced: bool = False
    past: bool = False


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a swarm's managers say about a service: its state, and how much of it runs.

    Attributes:
        service: None once they don't list it any more.
        problem: why not all of it runs.
    """

    state: str
    service: Ordered | None = None
    count: Count = Count(0, 0)
    problem: str = ""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A service. Times are seconds since 1970; `destroyed` is 0 while it lives."""

    uuid: str
    name: str
    stack: str | None
    state: str
    created: float
    destroyed: float = 0.0
    by_swarm: bool = False

    @property
    def uri(self) -> str:
        return resource_uri("service", self.uuid)

    @property
    def parents(self) -> tuple[str, ...]:
        return (resource_uri("stack", self.stack),) if self.stack else ()


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """A stack. Times are seconds since 1970; `destroyed` is 0 while it lives."""

    uuid: str
    name: str
    state: str
    created: float
    destroyed: float = 0.0
    by_swarm: bool = False

    @property
    def uri(self) -> str:
        return resource_uri("stack", self.uuid)


class Groups:
    """All services and stacks of one engine."""

    def __init__(self) -> None:
        self.services: Final[dict[str, Service]] = {}
        self.stacks: Final[dict[str, Stack]] = {}
        self.orders: Final[dict[str, Orders]] = {}
        self._members: Final[dict[str, dict[str, Member]]] = {}
        self._services_of: Final[dict[str, dict[str, None]]] = {}

    def ordered(self, place: Place) -> Place:
        """A place, in the stack that the managers of a swarm have its service in, whatever labels say."""
        service = self.services.get(place.service)
        if service is None or service.destroyed or place.service not in self.orders:
            return place
        stack = self.stacks[service.stack].name if service.stack else ""
        return msgspec.structs.replace(place, stack=service.stack, stack_name=stack)

    def containers_of(self, service: str) -> list[str]:
        """The ids of the containers that belong to it now."""
        return list(self._members.get(service, ()))

    def services_of(self, stack: str) -> list[str]:
        """The uuids of the services that belong to it now."""
        return list(self._services_of.get(stack, ()))

    def place(self, place: Place, container: str, member: Member, now: float) -> Iterator[Change]:
        """Put a container's newest state where it belongs. Tells of the service and the stack if they are new by that:
        the stack comes before its first service, and a service before its first container."""
        self._members.setdefault(place.service, {})[container] = member
        known = self.services.get(place.service)
        if known is None or known.destroyed:
            yield from self._raise(place, now)

    def _raise(self, place: Place, now: float) -> Iterator[Change]:
        known = self.services.get(place.service)
        if place.stack is not None:
            self._services_of.setdefault(place.stack, {})[place.service] = None
        service = Service(
            uuid=place.service,
            name=place.service_name,
            stack=place.stack,
            state=self._fold_service(place.service),
            created=known.created if known else now,
            by_swarm=place.by_swarm,
        )
        self.services[place.service] = service
        yield from self._raise_stack(place, now)
        yield self._change(service, "create")

    def order(self, place: Place, orders: Orders, now: float) -> Iterator[Change]:
        """Take what a swarm's managers say about a service, but for its state: that is left to `decide`, once all of
        its containers are known. Tells of it, and of its stack, if they are new by that."""
        known = self.services.get(place.service)
        # However fast it was, nothing runs at once.
        begun = folds.STARTING if orders.state in _BEGUN else orders.state
        state = begun if known is None or known.destroyed else known.state
        self._members.setdefault(place.service, {})
        self.orders[place.service] = msgspec.structs.replace(orders, state=state)
        if known is None or known.destroyed:
            yield from self._raise(place, now)
        elif known.stack != place.stack:
            yield from self._move(known, place, now)

    def _move(self, known: Service, place: Place, now: float) -> Iterator[Change]:
        """To another stack, into one or out of it: what its managers say goes before the labels of its containers."""
        if known.stack is not None:
            del self._services_of[known.stack][known.uuid]
        moved = self.services[known.uuid] = msgspec.structs.replace(known, stack=place.stack)
        if place.stack is not None:
            self._services_of.setdefault(place.stack, {})[known.uuid] = None
        yield from self._raise_stack(place, now)
        yield self._change(moved, "update")
        for stack in (known.stack, place.stack):
            if stack is not None:
                yield from self._settle_stack(stack, now)

    def unlist(self, services: Iterable[str], now: float) -> Iterator[Change]:
        """A swarm's managers don't list these any more. A stack that goes with its services goes in one step."""
        stacks: dict[str, None] = {}
        for service in services:
            self.orders[service] = Orders(state=folds.TERMINATING)
            yield from self._settle_service(service, now)
            if stack := self.services[service].stack:
                stacks[stack] = None
        for stack in stacks:
            yield from self._settle_stack(stack, now)

    def decide(self, service: str, state: str, now: float) -> Iterator[Change]:
        """The state that its managers say it is in."""
        if state == folds.SCALING and self.services[service].state == folds.STARTING:
            # Some of it runs, for the first time or again: it is still starting.
            state = folds.STARTING
        self.orders[service] = msgspec.structs.replace(self.orders[service], state=state)
        yield from self.settle(service, now)

    def gathering(self, now: float) -> bool:
        """Whether a stack has yet to be told to run, though all of it does: `settle` tells it, a little later."""
        return any(
            not stack.destroyed and stack.state != self._fold_stack(stack.uuid, now + GATHERING)
            for stack in self.stacks.values()
        )

    def remove(self, service: str, container: str) -> None:
        """The container belongs there no more; `settle` draws the conclusions."""
        self._members.get(service, {}).pop(container, None)

    def settle(self, service: str, now: float) -> Iterator[Change]:
        """Fold a service and its stack again, and tell what changed by it."""
        known = self.services[service]
        if known.destroyed:
            return
        yield from self._settle_service(service, now)
        if known.stack is not None:
            yield from self._settle_stack(known.stack, now)

    def _settle_service(self, service: str, now: float) -> Iterator[Change]:
        known = self.services[service]
        orders = self.orders.get(service)
        gone = not self._members[service] and (orders is None or orders.service is None)
        state = folds.TERMINATED if gone else self._fold_service(service)
        if gone:
            del self._members[service]
            self.orders.pop(service, None)
            if known.stack is not None:
                del self._services_of[known.stack][service]
        if state != known.state or gone:
            known = msgspec.structs.replace(known, state=state, destroyed=now if gone else 0.0)
            self.services[service] = known
            yield self._change(known, "delete" if gone else "update")

    def recall(self, services: Iterable[Service], stacks: Iterable[Stack], orders: Mapping[str, Orders]) -> None:
        """Go on from what was told before a restart. Their containers come afterwards (`recall_member`)."""
        self.stacks.update({stack.uuid: stack for stack in stacks})
        self.orders.update(orders)
        for service in services:
            self.services[service.uuid] = service
            if service.destroyed:
                continue
            self._members[service.uuid] = {}
            if service.stack is not None:
                self._services_of.setdefault(service.stack, {})[service.uuid] = None

    def recall_member(self, service: str, container: str, member: Member) -> None:
        """A container that belonged to a service before a restart."""
        self._members[service][container] = member

    def purge(self, before: float) -> None:
        """Forget what was destroyed before this time."""
        for uuid in _outdated(self.services.values(), before):
            del self.services[uuid]
        for uuid in _outdated(self.stacks.values(), before):
            del self.stacks[uuid]

    def _raise_stack(self, place: Place, now: float) -> Iterator[Change]:
        known = self.stacks.get(place.stack) if place.stack is not None else None
        if place.stack is None or (known is not None and not known.destroyed):
            return
        stack = Stack(
            uuid=place.stack,
            name=place.stack_name,
            state=self._fold_stack(place.stack, now),
            created=known.created if known else now,
            by_swarm=place.by_swarm,
        )
        self.stacks[place.stack] = stack
        yield Change(type="stack", action="create", state=stack.state, resource_uri=stack.uri)

    def _settle_stack(self, uuid: str, now: float) -> Iterator[Change]:
        known = self.stacks[uuid]
        gone = not self._services_of[uuid]
        state = folds.TERMINATED if gone else self._fold_stack(uuid, now)
        if gone:
            del self._services_of[uuid]
        if state != known.state or gone:
            known = msgspec.structs.replace(known, state=state, destroyed=now if gone else 0.0)
            self.stacks[uuid] = known
            yield Change(type="stack", action="delete" if gone else "update", state=state, resource_uri=known.uri)

    def _change(self, service: Service, action: str) -> Change:
        return Change(
            type="service",
            action=action,
            state=service.state,
            resource_uri=service.uri,
            parents=service.parents,
            docker=self.about(service),
        )

    def about(self, service: Service) -> DockerDetails:
        """Which service it is, as people call it, and what is wrong with it, in the words of its swarm."""
        stack, orders = self.stacks.get(service.stack or ""), self.orders.get(service.uuid)
        problem = orders.problem if orders is not None and not service.destroyed else ""
        whole = stack.name if stack else ""
        return DockerDetails(
            name=service_nickname(service.name, whole)[:NAME_LIMIT],
            service=service.name[:NAME_LIMIT],
            stack=whole[:NAME_LIMIT],
            expected=not problem,
            error=problem[:ERROR_LIMIT],
        )

    def _fold_service(self, uuid: str) -> str:
        if uuid in self.orders:
            return self.orders[uuid].state
        everybody = self._members[uuid].values()
        members = [member for member in everybody if not member.past] or everybody
        return folds.service_state(
            [member.state for member in members if not member.replaced],
            [member.state for member in members if member.replaced],
        )

    def _fold_stack(self, uuid: str, now: float) -> str:
        services = self._services_of[uuid]
        state = folds.stack_state([self.services[service].state for service in services])
        known = self.stacks.get(uuid)
        if state != folds.RUNNING or (known is not None and known.state == folds.RUNNING):
            return state
        orders = [self.orders[service].service for service in services if service in self.orders]
        fresh = any(order and 0 <= now - order.created / 1e9 < GATHERING for order in orders)
        return folds.STARTING if fresh else state


_BEGUN: Final = frozenset({folds.RUNNING, folds.PARTLY_RUNNING, folds.NOT_RUNNING, folds.SCALING})


def _outdated(rows: Iterable[Service | Stack], before: float) -> list[str]:
    return [row.uuid for row in rows if row.destroyed and row.destroyed < before]
