"""What may come in floods is told line by line as long as somebody could read it. Pure."""

from typing import Final

LINES: Final = 100
"""In a minute."""

MINUTE: Final = 60.0


class Flood:
    """Counts by the minute, from the first of each."""

    def __init__(self) -> None:
        self._since = -MINUTE
        self._lines = 0
        self._left_out = 0

    def admits(self, now: float) -> bool:
        """Whether one more gets a line.

        Args:
            now: seconds since any moment.
        """
        if not 0 <= now - self._since < MINUTE:
            self._since, self._lines = now, 0
        if self._lines < LINES:
            self._lines += 1
            return True
        self._left_out += 1
        return False

    def take_left_out(self) -> int:
        """How many got none since this was asked last."""
        left_out, self._left_out = self._left_out, 0
        return left_out
