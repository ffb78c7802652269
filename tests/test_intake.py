from collections import deque
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.delivery.incidents import DUTY, Incidents
from tutumstream.delivery.state import Failing, Held, Limited, Ok, Refusing
from tutumstream.errors import JournalError
from tutumstream.event import Event, Malformed
from tutumstream.intake import Intake
from tutumstream.journal.interface import OpenIncident, Pending
from tutumstream.journal.memory import MemoryJournal
from tutumstream.journal.objects import ObjectState
from tutumstream.routing.delivery import Delivery
from tutumstream.routing.router import Router
from tutumstream.routing.tutorial import tutorial
from tutumstream.status.board import Board

CONTAINER = Event(id="e1", received_at=1.0, type="container", action="create", resource_uri="/api/v1/container/x/")


class TheIntake(SynchronousTestCase):
    def setUp(self) -> None:
        self.journal = MemoryJournal()
        self.journal.open()
        self.board = Board(lambda: "", lambda _: None)
        self.incidents = Incidents()
        self.woken: list[str] = []
        self.changed: list[str] = []
        self.intake = self.an_intake()

    def an_intake(self, **room: int) -> Intake:
        router = Router(tutorial(), {"slack", "webhook", "pagerduty", "log"})
        return Intake(
            router, self.incidents, self.journal, self.offer, self.changed.append, self.board, lambda: 5.0, **room
        )

    def offer(self, rows: Sequence[Pending]) -> None:
        self.woken += [row.delivery.destination for row in rows]

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
        writing: Deferred[list[Pending]] = Deferred()
        rows = self.successResultOf(self.journal.record(CONTAINER, [Delivery("slack", "r", "why", "k")]))
        self.journal.record_all = lambda *_: writing
        self.intake.take(CONTAINER)
        self.assertEqual(self.woken, [])
        settled = self.intake.settled()
        self.assertNoResult(settled)
        writing.callback(rows)
        self.assertEqual(self.woken, ["slack"])
        self.successResultOf(settled)

    def test_remembers_together_what_came_together(self) -> None:
        asked: list[int] = []
        real = self.journal.record_all

        def counting(happened: Sequence[tuple[Event, Sequence[Delivery]]]) -> Deferred[list[Pending]]:
            asked.append(len(happened))
            return real(happened)

        self.journal.record_all = counting
        with self.intake.together():
            for _ in range(3):
                self.intake.take(CONTAINER)
            self.assertEqual(asked, [])
        self.intake.take(CONTAINER)
        self.assertEqual(asked, [3, 1])
        self.assertEqual(self.woken, ["slack", "webhook"] * 4)

    def test_remembers_what_came_before_something_broke(self) -> None:
        with self.assertRaises(ZeroDivisionError), self.intake.together():
            self.intake.take(CONTAINER)
            raise ZeroDivisionError
        self.assertEqual(self.successResultOf(self.journal.destinations()), {"slack": 1, "webhook": 1})

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

    def test_tells_through_the_others_that_a_destination_is_held_and_when_it_is_not(self) -> None:
        self.intake.turned("slack", Ok(), Held(1.0, "404"))
        self.intake.turned("slack", Held(1.0, "404"), Ok())
        rows = self.successResultOf(self.journal.pending("pagerduty", 0, 10))
        self.assertEqual([row.event.message for row in rows], ["slack is held: 404", "slack works again"])
        self.assertEqual(
            [row.delivery.incident and row.delivery.incident.action for row in rows], ["trigger", "resolve"]
        )
        self.assertEqual({row.delivery.ordering_key for row in rows}, {"tutumstream-destination/slack"})
        self.assertEqual(self.successResultOf(self.journal.pending("slack", 0, 10)), [])

    def test_tells_through_the_others_that_a_destination_wants_nothing_for_long(self) -> None:
        limited = Limited(1e9, "slow down", since=1.0, told=True)
        self.intake.turned("slack", Limited(2.0, "slow down", since=1.0), limited)
        self.intake.turned("slack", limited, Failing(1.0, "500", told=True))
        self.intake.turned("slack", Failing(1.0, "500", told=True), Ok())
        rows = self.successResultOf(self.journal.pending("pagerduty", 0, 10))
        words = ["slack is limited until 2001-09-09 01:46:40 UTC: slow down", "slack works again"]
        self.assertEqual([row.event.message for row in rows], words)
        self.assertEqual(
            [row.delivery.incident and row.delivery.incident.action for row in rows], ["trigger", "resolve"]
        )

    def test_tells_through_the_others_that_a_destination_fails_for_long(self) -> None:
        failing = Failing(1.0, "500", told=True)
        self.intake.turned("slack", Failing(1.0, "500"), failing)
        self.intake.turned("slack", failing, Ok())
        rows = self.successResultOf(self.journal.pending("pagerduty", 0, 10))
        self.assertEqual([row.event.message for row in rows], ["slack is failing: 500", "slack works again"])
        self.assertEqual([row.event.action for row in rows], ["failing", "recovered"])

    def test_tells_through_the_others_that_a_destination_refuses_what_it_is_sent(self) -> None:
        self.intake.turned("pagerduty", Ok(), Refusing(1.0, "400: invalid key"))
        self.intake.turned("pagerduty", Refusing(1.0, "400: invalid key"), Ok())
        rows = self.successResultOf(self.journal.pending("slack", 0, 10))
        words = ["pagerduty is refusing what it is sent: 400: invalid key", "pagerduty works again"]
        self.assertEqual([row.event.message for row in rows], words)
        self.assertEqual([row.event.action for row in rows], ["refusing", "recovered"])

    def test_tells_that_a_destination_is_held_though_it_was_told_that_it_fails(self) -> None:
        self.intake.turned("slack", Failing(1.0, "500", told=True), Held(2.0, "404"))
        rows = self.successResultOf(self.journal.pending("pagerduty", 0, 10))
        self.assertEqual([row.event.message for row in rows], ["slack is held: 404"])

    def test_tells_of_no_other_trouble(self) -> None:
        self.intake.turned("slack", Ok(), Failing(1.0, "500"))
        self.intake.turned("slack", Failing(1.0, "500"), Ok())
        self.assertEqual(self.successResultOf(self.journal.history(10)), [])

    def test_asks_for_no_more_while_too_much_waits_to_be_written_down(self) -> None:
        self.intake = self.an_intake(most=50, room=10)
        writing = self.slow_disk()
        for _ in range(49):
            self.intake.take(CONTAINER)
        self.assertEqual(self.asked, [])
        self.intake.take(CONTAINER)
        self.assertEqual(self.asked, [True])
        # What was read already still comes.
        self.intake.take(CONTAINER)
        for _ in range(40):
            writing.popleft().callback([])
        self.assertEqual(self.asked, [True])
        writing.popleft().callback([])
        self.assertEqual(self.asked, [True, False])

    def test_asks_for_no_more_when_what_floods_it_is_malformed(self) -> None:
        self.intake = self.an_intake(most=50, room=10)
        writing = self.slow_disk()
        for _ in range(50):
            self.intake.keep(Malformed(received_at=1.0, reason="no", raw=b"x"))
        self.assertEqual(self.asked, [True])
        while writing:
            writing.popleft().callback([])
        self.assertEqual(self.asked, [True, False])

    def test_asks_again_though_the_last_to_be_written_down_is_malformed(self) -> None:
        self.intake = self.an_intake(most=50, room=10)
        writing = self.slow_disk()
        for _ in range(50):
            self.intake.take(CONTAINER)
        for _ in range(10 + 1):
            self.intake.keep(Malformed(received_at=1.0, reason="no", raw=b"x"))
        while writing:
            writing.popleft().callback([])
        self.assertEqual(self.asked, [True, False])

    def test_asks_again_though_the_journal_refused_some(self) -> None:
        self.intake = self.an_intake(most=50, room=10)
        writing = self.slow_disk()
        for _ in range(50):
            self.intake.take(CONTAINER)
        while writing:
            writing.popleft().errback(JournalError("here", "no"))
        self.assertEqual(self.asked, [True, False])

    def slow_disk(self) -> deque[Deferred[Any]]:
        """From now on nothing is written down before the test fires what this gives, the oldest first."""
        writing: deque[Deferred[Any]] = deque()

        def slow(*_: object) -> Deferred[Any]:
            writing.append(Deferred())
            return writing[-1]

        self.journal.record_all = slow
        self.journal.keep = slow
        self.asked: list[bool] = []
        self.intake.full = self.asked.append
        return writing

    def test_meets_the_duty_to_resolve(self) -> None:
        self.incidents.load([OpenIncident("old-pager", "blind", "stream", 1.0)], [], 0.0)
        self.intake.take(Event(id="e1", received_at=1.0, type="stream", action="open"))
        (row,) = self.successResultOf(self.journal.pending("old-pager", 0, 10))
        self.assertEqual(row.delivery.route, DUTY)

    def test_takes_what_was_missed_together_and_behind_what_was_taken_before(self) -> None:
        missed = Event(
            id="m1",
            received_at=2.0,
            type="container",
            action="delete",
            resource_uri="/api/v1/container/y/",
            synthetic=True,
        )
        with self.intake.together():
            self.intake.take(CONTAINER)
            done = self.intake.catch_up([missed], [ObjectState("/api/v1/container/z/", "container", "S", (), 2.0)], 2.0)
        self.successResultOf(done)
        told = self.successResultOf(self.journal.history(10))
        self.assertEqual([each.event.id for each in told], ["m1", "e1"])
        self.assertEqual(sorted(self.woken), ["slack", "slack", "webhook", "webhook"])
        self.assertEqual(self.changed, ["/api/v1/container/x/", "/api/v1/container/y/"])
        known = self.successResultOf(self.journal.states())
        self.assertEqual([each.uri[-2] for each in known], ["x", "z"])
        self.assertEqual(self.board.snapshot().counts["events"], 2)

    def test_wakes_nobody_where_nothing_was_missed(self) -> None:
        self.successResultOf(self.intake.catch_up([], [], 2.0))
        self.assertEqual(self.woken, [])

    def test_is_waited_for_by_a_stop_even_after_who_asked_for_it_has_left(self) -> None:
        writing: Deferred[list[Pending]] = Deferred()
        self.journal.catch_up = lambda *_: writing
        done = self.intake.catch_up([], [], 2.0)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        settled = self.intake.settled()
        self.assertNoResult(settled)
        writing.callback([])
        self.successResultOf(settled)

    def test_says_that_what_was_missed_was_refused(self) -> None:
        self.journal.close()
        self.failureResultOf(self.intake.catch_up([], [], 2.0), JournalError)
        self.successResultOf(self.intake.settled())
