"""A worker that tests hold in their hands."""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, maybeDeferred

T = TypeVar("T")


class HeldWorker:
    """Runs one piece of work each time it is told to."""

    def __init__(self) -> None:
        self.held: deque[Callable[[], None]] = deque()

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Hold it."""
        done: Deferred[T] = Deferred()

        def begin() -> None:
            maybeDeferred(work).chainDeferred(done)

        self.held.append(begin)
        return done

    def release(self) -> None:
        """Run the oldest."""
        self.held.popleft()()

    def release_all(self) -> None:
        """Run whatever is held, and what comes of it."""
        while self.held:
            self.release()
