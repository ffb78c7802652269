"""The account of a run: what was asked for, what arrived, and everything that does not add up. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from tutumstream.delivery.pairs import FLAPPING, NOTHING_OPEN, OVER
from tutumstream.event import Event
from tutumstream.routing.delivery import Delivery, Incident

Key = tuple[str, str]
"""A destination and an ordering key."""


@dataclass(frozen=True)
class Asked:
    """A delivery that the journal was asked to record, the `number`th."""

    number: int
    event: str
    delivery: Delivery

    @property
    def key(self) -> Key:
        """What it must keep its order in."""
        return self.delivery.destination, self.delivery.ordering_key


@dataclass(frozen=True)
class Look:
    """What a journal shows that was just opened: ids of events, of pending deliveries, of dead letters; incidents."""

    events: frozenset[str]
    pending: frozenset[str]
    dead: frozenset[str]
    open: frozenset[Key]


class Newest:
    """The last of each key that arrived; what is urgent may overtake what is not."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Key, bool], int] = {}

    def overtook(self, asked: Asked) -> bool:
        """Whether one that came after it was here before it, and must not have been."""
        urgents = (True, False) if asked.delivery.urgent else (False,)
        return any(asked.number < self._numbers.get((asked.key, urgent), -1) for urgent in urgents)

    def arrived(self, asked: Asked) -> None:
        """It is here."""
        name = (asked.key, asked.delivery.urgent)
        self._numbers[name] = max(asked.number, self._numbers.get(name, -1))

    def forget(self, key: Key) -> None:
        """What arrived of it may all come again."""
        for urgent in (True, False):
            self._numbers.pop((key, urgent), None)


