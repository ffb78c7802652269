"""What the scenario's containers would have written, made up line by line."""

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from tutumstream.gateway.platform import ILogReader, ILogs, LogLine
from tutumstream.gateway.scenario.objects import Container, Service
from tutumstream.gateway.scenario.shapes import container_name
from tutumstream.gateway.scenario.world import World

EVERY: Final = 2
"""Seconds between two lines of one container."""


@implementer(ILogs)
class Chatter:
    """A reading: as many lines as the past is asked for, one every two seconds since the container started, then more.

    Args:
        one: a container, or a service for all of its containers.
    """

    def __init__(
        self, clock: IReactorTime, world: World, one: Container | Service, tail: int, follow: bool, reader: ILogReader
    ) -> None:
        self._clock = clock
        self._world = world
        self._one = one
        self._reader = reader
        self._until = int(clock.seconds())
        self._more = LoopingCall(self._tell)
        self._more.clock = clock
        lines = [line for container in self._containers() for line in self._lines(container, 0, self._until)]
        for line in sorted(lines, key=lambda line: line.timestamp)[-tail:] if tail else ():
            reader.line(line)
        if follow:
            self._more.start(EVERY, now=False)
        else:
            reader.ended()

    def pause(self) -> None:
        """Two lines a second are not worth holding back."""

    def resume(self) -> None:
        """Nothing was held back."""

    def close(self) -> None:
        """No more lines."""
        if self._more.running:
            self._more.stop()

    def _tell(self) -> None:
        now = int(self._clock.seconds())
        for container in self._containers():
            for line in self._lines(container, self._until, now):
                self._reader.line(line)
        self._until = now

    def _containers(self) -> list[Container]:
        if isinstance(self._one, Service):
            return self._world.containers(self._one)
        now = self._world.find("container", self._one.uuid)
        return [now] if isinstance(now, Container) else []

    def _lines(self, container: Container, since: int, until: int) -> list[LogLine]:
        if container.started is None:
            return []
        end = int(container.stopped) if container.stopped is not None else until
        first = max(since, int(container.started), end - 300 * EVERY)
        source = container_name(container, self._world)
        return [
            LogLine(text=_said(at), stream="stderr" if at % 10 == 0 else "stdout", timestamp=at, source=source)
            for at in range(first + first % EVERY, min(end, until), EVERY)
        ]


def _said(at: int) -> str:
    return f"GET /basket/{at % 1000} 200\n" if at % 10 else f"slow answer: {at % 900 + 100} ms\n"
