"""What became of deliveries and is not on disk yet: as much as a kill would repeat, so it is bounded."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed

from tutumstream.journal.interface import Pending
from tutumstream.outstanding import Outstanding

Settle = Callable[[Sequence[Pending]], Deferred[None]]
"""Writes down that these arrived."""


class Unwritten:
    """Changes that a lane asked the journal for. What arrives while one is being written goes into the next.

    Args:
        settle: asks the journal.
        most: rows, beyond which nothing more should be told.
        room: called when there is room again after there was none, and when all is written.

    Attributes:
        rows: how many there are.
    """

    def __init__(self, settle: Settle, most: int, room: Callable[[], None]) -> None:
        self._settle = settle
        self._most = most
        self._room = room
        self._writes = Outstanding()
        self._arrived: list[Pending] = []
        self._settling = False
        self._waiting: list[Deferred[None]] = []
        self.rows = 0

    @property
    def full(self) -> bool:
        """Nothing more should be told until some of it is on disk."""
        return self.rows >= self._most

    def arrived(self, rows: Sequence[Pending]) -> None:
        """These were delivered."""
        self.rows += len(rows)
        self._arrived += rows
        if not self._settling:
            self._settle_arrived()

    def own(self, writing: Deferred[Any], rows: int, what: str) -> None:
        """From now on this change of so many rows is ours; an error is logged as a failure to do `what`."""
        self.rows += rows
        self._writes.own(writing, what)
        writing.addCallback(self._written, rows)

    def settled(self) -> Deferred[None]:
        """Fires when all of it is written, well or not; cancel it to wait no longer."""
        if not self.rows:
            return succeed(None)

        def wait_no_longer(waiting: Deferred[None]) -> None:
            self._waiting.remove(waiting)
            waiting.callback(None)

        written: Deferred[None] = Deferred(wait_no_longer)
        self._waiting.append(written)
        return written

    def _settle_arrived(self) -> None:
        rows, self._arrived = self._arrived, []
        self._settling = True
        writing = self._settle(rows)
        self._writes.own(writing, "write down what was delivered")
        writing.addCallback(self._has_settled, len(rows))

    def _has_settled(self, _: object, rows: int) -> None:
        self._settling = False
        if self._arrived:
            self._settle_arrived()
        self._written(None, rows)

    def _written(self, _: object, rows: int) -> None:
        was_full = self.full
        self.rows -= rows
        if (was_full and not self.full) or not self.rows:
            self._room()
        if not self.rows:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)
