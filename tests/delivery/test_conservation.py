"""Journal and lanes together, with a crash wherever there can be one: nothing that was acknowledged is lost.

What is real: the journal on disk, the lanes, their time. What is scripted: the destinations, and the order in which the
pieces of work are done. `ledger.py` says what must hold. The long run is `HYPOTHESIS_PROFILE=thorough`.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Engine, event

from tests.delivery.ledger import Ledger
from tests.delivery.lives import MANNERS, Life
from tests.delivery.moods import MOODS
from tests.searching import searching
from tutumstream.event import Event
from tutumstream.routing.delivery import Delivery, Incident

MOMENTS: Final = ("before_cursor_execute", "after_cursor_execute", "commit")

NAMES = st.sampled_from(tuple(MANNERS))
KEYS = st.sampled_from("ab")
TOLD = st.builds(lambda to, key, urgent: Delivery(to, "r", "r: true", key, None, urgent), NAMES, KEYS, st.booleans())


def _acts(to: str, key: str, action: Any, grace: float) -> Delivery:
    return Delivery(to, "r", "r: true", key, Incident(action, key), True, grace if action == "trigger" else 0.0)


ACTS = st.builds(
    _acts,
    st.just("pager") | NAMES,
    KEYS,
    st.sampled_from(["trigger", "resolve", "close"]),
    st.sampled_from([0.0, 30.0]),
)
CAUSES = st.lists(TOLD | ACTS, max_size=3)

SEVERAL = st.fixed_dictionaries(dict.fromkeys(MANNERS, st.sampled_from(MOODS)))
TROUBLES: Final = st.one_of(
    # Between two pieces of work; between two statements, or amid a commit; while a destination takes a message.
    st.just(("die",)),
    st.tuples(st.just("die_in"), st.integers(1, 40)),
    st.tuples(st.just("die_at_try"), st.integers(1, 6), st.booleans()),
    st.tuples(st.just("refuse"), st.integers(0, 20), st.integers(1, 4)),
)


class ConservationMachine(RuleBasedStateMachine):
    """Lives after lives of one service."""

    def __init__(self) -> None:
        super().__init__()
        self.moods = dict.fromkeys(MANNERS, "takes")
        self.ledger = Ledger()
        self.events = self.lives = 0
        self.home = TemporaryDirectory()
        self.listeners = {name: self.listener(name != "after_cursor_execute") for name in MOMENTS}
        for name, listener in self.listeners.items():
            event.listen(Engine, name, listener)
        self.life = Life(Path(self.home.name) / "0", 1000.0, self.ledger, self.moods)
        self.life.begin()

    def listener(self, before: bool) -> Callable[..., None]:
        """Hears of the statements of any life."""
        return lambda *_: self.life.moment(before)

    @initialize(moods=SEVERAL)
    def begin_in_moods(self, moods: dict[str, str]) -> None:
        """Not all is well from the start."""
        self.moods.update(moods)

    @rule(causes=st.lists(CAUSES, min_size=1, max_size=3), at_once=st.booleans())
    def come(self, causes: list[list[Delivery]], at_once: bool) -> None:
        """Events come, and are told at once, or as it goes."""
        now = self.life.clock.seconds()
        happened = []
        for each in causes:
            self.events += 1
            happened.append((Event(id=f"e{self.events}", received_at=now, type="container", action="create"), each))
        self.life.record(happened)
        if at_once:
            self.life.flow(1.0)

    @rule(causes=CAUSES, more=CAUSES, times=st.integers(2, 8))
    def pour(self, causes: list[Delivery], more: list[Delivery], times: int) -> None:
        """More than lanes keep in memory."""
        self.come([causes, more] * times, at_once=False)

    @rule(pieces=st.integers(1, 4))
    def work(self, pieces: int) -> None:
        """The journal does some of what it was asked for."""
        for _ in range(pieces):
            if self.life.worker.held and self.life.alive:
                self.life.worker.release()

    @rule(seconds=st.sampled_from([0.1, 1.0, 30.0]), times=st.integers(1, 3))
    def flow(self, seconds: float, times: int) -> None:
        """All is done that can be."""
        for _ in range(times):
            self.life.flow(seconds)

    @rule(seconds=st.sampled_from([0.5, 5.0, 60.0, 400.0, 90_000.0]))
    def wait(self, seconds: float) -> None:
        """Time passes, faster than the disk does anything."""
        self.life.clock.advance(seconds)

    @rule(moods=SEVERAL)
    def change_moods(self, moods: dict[str, str]) -> None:
        """From now on they answer so."""
        self.moods.update(moods)

    @precondition(lambda self: any(each.hanging for each in self.life.outlets.values()))
    @rule(number=st.integers(0, 3), cut=st.booleans())
    def finish(self, number: int, cut: bool) -> None:
        """Somebody answers at last, or the connection breaks."""
        for each in self.life.outlets.values():
            if each.hanging:
                each.finish(number, cut)

    @precondition(lambda self: self.ledger.graves)
    @rule(number=st.integers(1, 10))
    def revive(self, number: int) -> None:
        """An operator takes dead letters back."""
        self.life.revive(number)

    @rule(trouble=TROUBLES)
    def get_into_trouble(self, trouble: tuple[str, *tuple[Any, ...]]) -> None:
        """The disk, or whoever kills processes."""
        name, *words = trouble
        getattr(self.life, name)(*words)

    @rule(rows=st.none() | st.integers(1, 20))
    def restart(self, rows: int | None) -> None:
        """A polite stop, and a start. The history may be cut before."""
        if rows is not None:
            self.life.prune(rows)
        self.life.stop()
        if self.life.stopped:
            self.go_on(self.life.folder, crashed=False)

    @invariant()
    def who_died_is_started_again(self) -> None:
        """By systemd, so to speak. It may die of its start."""
        while not self.life.alive:
            self.life.bury()
            self.lives += 1
            folder = Path(self.home.name) / str(self.lives)
            folder.mkdir()
            for name, content in self.life.left.items():
                (folder / name).write_bytes(content)
            self.go_on(folder, crashed=True)

    @invariant()
    def all_promises_are_kept(self) -> None:
        """So far."""
        assert not self.ledger.problems, "\n".join(self.ledger.problems)

    def go_on(self, folder: Path, crashed: bool) -> None:
        """The next life. What kills a process in its start may have been waiting since before it."""
        last = self.life
        self.life = Life(folder, last.clock.seconds() + 1.0, self.ledger, self.moods)
        self.life.die_in(0 if crashed else last.dies_in)
        self.life.begin()
        self.ledger.end_of_life(self.life.look, crashed)

    def teardown(self) -> None:
        """Let all be well at the end: then everything arrives that did not."""
        try:
            if not self.ledger.problems:
                self.be_well()
                self.restart(None)
                self.ledger.balance_at_the_end(self.life.look)
                self.all_promises_are_kept()
                note(f"{self.ledger.crashes} crashes, {self.ledger.repeats} repeats")
        finally:
            self.life.bury()
            for name, listener in self.listeners.items():
                event.remove(Engine, name, listener)
            self.home.cleanup()

    def be_well(self) -> None:
        """Nothing is wrong any more, for as long as it takes."""
        self.who_died_is_started_again()
        self.life.die_in(0)
        self.life.die_at_try(0, False)
        self.life.refuse(0, 0)
        self.moods.update(dict.fromkeys(MANNERS, "takes"))
        for _ in range(600):
            for each in self.life.outlets.values():
                while each.hanging:
                    each.finish(0, cut=False)
            self.life.flow(20.0)
            if self.life.is_idle:
                return


ConservationMachine.TestCase.settings = searching(2, steps=20)
ConservationTests = ConservationMachine.TestCase
