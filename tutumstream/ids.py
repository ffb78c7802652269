"""Ids for events: ULIDs (github.com/ulid/spec), which sort by time, even those of one millisecond.

A random number is drawn once in a millisecond and counted up within it, as the specification's monotonic form has it:
at thousands of events a second, drawing one for each costs more than reading the event.
"""

import secrets
import time
from collections.abc import Callable
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

# Ten bits, two characters, at a time.
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_TAIL_BITS: Final = 20
_HEAD_SHIFTS: Final = tuple(range(100, -1, -10))
"""All but the last two pairs: they are the same for a million ids that are counted up."""

_RANDOM_BITS: Final = 80


class Mint:
    """Makes ids.

    Args:
        now: nanoseconds since 1970.
        draw: a random number of so many bits.
    """

    def __init__(self, now: Callable[[], int] = time.time_ns, draw: Callable[[int], int] = secrets.randbits) -> None:
        self._now = now
        self._draw = draw
        self._millisecond = -1
        self._value = 0
        self._head_value = -1
        self._head = ""

    def __call__(self) -> str:
        """A new id: 26 characters, larger than the last one as text."""
        millisecond = self._now() // 1_000_000
        if millisecond > self._millisecond:
            self._millisecond = millisecond
            # The highest bit stays free, so that counting never runs over.
            self._value = millisecond << _RANDOM_BITS | self._draw(_RANDOM_BITS - 1)
        else:
            # A clock that was set back: time goes on where it was.
            self._value += 1
        value = self._value
        if value >> _TAIL_BITS != self._head_value:
            self._head_value = value >> _TAIL_BITS
            self._head = "".join([_PAIRS[self._head_value >> shift & 1023] for shift in _HEAD_SHIFTS])
        return f"{self._head}{_PAIRS[value >> 10 & 1023]}{_PAIRS[value & 1023]}"


mint: Final = Mint()
"""For the whole process."""
