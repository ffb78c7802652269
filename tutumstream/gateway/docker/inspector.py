"""Looks at containers: each by one request at a time, and only so many at once.

A container that is marked again while it is looked at is looked at once more after that, so what is observed last was
asked for after the last hint; a thousand hints cost two requests.
"""

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from tutumstream.errors import DockerError
from tutumstream.gateway.docker.facts import Container

IN_FLIGHT: Final = 8

Inspect = Callable[[str], Deferred[Container | None]]
Observe = Callable[[str, Container | None], None]


class Inspector:
    """The queue of containers to look at.

    Args:
        inspect: asks the engine for one.
        observe: takes what was found. Called in order for each container.
    """

    log = Logger()

    def __init__(self, inspect: Inspect, observe: Observe, in_flight: int = IN_FLIGHT) -> None:
        self._inspect = inspect
        self._observe = observe
        self._in_flight = in_flight
        self._waiting: dict[str, None] = {}
        self._looking: dict[str, Deferred[None]] = {}
        self._failed: dict[str, None] = {}
        self._unreadable: set[str] = set()
        self._settled: list[Deferred[None]] = []
        self._awaited: dict[str, dict[Deferred[None], None]] = {}
        self._pumping = False

    def mark(self, container: str) -> None:
        """Look at it, soon."""
        self._failed.pop(container, None)
        self._waiting[container] = None
        self._pump()

    def follow(self, container: str, *, look: bool, final: bool) -> None:
        """Something was heard of it.

        Args:
            look: it is to be looked at.
            final: whatever is asked about it, and was not answered yet, is of no use any more.
        """
        if final:
            self._forget(container)
        if look:
            self.mark(container)
        self._release(container)

    def _forget(self, container: str) -> None:
        self._failed.pop(container, None)
        self._unreadable.discard(container)
        self._waiting.pop(container, None)
        looking = self._looking.get(container)
        if looking is not None:
            looking.cancel()

    def retry(self) -> None:
        """Look again at those that could not be looked at."""
        for container in list(self._failed):
            self.mark(container)

    def look(self, container: str) -> Deferred[None]:
        """Look at it, unless somebody does; fires when that is over, or given up."""
        done: Deferred[None] = Deferred(lambda given_up: self._awaited.get(container, {}).pop(given_up, None))
        self._awaited.setdefault(container, {})[done] = None
        if container not in self._looking:
            self.mark(container)
        return done

    def settled(self) -> Deferred[None]:
        """Fires when nothing waits and nothing is looked at."""
        done: Deferred[None] = Deferred()
        self._settled.append(done)
        self._pump()
        return done

    def clear(self) -> None:
        """Forget everything that was marked and drop what is being looked at; `settled` then never fires."""
        self._waiting.clear()
        self._failed.clear()
        self._unreadable.clear()
        self._settled.clear()
        for looking in list(self._looking.values()):
            looking.cancel()
        for container in list(self._awaited):
            self._release(container)

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        while len(self._looking) < self._in_flight:
            container = next((key for key in self._waiting if key not in self._looking), None)
            if container is None:
                break
            del self._waiting[container]
            self._begin(container)
        self._pumping = False
        if not self._waiting and not self._looking:
            settled, self._settled = self._settled, []
            for done in settled:
                done.callback(None)

    def _begin(self, container: str) -> None:
        looking = self._looking[container] = Deferred.fromCoroutine(self._look_at(container))
        looking.addErrback(lambda reason: self.log.failure("{container} was not taken", reason, container=container))
        looking.addBoth(lambda _: self._done(container))

    async def _look_at(self, container: str) -> None:
        try:
            seen = await self._inspect(container)
        except CancelledError:
            return
        except DockerError as problem:
            if container not in self._unreadable:
                self._unreadable.add(container)
                self.log.warn(
                    "Container {container} can't be looked at, and is tried again until it can: {problem}",
                    container=container[:12],
                    problem=problem,
                )
            self._failed[container] = None
            return
        self._unreadable.discard(container)
        self._observe(container, seen)

    def _done(self, container: str) -> None:
        del self._looking[container]
        self._release(container)
        self._pump()

    def _release(self, container: str) -> None:
        if container not in self._waiting and container not in self._looking:
            for done in self._awaited.pop(container, ()):
                done.callback(None)
