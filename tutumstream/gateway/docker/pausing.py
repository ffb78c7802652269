"""How long to wait before the next connection to an engine. Pure."""

from collections.abc import Callable
from typing import Final

LONGEST_PAUSE: Final = 15.0


def pause_before(failures: int, jitter: Callable[[], float]) -> float:
    """Seconds to wait before the next connection: none after a good one, then more and more.

    Args:
        failures: connections in a row that were none or did not last.
        jitter: a random number from 0 to 1.
    """
    if failures == 0:
        return 0.0
    return min(0.25 * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE) * (0.5 + 0.5 * jitter())
