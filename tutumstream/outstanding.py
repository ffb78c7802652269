"""Work that nobody waits for, and that must still not be forgotten."""

from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger


class Outstanding:
    """Owns Deferreds that were started and left: their errors are logged, and a stop can wait for them."""

    log = Logger()

    def __init__(self) -> None:
        self._open: set[Deferred[Any]] = set()

    def __len__(self) -> int:
        return len(self._open)

    def own(self, deferred: Deferred[Any], what: str) -> None:
        """From now on this is ours; an error is logged as a failure to do `what`."""
        self._open.add(deferred)

        def ended(result: Any) -> None:
            self._open.discard(deferred)

        deferred.addErrback(lambda failure: self.log.failure("failed to {what}", failure, what=what))
        deferred.addBoth(ended)

    def settled(self) -> Deferred[None]:
        """Fires when everything that is open now has ended, well or not."""
        waiting: list[Deferred[None]] = []
        for each in self._open:
            done: Deferred[None] = Deferred()
            each.addBoth(lambda _, done=done: done.callback(None))
            waiting.append(done)
        return DeferredList(waiting).addCallback(lambda _: None)
