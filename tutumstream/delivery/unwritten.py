"""What became of deliveries and is not on disk yet: as much as a kill would repeat, so it is bounded."""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred

from tutumstream.outstanding import Outstanding

MOST: Final = 2000
"""Rows. At 20,000 a second and 20 ms a transaction, a fifth of it is in use; while the disk refuses, all of it."""


class Unwritten:
    """Changes that a lane asked the journal for.

    Args:
        room: called when there is room again after there was none, and when all is written.

    Attributes:
        rows: how many there are.
    """

    def __init__(self, room: Callable[[], None]) -> None:
        self._room = room
        self._writes = Outstanding()
        self.rows = 0

    @property
    def full(self) -> bool:
        """Nothing more should be told until some of it is on disk."""
        return self.rows >= MOST

    def own(self, writing: Deferred[Any], rows: int, what: str) -> None:
        """From now on this change of so many rows is ours; an error is logged as a failure to do `what`."""
        self.rows += rows
        self._writes.own(writing, what)
        writing.addCallback(self._written, rows)

    def settled(self) -> Deferred[None]:
        """Fires when all of it has ended."""
        return self._writes.settled()

    def _written(self, _: object, rows: int) -> None:
        was_full = self.full
        self.rows -= rows
        if (was_full and not self.full) or not self.rows:
            self._room()
