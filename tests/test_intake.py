from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.event import Event, Malformed
from tutumstream.intake import Intake
from tutumstream.journal.memory import MemoryJournal
from tutumstream.routing.router import Router
from tutumstream.routing.tutorial import tutorial
from tutumstream.status.board import Board

CONTAINER = Event(id="e1", received_at=1.0, type="container", action="create", resource_uri="/api/v1/container/x/")


class TheIntake(SynchronousTestCase):
    def setUp(self) -> None:
        self.journal = MemoryJournal()
        self.journal.open()
        self.board = Board(lambda: "", lambda _: None)
        self.woken: list[str] = []
        self.changed: list[str] = []
        router = Router(tutorial(), {"slack", "webhook", "log"})
        self.intake = Intake(router, self.journal, self.woken.append, self.changed.append, self.board)

    def test_remembers_an_event_with_all_that_it_causes_and_wakes_the_lanes(self) -> None:
        self.intake.take(CONTAINER)
        self.assertEqual(self.successResultOf(self.journal.destinations()), {"slack": 1, "webhook": 1})
        self.assertEqual(sorted(self.woken), ["slack", "webhook"])

    def test_remembers_an_event_that_nobody_wants(self) -> None:
        self.intake.take(Event(id="e1", received_at=1.0, type="user-notification"))
        (told,) = self.successResultOf(self.journal.history(10))
        self.assertEqual(told.deliveries, 0)
        self.assertEqual(self.woken, [])

    def test_wakes_nobody_before_the_event_is_on_disk(self) -> None:
        writing: Deferred[None] = Deferred()
        self.journal.record = lambda *_: writing
        self.intake.take(CONTAINER)
        self.assertEqual(self.woken, [])
        settled = self.intake.settled()
        self.assertNoResult(settled)
        writing.callback(None)
        self.assertEqual(sorted(self.woken), ["slack", "webhook"])
        self.successResultOf(settled)

    def test_keeps_what_is_no_event(self) -> None:
        malformed = Malformed(received_at=1.0, reason="no", raw=b"x")
        self.intake.keep(malformed)
        self.assertEqual(self.successResultOf(self.journal.malformed(10)), [malformed])

    def test_says_whose_look_ups_are_old(self) -> None:
        self.intake.take(CONTAINER)
        self.assertEqual(self.changed, ["/api/v1/container/x/"])

    def test_counts_both(self) -> None:
        self.intake.take(CONTAINER)
        self.intake.take(CONTAINER)
        self.intake.keep(Malformed(received_at=1.0, reason="no", raw=b"x"))
        self.assertEqual(dict(self.board.snapshot().counts), {"events": 2, "malformed": 1})
