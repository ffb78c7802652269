"""The time that exchanges have, kept by one timer for all of them: setting and cancelling one each costs too much."""

from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime


class Due(Protocol):
    """What ends at a time.

    Attributes:
        deadline: in the clock's seconds.
    """

    deadline: float

    def expire(self) -> None:
        """The time has come."""


class Deadlines:
    """Tells each that is still held when its time has come.

    The timer is set for the earliest deadline that was ever told, and looks for the next one only when it fires: with
    ten seconds for each of thousands of exchanges, that is once in ten seconds.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._held: set[Due] = set()
        self._fires_at = float("inf")
        self._timer: Any = None
        self.discard = self._held.discard
        """Forget one, whether it is held or not."""

    def add(self, due: Due) -> None:
        """Hold it until it is discarded or expires."""
        self._held.add(due)
        if due.deadline < self._fires_at:
            self._set(due.deadline)

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = at
        self._timer = self._clock.callLater(max(0.0, at - self._clock.seconds()), self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._fires_at = float("inf")
        now = self._clock.seconds()
        for due in [due for due in self._held if due.deadline <= now]:
            if due in self._held:
                self._held.discard(due)
                due.expire()
        if self._held:
            self._set(min(due.deadline for due in self._held))
