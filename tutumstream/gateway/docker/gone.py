"""What has ended and is still shown for a while. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from tutumstream.gateway.docker.known import Known

TERMINATED_AGE: Final = 3600.0
"""Seconds for which an object is shown after its end."""

TERMINATED_LIMIT: Final = 1000
"""How many containers are shown after their end."""


class Gone:
    """The containers that are gone, in the order of their ends.

    Args:
        containers: all, by id.
    """

    def __init__(self, containers: Mapping[str, Known]) -> None:
        self._containers: Final = containers
        self._order: Final[dict[str, None]] = {}

    def add(self, key: str) -> None:
        """It is gone, too."""
        self._order[key] = None

    def remove(self, key: str) -> None:
        """It is not."""
        del self._order[key]

    def expire(self, now: float, most: int) -> Iterator[Known]:
        """Those that need not be shown any more: what ended long ago, and the oldest where that is more than `most`."""
        order = list(self._order)
        for place, key in enumerate(order):
            known = self._containers[key]
            if len(order) - place <= most and known.destroyed >= now - TERMINATED_AGE:
                break
            del self._order[key]
            yield known
