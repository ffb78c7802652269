"""Work that nobody waits for, and that must still not be forgotten."""

from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from tutumstream.errors import TutumstreamError


class Outstanding:
    """Owns Deferreds that were started and left: their errors are logged, and a stop can wait for them."""

    log = Logger()

    def __init__(self) -> None:
        self._open: set[Deferred[Any]] = set()

    def __len__(self) -> int:
        return len(self._open)

    def own(self, deferred: Deferred[Any], what: str) -> None:
        """From now on this is ours; an error is logged as a failure to do `what`.

        What was raised on purpose was told where it happened, once, and may be the end of thousands.
        """
        self._open.add(deferred)
        deferred.addErrback(self._failed, what)
        deferred.addBoth(lambda _: self._open.discard(deferred))

    def settled(self) -> Deferred[None]:
        """Fires when everything that is open now has ended, well or not; cancel it to wait no longer."""
        return DeferredList([_end(each) for each in self._open], consumeErrors=True).addCallback(lambda _: None)

    def _failed(self, failure: Failure, what: str) -> None:
        if failure.check(TutumstreamError):
            self.log.debug("failed to {what}: {problem}", what=what, problem=failure.value)
        else:
            self.log.failure("failed to {what}", failure, what=what)


def _end(of: Deferred[Any]) -> Deferred[None]:
    """Fires when this one does, without taking its result away."""
    end: Deferred[None] = Deferred()

    def ended(result: Any) -> Any:
        end.callback(None)
        return result

    of.addBoth(ended)
    return end
