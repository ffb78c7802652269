"""Whatever happens, and whenever: in the end what was told is what is, nothing was told twice, and all in its order."""

from collections import defaultdict
from collections.abc import Iterator

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.resync.world import World
from tests.searching import searching
from tutumstream.event import TERMINATED, Event
from tutumstream.resync.service import SETTLE

KINDS = st.sampled_from(["container", "service"])
NUMBERS = st.integers(0, 4)
STATES = st.sampled_from(["Starting", "Running", "Stopped", "Terminated", None])
CHANGES = st.lists(st.tuples(KINDS, NUMBERS, STATES), max_size=6)
STEPS = st.lists(st.sampled_from(["deliver", "serve", "serve"]), max_size=8)


def unless_over(state: str | None) -> str | None:
    """None for what is `Terminated`: how long the platform still lists it means nothing."""
    return None if state == TERMINATED else state


def states_of(events: list[Event]) -> Iterator[str | None]:
    """The states that were told, each once: but for what only tells another health of the same."""
    before: tuple[str | None, str] | None = None
    for event in events:
        state = None if event.action == "delete" else unless_over(event.state)
        health = "" if event.docker is None else event.docker.health
        if before is None or before[0] != state or before[1] == health:
            yield state
        before = (state, health)


class Gaps(RuleBasedStateMachine):
    """Objects change while the stream comes and goes, the REST API fails, and the process is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(there=st.lists(st.tuples(KINDS, NUMBERS), max_size=8, unique=True), listed=st.booleans())
    def begin(self, there: list[tuple[str, int]], listed: bool) -> None:
        """There are objects, and mostly they are known."""
        for kind, number in there:
            self.world.platform.change(kind, number, "Running")
        self.base = {uri: states[-1] for uri, states in self.world.platform.history.items()}
        if listed:
            self.world.settle()
            assert self.world.told() == [], "the first look is silent"

    @rule(changes=CHANGES)
    def change(self, changes: list[tuple[str, int, str | None]]) -> None:
        """Something happens."""
        for kind, number, state in changes:
            self.world.platform.change(kind, number, state)

    @rule(number=NUMBERS, health=st.sampled_from(["unhealthy", "healthy"]))
    def feel(self, number: int, health: str) -> None:
        """A container is ill, or well, and runs all the same."""
        self.world.platform.feel(number, health)

    @rule(steps=STEPS)
    def work(self, steps: list[str]) -> None:
        """The stream is read, the REST API answers; each in its own time."""
        for step in steps:
            if step == "deliver":
                self.world.deliver()
            else:
                self.world.requests.serve()

    @rule(status=st.sampled_from([0, 429, 500, 503]))
    def fail(self, status: int) -> None:
        """The REST API does not answer."""
        self.world.requests.fail(status)
        self.world.clock.advance(5.0)

    @rule(how=st.sampled_from(["cut", "kill"]), missed=CHANGES, steps=STEPS)
    def outage(self, how: str, missed: list[tuple[str, int, str | None]], steps: list[str]) -> None:
        """The stream is gone, or the process; things happen; it is back and begins to ask."""
        if how == "cut":
            self.world.cut()
        else:
            self.world.kill()
        self.change(missed)
        self.world.connect()
        self.world.clock.advance(SETTLE)
        self.world.deliver()
        self.work(steps)

    @rule()
    def settle(self) -> None:
        """A quiet hour."""
        self.world.settle()
        self.check_the_end()

    def teardown(self) -> None:
        """In the end all is well."""
        self.world.settle()
        self.check_the_end()

    def check_the_end(self) -> None:
        """What is known is what is; what was told of an object is a part of its history, in order, each thing once."""
        world = self.world
        there = {uri: left for uri, shown in world.platform.objects.items() if (left := unless_over(shown["state"]))}
        known = {uri: left for uri, each in world.known().items() if (left := unless_over(each.state))}
        assert known == there, (known, there)
        feels = {uri: shown.get("docker", {}).get("health", "") for uri, shown in world.platform.objects.items()}
        assert {uri: world.known()[uri].health for uri in there} == {uri: feels[uri] for uri in there}
        told: dict[str, list[Event]] = defaultdict(list)
        for event in world.told():
            if event.type != "stream":
                told[event.resource_uri].append(event)
        for uri, events in told.items():
            states = list(states_of(events))
            history = map(unless_over, world.platform.history[uri][1:])
            assert all(state in history for state in states), (uri, states, world.platform.history[uri])
            assert states[-1] == there.get(uri), (uri, states)
            live = [event.id for event in events if not event.synthetic]
            assert len(live) == len(set(live)), (uri, live)
            assert all(event.missed_from <= event.missed_to for event in events)
        assert len({event.id for event in world.told()}) == len(world.told())


Gaps.TestCase.settings = searching(4, steps=20)
GapsTests = Gaps.TestCase
