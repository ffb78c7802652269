from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.delivery.decision import GIVE_UP_AFTER, PROBE_EVERY, Later, Settled, decide, not_before
from tutumstream.event import Event
from tutumstream.journal.interface import DeadLetter, Pending, Postponement
from tutumstream.notifiers.interface import Delivered, Hold, Rejected, TryAgain, Verdict
from tutumstream.routing.delivery import Delivery, Incident

NOW = 10_000.0


def pending(age: float = 0.0, attempts: int = 0) -> Pending:
    event = Event(id="e1", received_at=NOW - age, type="container")
    return Pending(7, "e1-1", event, Delivery("slack", "r", "r: true", "k"), attempts=attempts, born_at=NOW - age)


def after(verdict: Verdict, age: float = 0.0, attempts: int = 0, streak: int = 0, jitter: float = 1.0) -> object:
    row = pending(age, attempts)
    if isinstance(verdict, TryAgain | Hold):
        return decide(row, verdict, not_before(verdict, streak, attempts + 1, NOW, lambda: jitter), NOW)
    return decide(row, verdict, NOW, NOW)


class ADelivery(SynchronousTestCase):
    def test_that_arrived_is_settled(self) -> None:
        self.assertEqual(after(Delivered("id")), Settled(pending()))

    def test_that_failed_is_tried_again_ever_later_up_to_five_minutes(self) -> None:
        waits = []
        for attempts in range(11):
            decision = after(TryAgain("no answer", answer="?"), attempts=attempts)
            assert isinstance(decision, Later)
            waits.append(decision.until - NOW)
            self.assertEqual(decision.postponement, Postponement(7, attempts + 1, decision.until, "no answer", "?"))
        self.assertEqual(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300])

    def test_waits_as_long_as_it_was_told_even_if_that_is_hours(self) -> None:
        for seconds in (2.0, 7200.0, 10 * 86400.0):
            decision = after(TryAgain("slow down", after=seconds, limited=True), streak=1)
            assert isinstance(decision, Later)
            self.assertEqual(decision.until, NOW + seconds)

    def test_that_may_come_back_at_once_waits_ever_longer_all_the_same(self) -> None:
        waits = []
        for streak in range(1, 5):
            decision = after(TryAgain("slow down", after=0.0, limited=True), streak=streak)
            assert isinstance(decision, Later)
            assert decision.postponement is not None
            self.assertEqual(decision.postponement.attempts, 0)
            waits.append(decision.until - NOW)
        self.assertEqual(waits, [2, 4, 8, 16])

    def test_that_was_limited_did_not_fail(self) -> None:
        decision = after(TryAgain("slow down", limited=True), attempts=3, streak=2)
        assert isinstance(decision, Later)
        assert decision.postponement is not None
        self.assertEqual(decision.postponement.attempts, 3)
        self.assertEqual(decision.until, NOW + 4)

    def test_that_was_told_when_to_come_back_from_trouble_counts_as_failed(self) -> None:
        decision = after(TryAgain("503", after=90.0), attempts=3)
        assert isinstance(decision, Later)
        assert decision.postponement is not None
        self.assertEqual((decision.postponement.attempts, decision.until), (4, NOW + 90))

    def test_to_a_held_destination_waits_for_the_next_probe_and_its_row_is_not_blamed(self) -> None:
        self.assertEqual(after(Hold("404 no_service")), Later(pending(), NOW + PROBE_EVERY, None))

    def test_waits_as_long_as_the_destination_has_been_in_trouble(self) -> None:
        decision = after(TryAgain("no answer"), attempts=0, streak=5)
        assert isinstance(decision, Later)
        self.assertEqual(decision.until, NOW + 32)

    def test_that_was_taken_back_from_the_dead_letters_has_another_day(self) -> None:
        row = replace(pending(age=2 * GIVE_UP_AFTER), born_at=NOW - 5)
        self.assertIsInstance(decide(row, TryAgain("no answer"), NOW + 1, NOW), Later)

    def test_that_stays_knows_what_happened_to_it(self) -> None:
        decision = after(TryAgain("no answer", answer="?"), attempts=2)
        assert isinstance(decision, Later)
        row = decision.stays
        self.assertEqual((row.seq, row.attempts, row.due, row.reason, row.answer), (7, 3, NOW + 8, "no answer", "?"))
        held = after(Hold("404"))
        assert isinstance(held, Later)
        self.assertEqual(held.stays, pending())

    def test_that_is_refused_is_given_up_with_the_answer_after_one_more_try(self) -> None:
        self.assertEqual(
            after(Rejected("400 invalid_payload", "invalid_payload"), attempts=2),
            DeadLetter(pending(attempts=3), "rejected", "400 invalid_payload", "invalid_payload", NOW),
        )

    def test_that_fails_a_day_after_its_event_is_given_up_whatever_fails(self) -> None:
        for verdict in (TryAgain("no answer"), TryAgain("slow down", limited=True, after=1.0), Hold("404")):
            self.assertIsInstance(after(verdict, age=GIVE_UP_AFTER - 1), Later)
            decision = after(verdict, age=GIVE_UP_AFTER)
            assert isinstance(decision, DeadLetter)
            self.assertEqual(decision.cause, "expired")
            self.assertIn(verdict.reason, decision.reason)

    def test_that_resolves_is_never_given_up_for_its_age(self) -> None:
        row = pending(age=10 * GIVE_UP_AFTER)
        row = replace(row, delivery=replace(row.delivery, incident=Incident("resolve", "k")))
        self.assertIsInstance(decide(row, TryAgain("no answer"), NOW + 1, NOW), Later)

    def test_that_arrives_late_is_delivered_all_the_same(self) -> None:
        self.assertIsInstance(after(Delivered(), age=10 * GIVE_UP_AFTER), Settled)

    def test_never_comes_back_before_it_was_told_to(self) -> None:
        seconds = st.none() | st.floats(0, 10**7)

        @given(seconds, st.booleans(), st.integers(0, 10**6), st.floats(0, 1, exclude_max=True))
        def check(told: float | None, limited: bool, attempts: int, spread: float) -> None:
            decision = after(TryAgain("r", after=told, limited=limited), attempts=attempts, streak=1, jitter=spread)
            assert isinstance(decision, Later)
            assert decision.until >= NOW + max(1.0, told or 0.0)

        check()
