"""What was looked up a moment ago: bounded in time and in number. Pure: the time is always given."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Resource = Mapping[str, Any]
"""One object of the REST API."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A value and the moment from which it is too old."""

    value: T
    until: float


class Cache(Generic[T]):
    """Values by key, each for its own time; beyond `size` the one that was put first goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[str, Entry[T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, now: float) -> Entry[T] | None:
        """The entry, None where there is none or where it is too old. An entry's value may well be None."""
        entry = self._entries.get(key)
        return entry if entry is not None and now < entry.until else None

    def remove(self, key: str) -> None:
        """Forget a value, if there is one."""
        self._entries.pop(key, None)

    def put(self, key: str, value: T, until: float) -> None:
        """Remember a value; it replaces an older one."""
        self._entries.pop(key, None)
        self._entries[key] = Entry(value, until)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
