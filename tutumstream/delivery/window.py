"""The part of a destination's backlog that is in memory, and which of it may go next. Pure: the time is always given.

Rows with the same ordering key go one after the other, in the order in which they were recorded; a key whose first row
waits or is under way holds up its own rows only. What is urgent goes before what is not.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush

from tutumstream.journal.interface import Pending

Held = Callable[[Pending, float], float]
"""Until when a row that is due waits all the same, now being given; a time that is past where it need not."""


class Window:
    """Rows by key. A key is ready, or parked until its first row is due, or under way.

    Args:
        held: asked for rows that were to wait for a time, when that has come.
    """

    def __init__(self, held: Held = lambda _row, _now: 0.0) -> None:
        self._held = held
        self._keys: dict[str, deque[Pending]] = {}
        self._ready: list[tuple[bool, int, str]] = []
        self._parked: list[tuple[float, int, str]] = []
        self._under_way: set[str] = set()
        self._size = 0

    def __len__(self) -> int:
        """All rows, those under way included."""
        return self._size

    def add(self, rows: Iterable[Pending]) -> None:
        """Take rows in, in order."""
        for row in rows:
            self._size += 1
            key = row.delivery.ordering_key
            queue = self._keys.get(key)
            if queue is None:
                self._keys[key] = deque((row,))
                self._queue(key)
            else:
                queue.append(row)

    def take(self, now: float, most: int) -> list[Pending]:
        """What may go now: at most `most` rows, those of a key next to each other. They are under way from here on.

        What is urgent ends a key's part where something before it is not: it is told on its own where a digest is made.
        """
        self._unpark(now)
        taken: list[Pending] = []
        while self._ready and len(taken) < most:
            key = self._pop_ready(now)
            if key is None:
                continue
            self._under_way.add(key)
            queue = self._keys[key]
            plain = not queue[0].delivery.urgent
            for row in queue:
                if len(taken) == most or self._waits_until(row, now) > now or (plain and row.delivery.urgent):
                    break
                taken.append(row)
        return taken

    def has_urgent(self, now: float) -> bool:
        """Whether something urgent may go now."""
        self._unpark(now)
        while self._ready and self._stale(self._ready[0][2], self._ready[0][1]):
            heappop(self._ready)
        return bool(self._ready) and not self._ready[0][0]

    @property
    def waiting(self) -> int:
        """Rows that are not under way, due or not: at least so many."""
        return self._size - len(self._under_way)

    def ended(self, gone: Sequence[Pending], stay: Sequence[Pending]) -> None:
        """What was under way ended: some rows are gone, others stay, each as it is now."""
        if len(gone) == 1 and not stay and self._only(gone[0]):
            return
        changed = {row.seq: row for row in stay}
        left = {row.seq for row in gone}
        for key in {row.delivery.ordering_key for row in (*gone, *stay)}:
            queue = self._keys[key]
            if len(queue) == 1 and queue[0].seq in left:
                del self._keys[key]
            else:
                kept = deque(changed.get(row.seq, row) for row in queue if row.seq not in left)
                if kept:
                    self._keys[key] = kept
                else:
                    del self._keys[key]
            self._under_way.discard(key)
            if key in self._keys:
                self._queue(key)
        self._size -= len(gone)

    def _only(self, row: Pending) -> bool:
        """Take out a row that is all there is of its key, as most are; False where it is not."""
        key = row.delivery.ordering_key
        queue = self._keys[key]
        if len(queue) != 1 or queue[0].seq != row.seq:
            return False
        del self._keys[key]
        self._under_way.discard(key)
        self._size -= 1
        return True

    def drop(self, rows: Sequence[Pending]) -> None:
        """These are not wanted any more; none of their keys may be under way."""
        self.ended(rows, ())

    def that_are(self, wanted: Callable[[Pending], bool]) -> list[Pending]:
        """Those of all rows, in the order of their keys, but for those of keys that are under way."""
        return [row for key, queue in self._keys.items() if key not in self._under_way for row in queue if wanted(row)]

    def rows(self, key: str) -> Sequence[Pending]:
        """All rows of a key, in order; none while it is under way."""
        return () if key in self._under_way else tuple(self._keys.get(key, ()))

    def due(self) -> float | None:
        """When to look again: the time of the next parked key, None where none is parked."""
        while self._parked and self._stale(self._parked[0][2], self._parked[0][1]):
            heappop(self._parked)
        return self._parked[0][0] if self._parked else None

    def _queue(self, key: str) -> None:
        first = self._keys[key][0]
        if first.due > 0.0:
            heappush(self._parked, (first.due, first.seq, key))
        else:
            heappush(self._ready, (not first.delivery.urgent, first.seq, key))

    def _pop_ready(self, now: float) -> str | None:
        """The key that goes next; None where the entry told of something that is no longer so."""
        _, seq, key = heappop(self._ready)
        if self._stale(key, seq):
            return None
        first = self._keys[key][0]
        if (until := self._waits_until(first, now)) > now:
            heappush(self._parked, (until, first.seq, key))
            return None
        return key

    def _waits_until(self, row: Pending, now: float) -> float:
        return row.due if not 0.0 < row.due <= now else self._held(row, now)

    def _stale(self, key: str, seq: int) -> bool:
        return key in self._under_way or key not in self._keys or self._keys[key][0].seq != seq

    def _unpark(self, now: float) -> None:
        while self._parked and self._parked[0][0] <= now:
            _, seq, key = heappop(self._parked)
            if not self._stale(key, seq):
                heappush(self._ready, (not self._keys[key][0].delivery.urgent, seq, key))
