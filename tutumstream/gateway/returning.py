"""What clients miss between being sent away by us and coming back. Pure: the time is an argument.

The stream has no replay, so whoever is sent away because nothing can be seen would never hear what is found out when
it can be seen again. It is kept for those who were there before, and for no one else.

Several clients may have one name, and nobody can say which of them comes back. So there are as many seats of a name as
clients of it are away, and all go on from where the first of them left: each hears all that any of them missed, and
what it heard already twice rather than another's part not at all. Such a seat is left only by coming back for good: who
leaves by itself while others of its name are awaited may be the next to come, before them.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

LIMIT: Final = 5000
PATIENCE: Final = 180.0
"""Seconds after the door was opened again; clients wait for up to a minute between two tries."""


class Seat(NamedTuple):
    """Somebody who is away, and how much of what was missed is not new to them."""

    who: str
    heard: int


class Returning(Generic[T]):
    """Those who were sent away, and what they missed.

    Args:
        limit: how much may be missed; where it is more it is forgotten, with all who wait for it.
        patience: seconds for which an open door waits for them.
    """

    def __init__(self, limit: int = LIMIT, patience: float = PATIENCE) -> None:
        self._limit = limit
        self._patience = patience
        self._seats: list[Seat] = []
        self._missed: list[T] = []
        self._until: float | None = None

    @property
    def seats(self) -> Sequence[Seat]:
        """Those who are away."""
        return self._seats

    @property
    def missed(self) -> Sequence[T]:
        """What any of them missed, in order."""
        return self._missed

    def recall(self, seats: Iterable[Seat], missed: Iterable[T]) -> None:
        """Go on from before a restart; the door is closed."""
        self._seats, self._missed, self._until = [*seats], [*missed], None

    def seats_for(self, clients: Iterable[str]) -> list[Seat]:
        """What these get when they go away now."""
        # The earliest of each name is what stays.
        heard = dict(sorted(self._seats, reverse=True))
        return [Seat(who, heard.get(who, len(self._missed))) for who in clients]

    def sent_away(self, clients: Iterable[str], now: float) -> None:
        """These miss everything from now on, however long the door stays closed. The same name may be there twice."""
        self.awaits(now)
        self._until = None
        self._seats += self.seats_for(clients)

    def left(self, who: str, now: float) -> None:
        """One of this name went away by itself."""
        if self.awaits(now) and any(seat.who == who for seat in self._seats):
            self._seats += self.seats_for([who])

    def opened(self, now: float) -> None:
        """They can come back."""
        self._until = now + self._patience

    def awaits(self, now: float) -> bool:
        """Whether anybody misses what is told now."""
        if self._until is not None and now >= self._until:
            self._forget()
        return bool(self._seats)

    def miss(self, one: T) -> bool:
        """Keep it for all who are away; False where that was too much and all was forgotten."""
        self._missed.append(one)
        if len(self._missed) <= self._limit:
            return True
        self._forget()
        return False

    def back(self, who: str, now: float) -> list[T]:
        """What this client missed, in order; nothing where nobody of this name is awaited."""
        seats = [seat for seat in self._seats if seat.who == who] if self.awaits(now) else []
        if not seats:
            return []
        missed = self._missed[min(seats).heard :]
        # The one that goes on from the earliest is the last to be taken.
        self._seats.remove(max(seats))
        if not self._seats:
            self._forget()
        return missed

    def _forget(self) -> None:
        self._seats.clear()
        self._missed.clear()
