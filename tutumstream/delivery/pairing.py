"""Keeps a lane's window free of triggers and resolves that are better not told."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel

from tutumstream.delivery.incidents import Incidents
from tutumstream.delivery.pairs import MAY_BE_OPEN, NOTHING_OPEN, is_resolve, owed, unneeded
from tutumstream.delivery.window import Window
from tutumstream.journal.interface import IJournal, Pending, Postponement


class Pairing:
    """Looks at the incidents of one destination.

    Args:
        destination: its name.
        window: what waits for it.
        incidents: which ones are open.
        journal: remembers what is not told, and why.
        write: owns what the journal was asked for.
        now: seconds since 1970.
    """

    log = Logger()

    def __init__(
        self,
        destination: str,
        window: Window,
        incidents: Incidents,
        journal: IJournal,
        write: Callable[[Deferred[Any]], None],
        now: Callable[[], float],
    ) -> None:
        self._destination = destination
        self._window = window
        self._incidents = incidents
        self._journal = journal
        self._write = write
        self._now = now
        self._began_at = 0.0

    def begin(self) -> None:
        """This run begins: what was recorded before may have been told by an earlier one."""
        self._began_at = self._now()

    def tidy(self, rows: Sequence[Pending]) -> None:
        """Drop triggers and resolves that need not be told any more, and hold a flapping incident open.

        Args:
            rows: that came into the window, or were tried; all that waits for their incidents is looked at.
        """
        for key in {row.delivery.ordering_key for row in rows if self._concerns(row)}:
            waiting = self._window.rows(key)
            now = self._now()
            open_until = self._incidents.held_open_until(self._destination, key, now)
            is_open = self._incidents.is_open(self._destination, key)
            notes = unneeded(waiting, is_open, open_until > 0.0, self._began_at, now)
            if notes:
                # First, so that no kill can leave a resolve of which nobody knows what it is for.
                self._remember(owed(waiting, notes))
                self._drop([row for row in waiting if row.seq in notes], notes, now)
            resolve = next(filter(is_resolve, self._window.rows(key)), None)
            if resolve is not None and resolve.due < open_until:
                self._window.ended((), [replace(resolve, due=open_until)])

    def _concerns(self, row: Pending) -> bool:
        """Whether it is about an incident, or may have held up the resolve of one: they have an order."""
        return row.delivery.incident is not None or self._incidents.is_open(
            self._destination, row.delivery.ordering_key
        )

    def _remember(self, owed: Sequence[Pending]) -> None:
        """Write down of these that they must be told."""
        if owed:
            marked = [replace(row, reason=MAY_BE_OPEN) for row in owed]
            self._window.ended((), marked)
            tried = [Postponement(row.seq, row.attempts, row.due, row.reason, row.answer) for row in marked]
            self._write(self._journal.postpone(tried))

    def _drop(self, rows: Sequence[Pending], notes: Mapping[int, str], now: float) -> None:
        self._window.drop(rows)
        for row in rows:
            note = notes[row.seq]
            # That nothing was open is how it should be.
            level = LogLevel.debug if note == NOTHING_OPEN else LogLevel.info
            self.log.emit(
                level, "{destination}: {id} is not told: {note}", destination=self._destination, id=row.id, note=note
            )
            self._write(self._journal.drop([row], note, now))
