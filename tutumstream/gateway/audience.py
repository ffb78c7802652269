"""Who listens, together with those who want the same: what concerns all of them is decided and framed once."""

from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

Want = TypeVar("Want", bound=Hashable)
Client = TypeVar("Client", bound=Hashable)


class Audience(Generic[Want, Client]):
    """Clients by what they want. All views are of one moment: whoever is told something may leave by that."""

    def __init__(self) -> None:
        self._wants: Final[dict[Client, Want]] = {}
        self._groups: Final[dict[Want, dict[Client, None]]] = {}

    def __len__(self) -> int:
        return len(self._wants)

    def __contains__(self, client: object) -> bool:
        return client in self._wants

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._wants))

    def join(self, client: Client, want: Want) -> None:
        """One more, who is not there yet."""
        self._wants[client] = want
        self._groups.setdefault(want, {})[client] = None

    def leave(self, client: Client) -> None:
        """One of those who are there."""
        want = self._wants.pop(client)
        group = self._groups[want]
        del group[client]
        if not group:
            del self._groups[want]

    def groups(self) -> list[tuple[Want, tuple[Client, ...]]]:
        """Each want, with those who share it in the order in which they came."""
        return [(want, tuple(group)) for want, group in self._groups.items()]
