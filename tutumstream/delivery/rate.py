"""Our own limits, so that a destination need not say no first. Pure: the time is always given."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """How much a destination is sent.

    Attributes:
        per_second: messages a second in the long run.
        burst: how many may go at once after a rest.
    """

    per_second: float
    burst: int


class TokenBucket:
    """Counts what was sent against a rate.

    Args:
        rate: None for no limit.
    """

    def __init__(self, rate: Rate | None) -> None:
        self._rate = rate
        self._tokens = float(rate.burst) if rate else 0.0
        self._at = 0.0

    def wait(self, now: float) -> float:
        """Seconds until one more message may go; 0.0 for at once."""
        if self._rate is None:
            return 0.0
        return max(0.0, (1.0 - self._refilled(self._rate, now)) / self._rate.per_second)

    def take(self, now: float) -> None:
        """One message goes."""
        if self._rate is not None:
            self._tokens = self._refilled(self._rate, now) - 1.0
            self._at = now

    def _refilled(self, rate: Rate, now: float) -> float:
        # A clock that was set back must not stop a destination for as long.
        rest = max(0.0, now - self._at)
        return min(float(rate.burst), self._tokens + rest * rate.per_second)
