"""Who listens, and what those who are away have missed: kept over a restart, so that they are told when they come back.

The stream has no replay, and a restart sends everybody away. So whoever listened to the last moment is awaited by the
next gateway like one whom it sent away itself.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from tutumstream.gateway.events import Told
from tutumstream.gateway.returning import Returning, Seat
from tutumstream.gateway.saving import Row


class Clientele:
    """The lasting part of the stream.

    Args:
        listening: those who listen now, by the names under which they are awaited.
        now: seconds, as the others' who use `returning`.
    """

    name: Final = "clients"

    def __init__(
        self, returning: Returning[Told], listening: Callable[[], Iterable[str]], now: Callable[[], float]
    ) -> None:
        self._returning = returning
        self._listening = listening
        self._now = now

    def rows(self) -> Mapping[Row, Any]:
        """A seat for each, and what they missed."""
        # Those who are awaited no more are not kept.
        self._returning.awaits(self._now())
        missed = self._returning.missed
        seats = (*self._returning.seats, *self._returning.seats_for(self._listening()))
        return {
            # Whoever changes the form of one raises `state_file.VERSION`.
            **{("seat", str(place)): seat for place, seat in enumerate(seats)},
            **{("missed", str(place)): told for place, told in enumerate(missed)},
        }

    def written(self, value: Any) -> bytes:
        """One row as it is kept."""
        return msgspec.json.encode(value)

    def understand(self, rows: Mapping[Row, bytes]) -> Callable[[], object]:
        """What makes the stream await them. Raises ValueError where the rows make no sense."""
        seats, missed = dict[int, Seat](), dict[int, Told]()
        for (kind, place), value in rows.items():
            if kind == "seat":
                seats[int(place)] = msgspec.json.decode(value, type=Seat)
            else:
                missed[int(place)] = msgspec.json.decode(value, type=Told)
        if sorted(missed) != list(range(len(missed))) or any(
            not 0 <= one.heard <= len(missed) for one in seats.values()
        ):
            raise ValueError("something that was missed is missing")
        return lambda: self._returning.recall(
            [seats[place] for place in sorted(seats)], [missed[place] for place in sorted(missed)]
        )
