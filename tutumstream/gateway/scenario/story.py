"""The scenario's story: the endless days of a shop with three services on two machines.

Each chapter is a generator: it changes the world, then yields the seconds until it goes on. The first day begins with
one of everything, in an order that shows every kind of message within a minute; after that, chance decides.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Final

from tutumstream.gateway.scenario.blueprints import BLUEPRINTS, STACK, WEB
from tutumstream.gateway.scenario.objects import Action, Container, Node, NodeCluster, Service, Stack
from tutumstream.gateway.scenario.stage import PAUSES, Stage
from tutumstream.gateway.scenario.world import World

FIRST_PAUSE: Final = 1.0

INTERRUPTION: Final = 5.0
"""Seconds without a change after the stream was lost: a client shall be back before there is something to miss."""

Steps = Iterator[float]


class Story:
    """Changes the world, step by step, for ever.

    Args:
        world: empty.
        now: seconds since 1970.
        random: decides everything that may vary, uuids too; the same seed tells the same story.
        interrupt: called where the stream itself is to be lost for a moment.
    """

    def __init__(self, world: World, now: Callable[[], float], random: Random, interrupt: Callable[[], object]) -> None:
        self._world = world
        self._now = now
        self._random = random
        self._interrupt = interrupt
        self._stage = Stage(world, now, random)

    def steps(self) -> Steps:
        """The whole story: each value is the time to wait before the next is asked for. Never ends."""
        cluster = NodeCluster(uuid=self._stage.uuid(), name="production", deployed=self._now())
        nodes = [
            Node(
                uuid=self._stage.uuid(),
                cluster=cluster.uuid,
                address=f"198.51.100.{10 + number}",
                deployed=self._now(),
                last_seen=self._now(),
            )
            for number in (1, 2)
        ]
        self._world.furnish(cluster, *nodes)
        yield FIRST_PAUSE
        days = self._days()
        while True:
            yield next(days)
            self._stage.purge()
            self._stage.see_nodes()

    def _days(self) -> Steps:
        stack = self._define()
        yield self._stage.pause()
        yield from self._deploy(stack)
        yield from self._lose_stream()
        opening = (self._crash, self._scale_up, self._lose_node, self._scale_down)
        for chapter in opening:
            yield from chapter(self._world.get(Stack, stack.uuid))
        while True:
            chapters = [self._crash, self._redeploy, self._scale_up, self._lose_node, self._scale_down, self._crash]
            self._random.shuffle(chapters)
            for chapter in chapters:
                yield from chapter(self._world.get(Stack, stack.uuid))
            yield from self._terminate(stack)
            yield from self._upgrade_nodes()
            yield from self._lose_stream()
            stack = self._define()
            yield self._stage.pause()
            yield from self._deploy(stack)

    def _restart(self, containers: list[Container]) -> Steps:
        """What autorestart ALWAYS does to containers that stopped."""
        starting = [replace(one, state="Starting") for one in containers]
        self._world.put(*starting)
        yield self._stage.pause()
        self._world.put(*self._stage.running(*starting))
        yield self._stage.pause()

    def _define(self) -> Stack:
        """A stack that was written down and not yet started."""
        stack = Stack(uuid=self._stage.uuid(), name=STACK, deployed=self._now())
        services = [
            Service(uuid=self._stage.uuid(), stack=stack.uuid, blueprint=one, target=one.size, deployed=self._now())
            for one in BLUEPRINTS
        ]
        self._world.put(stack, *services)
        return stack

    def _deploy(self, stack: Stack) -> Steps:
        action = self._stage.asked(stack, "Stack Start", "start/")
        stack = replace(stack, doing="Starting")
        self._world.put(action, stack)
        yield self._stage.pause()
        for service in self._world.services(stack):
            containers = self._stage.new(service, list(range(1, service.target + 1)))
            self._world.put(replace(service, doing="Starting"), *containers)
            yield self._stage.pause()
            self._world.put(*self._stage.running(*containers), replace(service, doing=""))
            yield self._stage.pause()
        self._world.put(replace(stack, doing=""), self._stage.over(action))
        yield self._stage.pause()

    def _lose_stream(self) -> Steps:
        self._interrupt()
        yield INTERRUPTION

    def _crash(self, stack: Stack) -> Steps:
        victims = [one for service in self._world.services(stack) for one in self._stage.live(service)]
        victim = self._random.choice(victims)
        stopped = self._stage.stopped(self._random.choice((1, 137, 139)), victim)
        self._world.put(*stopped)
        yield self._stage.pause()
        yield from self._restart(stopped)

    def _scale_up(self, stack: Stack) -> Steps:
        service = self._stage.service(stack, WEB)
        numbers = {one.number for one in self._stage.live(service)}
        number = next(number for number in range(1, len(numbers) + 2) if number not in numbers)
        action, service = self._begin_scaling(service, service.target + 1)
        containers = self._stage.new(service, [number])
        self._world.put(action, service, *containers)
        yield self._stage.pause()
        self._world.put(*self._stage.running(*containers), replace(service, doing=""), self._stage.over(action))
        yield self._stage.pause()

    def _scale_down(self, stack: Stack) -> Steps:
        service = self._stage.service(stack, WEB)
        last = max(self._stage.live(service), key=lambda one: one.number)
        action, service = self._begin_scaling(service, service.target - 1)
        self._world.put(action, service, replace(last, state="Terminating"))
        yield self._stage.pause()
        self._world.put(*self._stage.terminated(last), replace(service, doing=""), self._stage.over(action))
        yield self._stage.pause()

    def _begin_scaling(self, service: Service, target: int) -> tuple[Action, Service]:
        action = self._stage.asked(service, "Service Scale", "scale/", body=f'{{"target_num_containers": {target}}}')
        return action, replace(service, doing="Scaling", target=target)

    def _lose_node(self, stack: Stack) -> Steps:
        used = {one.node for service in self._world.services(stack) for one in self._stage.live(service)}
        node = self._world.get(Node, self._random.choice(sorted(used)))
        self._world.put(replace(node, state="Unreachable"))
        yield self._stage.pause()
        check = self._stage.asked(node, "Node Health Check", "health-check/")
        self._world.put(check)
        yield self._stage.pause()
        self._world.put(self._stage.over(check, "Failed"))
        yield self._stage.pause()
        self._world.put(replace(node, state="Deployed", last_seen=self._now()))
        yield self._stage.pause()
        # It was switched off and on again: what ran there did not survive, and nobody saw it stop.
        stopped = self._stage.stopped(137, *(one for one in self._world.all(Container) if _runs_on(one, node)))
        self._world.put(*stopped)
        yield self._stage.pause()
        yield from self._restart(stopped)

    def _redeploy(self, stack: Stack) -> Steps:
        service = self._stage.service(stack, WEB)
        action = self._stage.asked(service, "Service Redeploy", "redeploy/")
        self._world.put(action, replace(service, doing="Redeploying"))
        yield self._stage.pause()
        for old in self._stage.live(service):
            self._world.put(replace(old, state="Terminating"))
            yield self._stage.pause()
            new = self._stage.new(service, [old.number])
            self._world.put(*self._stage.terminated(old), *new)
            yield self._stage.pause()
            self._world.put(*self._stage.running(*new))
            yield self._stage.pause()
        self._world.put(replace(service, doing=""), self._stage.over(action))
        yield self._stage.pause()

    def _terminate(self, stack: Stack) -> Steps:
        """The end of a stack: what is left of it is purged while other things go on."""
        action = self._stage.asked(stack, "Stack Terminate", "", method="DELETE")
        stack = replace(stack, doing="Terminating")
        self._world.put(action, stack)
        yield self._stage.pause()
        for service in self._world.services(stack):
            containers = self._stage.live(service)
            self._world.put(
                replace(service, doing="Terminating"), *(replace(one, state="Terminating") for one in containers)
            )
            yield self._stage.pause()
            self._world.put(*self._stage.terminated(*containers), replace(service, doing="", destroyed=self._now()))
            yield self._stage.pause()
        self._world.put(replace(stack, doing="", destroyed=self._now()), self._stage.over(action))
        yield self._stage.pause()

    def _upgrade_nodes(self) -> Steps:
        """Between two days, when the nodes are empty. Takes long enough for all of the old stack to be purged."""
        for node in self._world.all(Node):
            action = self._stage.asked(node, "Node Docker Upgrade", "docker-upgrade/")
            self._world.put(action, replace(node, state="Upgrading"))
            yield 2 * PAUSES[1]
            self._world.put(replace(node, state="Deployed"), self._stage.over(action))
            yield self._stage.pause()


def _runs_on(container: Container, node: Node) -> bool:
    return container.node == node.uuid and container.state == "Running"
