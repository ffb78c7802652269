"""Fills a lane's window: with what was just recorded while it keeps up, from the disk once it fell behind."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace
from twisted.internet.defer import Deferred

from tutumstream.delivery.window import Window
from tutumstream.journal.interface import IJournal, Pending


class Feed:
    """The rows of one destination on their way from the journal to its window.

    Args:
        destination: its name.
        journal: remembers all of them.
        window: takes them.
        added: called with the rows each time after some came into the window.
        size: rows that the window holds; urgent ones may double it.
        now: seconds since 1970.
    """

    def __init__(
        self,
        destination: str,
        journal: IJournal,
        window: Window,
        added: Callable[[Sequence[Pending]], None],
        size: int,
        now: Callable[[], float],
    ) -> None:
        self._now = now
        self._size = size
        self._destination = destination
        self._journal = journal
        self._window = window
        self._added = added
        self._behind = True
        self._reading = False
        self._last = 0
        self._offered: list[Pending] = []
        # Urgent rows that came into the window before their turn; only while all older urgent ones are in it too.
        self._early: set[int] = set()
        self._urgent_behind = True
        self._skipped = False

    @property
    def behind(self) -> bool:
        """Whether there is more on disk than in the window."""
        return self._behind

    def offer(self, rows: Sequence[Pending]) -> None:
        """These were just recorded, in this order, or taken back from the dead letters."""
        # Who comes a second time was told, and died of it.
        self._early.difference_update(row.seq for row in rows)
        if self._reading:
            self._offered.extend(rows)
        else:
            self._take_in(rows)

    def _take_in(self, rows: Sequence[Pending]) -> None:
        if self._behind or len(self._window) + len(rows) > self._size:
            self._behind = True
            # Reading on finds what is new, and not what came back to its old place.
            self._skipped = self._skipped or any(row.seq <= self._last for row in rows)
            self._add_urgent(rows)
        else:
            self._add(rows)

    def wants(self) -> bool:
        """Whether it is time to read on."""
        return self._behind and not self._reading and len(self._window) <= self._size // 2

    @property
    def skipped(self) -> bool:
        """Whether something is on disk in a place that was read already, and nothing is being read."""
        return self._skipped and not self._reading

    def begin_anew(self) -> None:
        """Read from the beginning again. Only when the window is empty and nothing told is still to be written down."""
        self._last = 0
        self._behind, self._skipped = True, False

    def start(self) -> Deferred[None]:
        """Look what was left, what is urgent first; fill the window: what can be told as one is there at once."""
        return Deferred.fromCoroutine(self._start())

    def read(self) -> Deferred[None]:
        """Read on. Errbacks are `JournalError`."""
        return Deferred.fromCoroutine(self._read())

    async def _start(self) -> None:
        self._reading = True
        try:
            urgent = await self._journal.pending(self._destination, 0, self._size, urgent=True)
        finally:
            self._reading = False
        self._urgent_behind = False
        self._add_urgent(self._from_before(urgent))
        self._urgent_behind = len(urgent) == self._size
        await self._read()
        while self.wants():
            await self._read()

    async def _read(self) -> None:
        self._reading = True
        begun_at = self._last
        try:
            most = self._size // 2
            rows = await self._journal.pending(self._destination, self._last, most)
        except BaseException:
            # What is urgent goes before all that will be read, and before all urgent ones that come later.
            self._take_in(self._has_read())
            raise
        offered = self._has_read()
        self._add(self._from_before(rows))
        if len(rows) < most:
            # That was all there was when it was read; what came meanwhile may be among it or not.
            self._behind = self._urgent_behind = False
        self._skipped = self._skipped or any(row.seq <= begun_at for row in offered)
        self._take_in([row for row in offered if row.seq > self._last])

    def _from_before(self, rows: Sequence[Pending]) -> list[Pending]:
        now = self._now()
        return [_read_at(now, row) for row in rows]

    def _has_read(self) -> list[Pending]:
        """Reading ended, well or not. What was offered meanwhile."""
        self._reading = False
        offered, self._offered = self._offered, []
        return offered

    def _add(self, rows: Sequence[Pending]) -> None:
        if not rows:
            return
        self._last = max(self._last, rows[-1].seq)
        if self._early:
            rows = [row for row in rows if row.seq not in self._early]
            self._early = {seq for seq in self._early if seq > self._last}
        self._window.add(rows)
        self._added(rows)

    def _add_urgent(self, rows: Sequence[Pending]) -> None:
        urgent = [row for row in rows if row.delivery.urgent and row.seq not in self._early]
        if self._urgent_behind or len(self._window) + len(urgent) > 2 * self._size:
            self._urgent_behind = True
            return
        self._early.update(row.seq for row in urgent)
        self._window.add(urgent)
        self._added(urgent)


def _read_at(now: float, row: Pending) -> Pending:
    """A row that was read. What failed in this run is in the window, so this one failed in an earlier run, and that is
    no reason to wait now; a grace goes on, and begins anew where the clock was set back since."""
    if row.reason:
        return replace(row, due=0.0)
    ahead = row.event.received_at - now
    return replace(row, due=row.due - ahead) if row.due and ahead > 0 else row
