"""The words that the scenario's chapters are made of: new objects, and what becomes of old ones."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from tutumstream.gateway.scenario.objects import Action, Container, Node, Object, Service, Stack, uri
from tutumstream.gateway.scenario.world import World

PAUSES: Final = (1.2, 2.8)
"""Seconds between two steps, least and most."""

RETENTION: Final = 10.0
"""Seconds for which a terminated object is still shown. With more, clients that go by name would find two of it."""


SEEN_EVERY: Final = 30.0
"""Seconds between two reports of a node."""


class Stage:
    """Makes objects and their next states; only `purge` and `see_nodes` change the world by themselves.

    Args:
        world: where the objects are.
        now: seconds since 1970.
        random: decides what varies, uuids too.
    """

    def __init__(self, world: World, now: Callable[[], float], random: Random) -> None:
        self.world = world
        self.now = now
        self._random = random
        self._addresses = 0

    def uuid(self) -> str:
        """A new one, in the form of version 4: clients take anything else for a name (protocol B1)."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def pause(self) -> float:
        """Seconds until the next step."""
        return self._random.uniform(*PAUSES)

    def service(self, stack: Stack, name: str) -> Service:
        """A stack's service by its name."""
        return next(one for one in self.world.services(stack) if one.blueprint.name == name)

    def live(self, service: Service) -> list[Container]:
        """A service's containers that are not terminated."""
        return [one for one in self.world.containers(service) if one.state != "Terminated"]

    def see_nodes(self) -> None:
        """Note, now and then, that every node that can be reached was heard of just now."""
        for one in self.world.all(Node):
            if one.state != "Unreachable" and one.last_seen + SEEN_EVERY <= self.now():
                self.world.furnish(replace(one, last_seen=self.now()))

    def purge(self) -> None:
        """Forget what was terminated long enough ago, parts before wholes."""
        mortal: list[Container | Service | Stack] = [
            *self.world.all(Container),
            *self.world.all(Service),
            *self.world.all(Stack),
        ]
        for one in mortal:
            if one.destroyed is not None and one.destroyed + RETENTION <= self.now():
                self.world.remove(one)

    def asked(self, subject: Object, name: str, verb: str, method: str = "POST", body: str = "") -> Action:
        """An action that begins now."""
        subject_uri = uri(subject.kind, subject.uuid)
        return Action(
            uuid=self.uuid(),
            subject=subject_uri,
            name=name,
            method=method,
            path=subject_uri + verb,
            body=body,
            started=self.now(),
            state="In progress",
        )

    def over(self, action: Action, state: str = "Success") -> Action:
        """The action, ended now."""
        return replace(action, state=state, ended=self.now())

    def new(self, service: Service, numbers: list[int]) -> list[Container]:
        """Containers for these numbers, each on the node that has the fewest (EMPTIEST_NODE)."""
        nodes = [one for one in self.world.all(Node) if one.state == "Deployed"]
        load = {one.uuid: 0 for one in nodes}
        for container in self.world.all(Container):
            if container.state != "Terminated" and container.node in load:
                load[container.node] += 1
        made = []
        for number in numbers:
            node = min(nodes, key=lambda one: load[one.uuid])
            load[node.uuid] += 1
            self._addresses = self._addresses % 60_000 + 1
            made.append(
                Container(
                    uuid=self.uuid(),
                    service=service.uuid,
                    node=node.uuid,
                    number=number,
                    address=f"10.7.{self._addresses // 250}.{self._addresses % 250 + 2}",
                    deployed=self.now(),
                    state="Starting",
                )
            )
        return made

    def running(self, *containers: Container) -> list[Container]:
        """The containers, started now."""
        return [replace(one, state="Running", started=self.now(), stopped=None, exit_code=None) for one in containers]

    def stopped(self, exit_code: int, *containers: Container) -> list[Container]:
        """The containers, dead since now."""
        return [replace(one, state="Stopped", stopped=self.now(), exit_code=exit_code) for one in containers]

    def terminated(self, *containers: Container) -> list[Container]:
        """The containers, gone for good."""
        return [
            replace(one, state="Terminated", stopped=self.now(), destroyed=self.now(), exit_code=one.exit_code or 0)
            for one in containers
        ]
