from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.delivery.feed import Feed
from tutumstream.delivery.window import Window
from tutumstream.errors import JournalError
from tutumstream.event import Event
from tutumstream.journal.interface import DeadLetter, Pending
from tutumstream.journal.memory import MemoryJournal
from tutumstream.routing.delivery import Delivery


class SlowJournal(MemoryJournal):
    """Answers what is asked about the backlog when the test says so, with what is there by then."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Deferred[list[Pending]], str, int, int, bool]] = []

    def pending(self, destination: str, after: int, limit: int, urgent: bool = False) -> Deferred[list[Pending]]:
        """See `IJournal`."""
        asked: Deferred[list[Pending]] = Deferred()
        self.asked.append((asked, destination, after, limit, urgent))
        return asked

    def answer(self) -> None:
        """Answer the oldest question."""
        asked, *of = self.asked.pop(0)
        super().pending(*of).chainDeferred(asked)

    def fail(self) -> None:
        """Say that it can't be read."""
        self.asked.pop(0)[0].errback(JournalError("j", "can't be read"))


class FeedTests(SynchronousTestCase):
    """A window of four rows."""

    def setUp(self) -> None:
        self.journal = SlowJournal()
        self.journal.open()
        self.window = Window()
        self.feed = Feed("slack", self.journal, self.window, lambda _: None, 4, lambda: 100.0)

    def record(self, *names: str, urgent: bool = False) -> list[Pending]:
        """Recorded, and offered."""
        rows: list[Pending] = []
        for name in names:
            event = Event(id=name, received_at=0.0, type="container", action="create")
            self.journal.record(event, [Delivery("slack", "r", "", name, None, urgent)]).addCallback(rows.extend)
        self.feed.offer(rows)
        return rows

    def start(self) -> None:
        """Until everything, or as much as there is room for, was read."""
        started = self.feed.start()
        while self.journal.asked:
            self.journal.answer()
        self.successResultOf(started)

    def read(self) -> None:
        """Read on."""
        reading = self.feed.read()
        self.journal.answer()
        self.successResultOf(reading)

    def tell(self) -> list[str]:
        """All that is in the window is told, and written down."""
        rows = self.window.take(0.0, 100)
        self.window.ended(rows, ())
        self.successResultOf(self.journal.settle(rows, 0.0))
        return [row.event.id for row in rows]

    def bury(self, rows: Sequence[Pending]) -> None:
        """They are told and refused."""
        taken = self.window.take(0.0, 100)
        self.assertEqual([row.seq for row in taken], [row.seq for row in rows])
        self.window.ended(taken, ())
        self.successResultOf(self.journal.bury([DeadLetter(row, "rejected", "400", "", 0.0) for row in rows]))

    def revive(self, rows: Sequence[Pending]) -> None:
        """Taken back, and offered."""
        self.journal.revive([row.seq for row in rows], 0.0).addCallback(self.feed.offer)

    def test_falls_behind_where_there_is_no_room_and_wants_to_read_on_once_there_is(self) -> None:
        self.start()
        self.record("a", "b", "c", "d")
        self.assertFalse(self.feed.behind)
        self.record("e")
        self.assertEqual((self.feed.behind, self.feed.wants()), (True, False))
        self.assertEqual(self.tell(), ["a", "b", "c", "d"])
        self.assertTrue(self.feed.wants())
        self.feed.read()
        self.assertFalse(self.feed.wants(), "it is being read")

    def test_lets_nothing_urgent_overtake_what_came_while_reading_failed(self) -> None:
        self.record("a", "b", "c")
        self.start()
        self.record("d", "e")
        self.tell()
        reading = self.feed.read()
        self.record("first", urgent=True)
        self.journal.fail()
        self.failureResultOf(reading, JournalError)
        self.record("second", urgent=True)
        self.assertEqual(self.tell(), ["first", "second"])
        self.read()
        self.read()
        self.assertEqual(self.tell(), ["d", "e"])

    def test_finds_what_was_taken_back_while_reading_failed(self) -> None:
        self.start()
        old = self.record("old")
        self.bury(old)
        self.record("a", "b", "c", "d", "e")
        reading = self.feed.read()
        self.revive(old)
        self.journal.fail()
        self.failureResultOf(reading, JournalError)
        self.assertTrue(self.feed.skipped)

    def test_begins_not_anew_amid_reading(self) -> None:
        self.start()
        old = self.record("old")
        self.bury(old)
        self.record("a", "b", "c", "d", "e")
        self.revive(old)
        self.assertTrue(self.feed.skipped)
        reading = self.feed.read()
        self.assertFalse(self.feed.skipped)
        self.journal.answer()
        self.successResultOf(reading)
        self.assertTrue(self.feed.skipped)

    def test_takes_back_what_overtook_others_and_was_refused(self) -> None:
        self.start()
        self.record("a", "b", "c", "d", "e")
        page = self.record("page", urgent=True)
        self.bury(page)
        self.revive(page)
        self.assertEqual(self.tell(), ["page"])
        self.read()
        self.read()
        self.assertEqual(self.tell(), ["a", "b", "c", "d"])
        self.read()
        self.assertEqual(self.tell(), ["e"])
        self.assertFalse(self.feed.behind)

    def test_finds_what_was_taken_back_while_it_read_on(self) -> None:
        self.start()
        old = self.record("old")
        self.bury(old)
        self.record("a", "b", "c", "d", "e")
        reading = self.feed.read()
        self.revive(old)
        self.journal.answer()
        self.successResultOf(reading)
        self.assertTrue(self.feed.skipped)
        self.assertEqual(self.tell(), ["a", "b"])
        self.feed.begin_anew()
        self.assertFalse(self.feed.skipped, "once is enough")
        self.read()
        self.assertEqual(self.tell(), ["old", "c"])

    def test_takes_in_once_what_came_while_it_read_and_was_read_too(self) -> None:
        self.start()
        self.record("a", "b", "c", "d", "e", "f")
        for names in (["a", "b"], ["c", "d"], ["e", "f"]):
            self.read()
            self.assertEqual(self.tell(), names)
        reading = self.feed.read()
        self.record("x")
        self.journal.answer()
        self.successResultOf(reading)
        self.assertEqual(self.tell(), ["x"])

    def test_takes_in_once_what_is_urgent_and_came_while_it_looked_what_was_left(self) -> None:
        self.record("a", "b", "c")
        started = self.feed.start()
        self.record("page", urgent=True)
        while self.journal.asked:
            self.journal.answer()
        self.successResultOf(started)
        self.assertEqual(self.tell(), ["page", "a", "b"])

    def test_lets_nothing_urgent_overtake_what_was_left_of_its_kind_and_found_no_room(self) -> None:
        for name in ("p1", "p2", "p3", "p4", "p5"):
            self.record(name, urgent=True)
        self.start()
        self.record("p6", urgent=True)
        self.assertEqual(self.tell(), ["p1", "p2", "p3", "p4"])
        while self.feed.wants():
            self.read()
        self.assertEqual(self.tell(), ["p5", "p6"])

    def test_has_room_for_twice_as_many_where_they_are_urgent_and_lets_none_overtake_the_next(self) -> None:
        self.start()
        self.record("a", "b", "c", "d", "e", "f")
        pages = [f"p{number}" for number in range(1, 9)]
        for name in (*pages, "p9"):
            self.record(name, urgent=True)
        self.record("g")
        self.assertEqual(self.tell(), pages)
        self.record("p10", urgent=True)
        self.assertEqual(self.tell(), [])
        told = []
        while self.feed.behind:
            self.read()
            told += self.tell()
        self.assertEqual(told, ["a", "b", "c", "d", "e", "f", "p9", "g", "p10"])
        # All of that is over, so what is urgent goes first again.
        self.record("h", "i", "j", "k", "l")
        self.record("p11", urgent=True)
        self.assertEqual(self.tell(), ["p11"])

    def test_lets_a_grace_begin_anew_that_a_clock_began_which_was_set_back_since(self) -> None:
        for name, received_at, grace in (("ago", 40.0, 120.0), ("ahead", 43_300.0, 120.0), ("at once", 43_300.0, 0.0)):
            event = Event(id=name, received_at=received_at, type="container", action="create")
            self.journal.record(event, [Delivery("slack", "r", "", name, grace=grace)])
        self.start()
        self.assertEqual([row.event.id for row in self.window.take(100.0, 9)], ["at once"])
        self.assertEqual(
            [(row.event.id, row.due) for row in self.window.take(500.0, 9)], [("ago", 160.0), ("ahead", 220.0)]
        )
