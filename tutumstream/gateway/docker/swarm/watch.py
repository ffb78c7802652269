"""Asks the managers of a swarm again and again: tasks send no events at all, and what is sent of the rest is no truth.

Rarely as long as nothing moves, at once after a hint, and often while a service is on its way to another state.
"""

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tutumstream.errors import DockerError
from tutumstream.gateway.docker.facts import Engine
from tutumstream.gateway.docker.nodes import is_settled
from tutumstream.gateway.docker.swarm.facts import Swarm

AT_REST: Final = 5.0
BUSY: Final = 0.5

FOLLOWED: Final = 3.0
"""Seconds after a hint for which it is asked often: what follows from it comes without one."""

BUSY_FOR: Final = 60.0
"""Seconds after the last hint for which it is asked often while something moves; that may be for ever."""

SOON: Final = 0.03
"""Seconds from a hint to the question: hints come in bursts."""

STRANGER: Final = 60.0
"""Seconds after which an engine that is no manager is asked whether it has become one. It sends no event of that."""


class SwarmWatch:
    """Watches as long as one connection lasts.

    Args:
        info, swarm: ask the engine for itself, and for its swarm.
        described: takes what an engine says of itself.
        counted: takes what the managers said, with the time they were asked at; returns whether something moves.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        info: Callable[[], Deferred[Engine]],
        swarm: Callable[[], Deferred[Swarm]],
        described: Callable[[Engine], None],
        counted: Callable[[Swarm, float], bool],
    ) -> None:
        self._clock = clock
        self._info = info
        self._swarm = swarm
        self._described = described
        self._counted = counted
        self._engine = Engine()
        self._doubt = False
        self._troubled = False
        self._hinted = -BUSY_FOR
        self._next: IDelayedCall | None = None
        self._asking: Deferred[None] | None = None
        self._again: float | None = None
        self._stopped = False

    def look(self, engine: Engine | None) -> Deferred[None]:
        """Ask for everything now, then go on asking. Never fails: without its swarm an engine is still an engine.

        Args:
            engine: what it said of itself just now, if it did.
        """
        if engine is None:
            return self._ask()
        self._meet(engine)
        return self._ask(known=True)

    def hint(self) -> None:
        """Something happened to a service, a node or the container of a task."""
        self._hinted = self._clock.seconds()
        self._schedule(SOON)

    def stop(self) -> None:
        """Ask no more."""
        self._stopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._asking is not None:
            self._asking.cancel()

    @property
    def _manages(self) -> bool:
        """The engine is a manager of a swarm, as far as is known."""
        return self._engine.swarm is not None and self._engine.swarm.manager

    def _ask(self, known: bool = False) -> Deferred[None]:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        asking: Deferred[None] = Deferred.fromCoroutine(self._once(known))
        self._asking = asking
        return asking.addErrback(self._bug).addCallback(self._asked)

    async def _once(self, known: bool) -> None:
        try:
            if not known and (self._doubt or not self._manages):
                # It may have joined, left, or been promoted; all that is known is that it is not as it was.
                self._meet(await self._info())
                self._described(self._engine)
            if self._manages:
                asked = self._clock.seconds()
                moving = self._counted(await self._swarm(), asked)
                if self._clock.seconds() < self._hinted + (BUSY_FOR if moving else FOLLOWED):
                    self._again = BUSY if self._again is None else self._again
        except CancelledError:
            return
        except DockerError as problem:
            self._fail(problem)
            return
        if self._troubled:
            self._troubled = False
            self.log.info("The swarm's managers answer again")

    def _meet(self, engine: Engine) -> None:
        self._engine = engine
        self._doubt = engine.swarm is not None and not is_settled(engine.swarm)

    def _fail(self, problem: DockerError) -> None:
        self._doubt = True
        if not self._troubled:
            self._troubled = True
            self.log.warn("The swarm can't be looked at, only this engine's containers: {problem}", problem=problem)

    def _asked(self, _: None) -> None:
        self._asking = None
        again, self._again = self._again, None
        if again is not None:
            self._schedule(again)
        elif self._manages or self._doubt:
            self._schedule(AT_REST)
        elif self._engine.swarm is not None:
            self._schedule(STRANGER)

    def _schedule(self, seconds: float) -> None:
        if self._stopped:
            return
        if self._asking is not None:
            self._again = seconds
            return
        due = self._clock.seconds() + seconds
        if self._next is not None:
            if self._next.getTime() <= due:
                return
            self._next.cancel()
        self._next = self._clock.callLater(seconds, self._due)

    def _due(self) -> None:
        self._next = None
        self._ask()

    def _bug(self, reason: Failure) -> None:
        self.log.failure("Asking the swarm's managers ended by a bug", reason)
