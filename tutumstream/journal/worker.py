"""Where the journal's SQL runs: in one thread, always the same."""

from collections.abc import Callable
from threading import Thread
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

T = TypeVar("T")


class Worker(Protocol):
    """Runs functions one after the other, in the order asked."""

    def start(self) -> None:
        """Be ready to run."""

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Fires with what the function returns, or fails with what it raises."""

    def stop(self) -> None:
        """Let go; nothing runs any more when this returns. It can be started again."""


class ThreadWorker:
    """A thread of its own, so that waiting for the disk never holds up the reactor."""

    def __init__(self, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor
        self._pool: ThreadPool | None = None

    def start(self) -> None:
        """Start the thread."""
        self._pool = ThreadPool(1, 1, name="journal")
        # A process that ends without closing the journal must not wait for it: that is as safe as being killed.
        self._pool.threadFactory = _daemon  # type: ignore[assignment]  # the documented seam
        self._pool.start()

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Run it in the thread; fires in the reactor's."""
        if self._pool is None:
            return fail(RuntimeError("not started"))
        return deferToThreadPool(self._reactor, self._pool, work)

    def stop(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.stop()
            self._pool = None


class InlineWorker:
    """The caller's own thread, at once: for tests, and for commands that have no reactor."""

    def start(self) -> None:
        """Nothing to start."""

    def run(self, work: Callable[[], T]) -> Deferred[T]:
        """Run it now; the Deferred has fired already."""
        return maybeDeferred(work)

    def stop(self) -> None:
        """Nothing to stop."""


def _daemon(*args: Any, **kwargs: Any) -> Thread:
    return Thread(*args, daemon=True, **kwargs)
