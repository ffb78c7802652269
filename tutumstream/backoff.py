"""How long to wait after the n-th failure. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

Jitter = Callable[[], float]
"""Gives a number from 0.0 up to 1.0, evenly spread; `random.random` in real life."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter.

    Jitter is over the whole range and not round its end: what failed together must not come back together
    (M. Brooker, "Exponential Backoff And Jitter", 2015).

    Attributes:
        base: seconds, the shortest wait.
        cap: seconds, the longest.
    """

    base: float
    cap: float

    def after(self, failures: int, jitter: Jitter) -> float:
        """Seconds to wait after this many failures in a row, one or more."""
        # 2 ** 64 seconds is long past every cap; a count that went on for a year must not build a huge number.
        ceiling = min(self.cap, self.base * 2.0 ** min(failures, 64))
        return self.base + (ceiling - self.base) * jitter()