class Ledger:
    """Everything that is known from outside, over all lives of the process.

    Attributes:
        problems: what broke a promise, in words.
        repeats: arrivals of what had arrived before.
        crashes: ended lives, but for those that were stopped politely.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.repeats = self.crashes = 0
        self.arrivals: Counter[str] = Counter()
        self._asked: dict[str, Asked] = {}
        self._promised: set[str] = set()
        # On disk for sure: acknowledged, or seen there by a later life.
        self._known: set[str] = set()
        self._settled: set[str] = set()
        self._buried: set[str] = set()
        self._dropped: set[str] = set()
        # Died at least once: there is nothing to say about their place in the order, nor about their incidents.
        self._died: set[str] = set()
        # Arrived, and nobody who is responsible for it can know: these may come once more.
        self._in_doubt: set[str] = set()
        self._this_life: set[str] = set()
        self._newest, self._newest_of_life = Newest(), Newest()
        self._open: dict[Key, bool] = {}
        self._pruned = False

    @property
    def graves(self) -> bool:
        """Whether there may be dead letters."""
        return bool(self._died)

    def expect(self, hold: bool, words: str) -> None:
        """A promise."""
        if not hold:
            self.problems.append(words)

    def ask(self, event: Event, deliveries: Sequence[Delivery]) -> None:
        """The journal is asked to record these."""
        for n, delivery in enumerate(deliveries, 1):
            self._asked[f"{event.id}-{n}"] = Asked(len(self._asked), event.id, delivery)

    def acknowledge(self, ids: Iterable[str]) -> None:
        """The journal says that they are on disk."""
        self._promised.update(ids)
        self._known |= self._promised

    def settle(self, ids: Iterable[str]) -> None:
        """A lane says that they arrived."""
        self._dropped.difference_update(ids)

    def settled(self, ids: Iterable[str]) -> None:
        """The journal says that it is on disk that they arrived."""
        self._settled.update(ids)

    def bury(self, ids: Iterable[str]) -> None:
        """A lane gives them up."""
        self._died.update(ids)

    def buried(self, ids: Iterable[str]) -> None:
        """The journal says that they are among the dead letters on disk."""
        self._buried.update(ids)

    def drop(self, ids: Iterable[str], note: str) -> None:
        """A lane says that they need not be told."""
        for each in ids:
            incident = self._asked[each].delivery.incident
            self.expect(incident is not None and note in (OVER, FLAPPING, NOTHING_OPEN), f"{each} was dropped: {note}")
            self._dropped.add(each)

    def revive(self, ids: Iterable[str]) -> None:
        """An operator takes them back."""
        self._buried.difference_update(ids)

    def prune(self) -> None:
        """Old events may be gone from here on, where nothing of them is pending."""
        self._pruned = True

    def arrive(self, name: str, destination: str, incident: Incident | None) -> None:
        """A destination took one."""
        asked = self._asked.get(name)
        if asked is None or name not in self._known or asked.delivery.destination != destination:
            self.problems.append(f"{destination} was told {name}, which was not on disk for it")
            return
        if self.arrivals[name]:
            self.expect(name in self._in_doubt, f"{name} came twice though it was known to have arrived")
            self.repeats += 1
        self._in_doubt.discard(name)
        self._this_life.add(name)
        if name not in self._died:
            late = not self.arrivals[name] and self._newest.overtook(asked)
            self.expect(not late and not self._newest_of_life.overtook(asked), f"{name} came after a later one")
            self._newest.arrived(asked)
            self._newest_of_life.arrived(asked)
        self.arrivals[name] += 1
        if incident is not None:
            self._open[destination, incident.key] = not incident.ends

    def doubt(self, ids: Iterable[str]) -> None:
        """These arrived, and who sent them was told something else, or nothing: all of the try comes again."""
        for each in ids:
            self._in_doubt.add(each)
            self._newest_of_life.forget(self._asked[each].key)

    def end_of_life(self, look: Look, crashed: bool) -> None:
        """This is on disk after a process ended."""
        arrived = {each for each in look.pending if self.arrivals[each]}
        self.expect(not self._settled & look.pending, f"settled for good, and pending: {self._settled & look.pending}")
        self.expect(not self._buried & look.pending, f"dead for good, and pending: {self._buried & look.pending}")
        sure = arrived - self._in_doubt - (self._this_life if crashed else set())
        self.expect(not sure, f"pending, though known to have arrived before this life or a stop: {sure}")
        self._in_doubt |= arrived
        self.crashes += crashed
        self._this_life, self._newest_of_life = set(), Newest()
        self._balance(look)
        self._asked = {name: asked for name, asked in self._asked.items() if name in self._known}

    def balance_at_the_end(self, look: Look) -> None:
        """Destinations were well for long enough."""
        self._balance(look)
        self.expect(not look.pending, f"still pending: {sorted(look.pending)}")
        for key, is_open in self._as_they_should_be(but=frozenset()).items():
            self.expect(self._open.get(key, False) == is_open, f"incident {key} should be open: {is_open}")

    def _balance(self, look: Look) -> None:
        on_disk = {name for name, asked in self._asked.items() if asked.event in look.events}
        gone = self._promised - on_disk
        self.expect(self._pruned or not gone, f"acknowledged, and not on disk: {gone}")
        self._known |= on_disk
        self._died |= look.dead
        both = look.pending & look.dead
        self.expect(not both, f"both pending and dead: {both}")
        told = {each for each in look.dead if self.arrivals[each]} - self._in_doubt
        self.expect(not told, f"dead letters, though known to have arrived: {told}")
        accounted = look.pending | look.dead | self.arrivals.keys() | self._dropped
        if self._pruned:
            # With the event its dead letters go.
            accounted |= self._died - on_disk
        self.expect(self._known <= accounted, f"lost: {sorted(self._known - accounted)}")
        for key, is_open in self._as_they_should_be(but=look.pending | self._dropped).items():
            self.expect((key in look.open) == is_open, f"the journal should know incident {key} as open: {is_open}")
        self.expect(look.pending | look.dead <= self._asked.keys(), "nobody asked for all of what is on disk")

    def _as_they_should_be(self, but: Set[str]) -> dict[Key, bool]:
        """Whether incidents are open once all that is known arrived but for these, of keys of which nothing died."""
        found: dict[Key, bool] = {}
        spoilt = {self._asked[name].key for name in self._died}
        known = self._known - but
        for name, asked in self._asked.items():
            if asked.delivery.incident is not None and asked.key not in spoilt and name in known:
                found[asked.key] = not asked.delivery.incident.ends
        return found
