from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.delivery.rows import row
from tutumstream.delivery.decision import GIVE_UP_AFTER, PROBE_EVERY, Later
from tutumstream.delivery.destination import REFUSES_AFTER, SUSPECT_AFTER, Destination
from tutumstream.delivery.state import LONG, Failing, Held, Limited, Ok, Refusing, standing, state
from tutumstream.journal.interface import Pending, Standing
from tutumstream.notifiers.interface import Delivered, Hold, Rejected, TryAgain, Verdict


class DestinationCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.destination = Destination(Ok(), lambda: 1.0)
        self.now = 100.0

    def judge(self, pending: Pending, verdict: Verdict) -> Pending:
        (decision,) = self.destination.judge([pending], [verdict], self.now)
        return decision.stays if isinstance(decision, Later) else pending

    def fail_times(self, pending: Pending, times: int) -> Pending:
        for _ in range(times):
            pending = self.judge(pending, TryAgain("500"))
            self.now = max(self.now, self.destination.blocked_until)
        return pending


class ADestination(DestinationCase):
    def test_that_works_takes_many_at_once(self) -> None:
        self.judge(row(1), Delivered())
        self.assertEqual((self.destination.state, self.destination.width(50)), (Ok(), 50))

    def test_settles_nothing_on_fewer_verdicts_than_deliveries(self) -> None:
        for verdicts in ([], [Delivered()]):
            with self.assertRaises(ValueError):
                self.destination.judge([row(1), row(2)], verdicts, self.now)

    def test_that_fails_waits_as_a_whole_and_takes_one_at_a_time(self) -> None:
        self.judge(row(1), TryAgain("500"))
        self.assertEqual(self.destination.state, Failing(100.0, "500"))
        self.assertEqual((self.destination.blocked_until, self.destination.width(50)), (102.0, 1))

    def test_waits_ever_longer_whichever_delivery_fails(self) -> None:
        waits = []
        for n in range(4):
            self.judge(row(n), TryAgain("no answer"))
            waits.append(self.destination.blocked_until - self.now)
            self.now = self.destination.blocked_until
        self.assertEqual(waits, [2, 4, 8, 16])

    def test_waits_no_longer_for_what_was_before_something_arrived(self) -> None:
        for verdict in (TryAgain("500"), Rejected("400"), Delivered()):
            self.setUp()
            self.fail_times(row(1), 3)
            self.judge(row(2), Delivered())
            self.judge(row(3), verdict)
            self.judge(row(4), Delivered())
            self.judge(row(5), TryAgain("500"))
            self.assertEqual(self.destination.blocked_until, self.now + 2)

    def test_fails_once_however_many_were_under_way(self) -> None:
        for n in range(50):
            self.judge(row(n), TryAgain("500"))
        self.assertEqual(self.destination.blocked_until, 102.0)
        self.now = 102.0
        self.judge(row(50), TryAgain("500"))
        self.assertEqual(self.destination.blocked_until, 106.0)

    def test_works_again_with_the_first_that_arrives(self) -> None:
        self.judge(row(1), TryAgain("500"))
        self.judge(row(2), Delivered())
        self.assertEqual((self.destination.state, self.destination.blocked_until), (Ok(), 0.0))

    def test_answers_when_it_refuses_a_message(self) -> None:
        self.judge(row(1), TryAgain("500"))
        self.judge(row(1), Rejected("400"))
        self.assertEqual(self.destination.state, Ok())

    def test_refuses_altogether_when_one_message_after_the_other_is_refused(self) -> None:
        for n in range(REFUSES_AFTER - 1):
            self.judge(row(n), Rejected("400"))
            self.assertEqual(self.destination.state, Ok())
        self.judge(row(8), Rejected("400"))
        self.judge(row(9), Rejected("422"))
        self.assertEqual(self.destination.state, Refusing(100.0, "400"))
        self.assertEqual(self.destination.width(50), 50)
        self.judge(row(10), Delivered())
        self.assertEqual(self.destination.state, Ok())

    def test_refuses_nothing_altogether_while_it_takes_others(self) -> None:
        for n in range(0, 4 * REFUSES_AFTER, 2):
            self.judge(row(n), Rejected("400"))
            self.assertEqual(self.destination.state, Ok())
            self.judge(row(n + 1), Delivered())

    def test_refuses_nothing_altogether_while_it_takes_one_of_each_try(self) -> None:
        for verdicts in ([Delivered(), *[Rejected("400")] * 9], [*[Rejected("400")] * 9, Delivered()]):
            self.destination.judge([row(n) for n in range(10)], verdicts, self.now)
            self.assertEqual(self.destination.state, Ok())

    def test_counts_what_it_refuses_anew_after_a_try_of_which_it_takes_one(self) -> None:
        self.destination.judge([row(n) for n in range(4)], [Rejected("400")] * 4, self.now)
        self.destination.judge([row(4), row(5)], [Delivered(), Rejected("400")], self.now)
        self.judge(row(6), Rejected("400"))
        self.assertEqual(self.destination.state, Ok())

    def test_refuses_nothing_that_matters_while_it_takes_the_page_of_a_try(self) -> None:
        self.destination.judge([row(1, urgent=True), row(2)], [Delivered(), Rejected("400")], self.now)
        self.assertEqual(self.destination.state, Ok())

    def test_refuses_altogether_when_one_try_has_that_many_messages_refused(self) -> None:
        rows = [row(n) for n in range(REFUSES_AFTER)]
        self.destination.judge(rows, [Rejected("400")] * REFUSES_AFTER, self.now)
        self.assertEqual(self.destination.state, Refusing(100.0, "400"))

    def test_refuses_altogether_when_a_few_tries_have_that_many_messages_refused(self) -> None:
        rows = [row(n) for n in range(REFUSES_AFTER)]
        self.destination.judge(rows[:-1], [Rejected("400")] * (REFUSES_AFTER - 1), self.now)
        self.assertEqual(self.destination.state, Ok())
        self.judge(rows[-1], Rejected("400"))
        self.assertEqual(self.destination.state, Refusing(100.0, "400"))

    def test_counts_what_is_refused_beside_trouble(self) -> None:
        rows = [row(n) for n in range(REFUSES_AFTER - 1)]
        self.destination.judge(rows, [TryAgain("500"), *[Rejected("400")] * (REFUSES_AFTER - 2)], self.now)
        self.assertEqual(self.destination.state, Failing(100.0, "500"))
        self.judge(rows[0], Rejected("400"))
        self.assertEqual(self.destination.state, Ok())
        self.judge(rows[0], Rejected("400"))
        self.assertEqual(self.destination.state, Refusing(100.0, "400"))

    def test_refuses_altogether_when_a_single_page_is_refused(self) -> None:
        self.judge(row(1, action="trigger", urgent=True), Rejected("400"))
        self.assertEqual(self.destination.state, Refusing(100.0, "400"))
        self.now = 200.0
        self.judge(row(2), Rejected("400"))
        self.assertEqual(self.destination.state, Refusing(100.0, "400"))

    def test_that_refuses_and_then_fails_goes_on_being_told(self) -> None:
        self.judge(row(1, urgent=True), Rejected("400"))
        self.judge(row(2), TryAgain("500"))
        self.assertEqual(self.destination.state, Failing(100.0, "500", told=True))

    def test_that_was_told_to_be_in_trouble_is_not_well_again_by_a_refusal(self) -> None:
        for told in (Held(1.0, "404"), Failing(1.0, "500", told=True), Limited(2.0, "429", since=1.0, told=True)):
            self.destination = Destination(told, lambda: 1.0)
            self.judge(row(1), Rejected("400"))
            self.assertEqual(self.destination.state, Refusing(100.0, "400"))
            self.judge(row(2), Delivered())
            self.assertEqual(self.destination.state, Ok())

    def test_that_takes_one_and_refuses_another_is_well_again(self) -> None:
        self.destination = Destination(Refusing(1.0, "400"), lambda: 1.0)
        self.destination.judge([row(1), row(2)], [Delivered(), Rejected("400")], self.now)
        self.assertEqual(self.destination.state, Ok())

    def test_is_limited_until_its_time_whatever_it_refuses(self) -> None:
        self.judge(row(1), TryAgain("429", after=60.0, limited=True))
        self.judge(row(2, urgent=True), Rejected("400"))
        self.assertEqual(self.destination.state, Limited(160.0, "429", since=100.0))

    def test_is_limited_until_its_time_even_if_something_under_way_still_arrives(self) -> None:
        self.judge(row(1), TryAgain("429", after=60.0, limited=True))
        self.judge(row(2), Delivered())
        self.assertEqual(self.destination.state, Limited(160.0, "429", since=100.0))
        self.assertEqual(self.destination.blocked_until, 160.0)
        self.now = 160.0
        self.judge(row(1), Delivered())
        self.assertEqual(self.destination.state, Ok())

    def test_is_held_until_something_arrives(self) -> None:
        self.judge(row(1), Hold("404"))
        self.assertEqual(self.destination.blocked_until, 100.0 + PROBE_EVERY)
        self.now = 400.0
        self.judge(row(1), TryAgain("502"))
        self.judge(row(1), Hold("404 again"))
        self.assertEqual(self.destination.state, Held(100.0, "404 again"))
        self.now = self.destination.blocked_until
        self.judge(row(1), Delivered())
        self.assertEqual((self.destination.state, self.destination.blocked_until), (Ok(), 0.0))

    def test_is_held_until_its_probe_even_if_something_under_way_still_arrives(self) -> None:
        self.judge(row(1), Hold("401"))
        for verdict in (Delivered(), Rejected("400"), Delivered()):
            self.judge(row(2, urgent=True), verdict)
            self.assertEqual(self.destination.state, Held(100.0, "401"))
            self.assertEqual(self.destination.blocked_until, 100.0 + PROBE_EVERY)

    def test_that_was_held_and_asks_for_less_then_goes_on_being_told(self) -> None:
        self.judge(row(1), Hold("401"))
        self.now = self.destination.blocked_until
        self.judge(row(1), TryAgain("429", after=1.0, limited=True))
        self.assertTrue(self.destination.state.told)

    def test_has_the_worst_state_of_a_batch(self) -> None:
        rows = [row(n) for n in range(3)]
        self.destination.judge(rows, [Delivered(), TryAgain("429", limited=True, after=5.0), Rejected("400")], 100.0)
        self.assertEqual(self.destination.state, Limited(105.0, "429", since=100.0))

    def test_that_limits_us_without_a_time_is_not_hammered(self) -> None:
        waits = []
        for n in range(3):
            self.judge(row(n), TryAgain("429", after=0.0, limited=True))
            waits.append(self.destination.blocked_until - self.now)
            self.now = self.destination.blocked_until
        self.assertEqual(waits, [2, 4, 8])

    def test_takes_back_together_what_failed_together_however_often_each_was_tried(self) -> None:
        spread = iter((0.1, 0.5, 0.9))
        destination = Destination(Ok(), lambda: next(spread))
        rows = [replace(row(n), attempts=attempts) for n, attempts in enumerate((0, 2, SUSPECT_AFTER - 1))]
        decisions = destination.judge(rows, [TryAgain("500")] * 3, self.now)
        self.assertEqual(len({each.stays.due for each in decisions if isinstance(each, Later)}), 1)

    def test_takes_back_what_failed_together_when_what_failed_most_often_may_come(self) -> None:
        rows = [replace(row(n), attempts=attempts) for n, attempts in enumerate((0, 2))]
        decisions = self.destination.judge(rows, [TryAgain("500")] * 2, self.now)
        self.assertEqual([each.until - self.now for each in decisions if isinstance(each, Later)], [8, 8])

    def test_that_wants_nothing_for_long_is_told_of(self) -> None:
        self.judge(row(1), TryAgain("429", after=LONG - 1, limited=True))
        self.assertFalse(self.destination.state.told)
        self.now = self.destination.blocked_until
        self.judge(row(1), TryAgain("429", after=1.0, limited=True))
        self.assertTrue(self.destination.state.told, "asked again and again it is as long")
        self.now = self.destination.blocked_until
        self.judge(row(1), TryAgain("500"))
        self.assertEqual(self.destination.state, Failing(self.now, "500", told=True))
        self.judge(row(1), Delivered())
        self.assertFalse(self.destination.state.told)

    def test_that_takes_a_part_of_each_batch_is_limited_only_since_then(self) -> None:
        for _ in range(3):
            self.destination.judge(
                [row(1), row(2)], [Delivered(), TryAgain("429", after=LONG / 2, limited=True)], self.now
            )
            self.now = self.destination.blocked_until
        self.assertFalse(self.destination.state.told)

    def test_is_not_hammered_with_what_is_given_up_for_its_age(self) -> None:
        self.now = GIVE_UP_AFTER + 100.0
        self.judge(row(1), TryAgain("500"))
        self.assertEqual(self.destination.blocked_until, self.now + 2)
        self.now = self.destination.blocked_until
        self.judge(row(2), TryAgain("429", after=60.0, limited=True))
        self.assertEqual(self.destination.state, Limited(self.now + 60, "429", since=self.now))
        self.now = self.destination.blocked_until
        self.judge(row(3), Hold("404"))
        self.assertEqual(self.destination.blocked_until, self.now + PROBE_EVERY)


class ADeliveryThatFails(DestinationCase):
    def test_holds_up_the_others_at_first(self) -> None:
        self.judge(row(1), TryAgain("500"))
        self.assertGreater(self.destination.blocked_until, self.now)

    def test_lets_another_one_try_now_and_then(self) -> None:
        pending = self.fail_times(row(1), SUSPECT_AFTER - 1)
        blocked = self.destination.blocked_until
        stays = self.judge(pending, TryAgain("500"))
        self.assertEqual(self.destination.blocked_until, blocked)
        self.assertGreater(stays.due, self.now)

    def test_lets_nobody_try_where_the_destination_itself_wants_to_be_left_alone(self) -> None:
        for verdict, until in (
            (Hold("401"), self.now + PROBE_EVERY),
            (TryAgain("429", after=90.0, limited=True), self.now + 90),
        ):
            self.setUp()
            rows = [row(1, attempts=SUSPECT_AFTER - 1), row(2, "l")]
            self.destination.judge(rows, [verdict, Delivered()], self.now)
            self.assertEqual(self.destination.blocked_until, until)

    def test_and_comes_back_from_the_dead_letters_is_no_suspect(self) -> None:
        self.judge(row(1), TryAgain("500"))
        self.judge(row(1), Rejected("400"))
        self.judge(row(2), Delivered())
        self.judge(row(1), TryAgain("500"))
        self.assertEqual(self.destination.state, Failing(self.now, "500"))

    def test_holds_up_nobody_once_others_arrive_between_its_tries(self) -> None:
        pending = self.fail_times(row(1), 2)
        self.judge(row(2), Delivered())
        stays = self.judge(pending, TryAgain("500"))
        self.assertEqual((self.destination.state, self.destination.blocked_until), (Ok(), 0.0))
        self.assertEqual(stays.due, self.now + 8)
        self.judge(row(3), Delivered())
        self.judge(stays, TryAgain("500"))
        self.assertEqual((self.destination.state, self.destination.blocked_until), (Ok(), 0.0))

    def test_makes_the_others_wait_no_longer_once_they_arrive_between_its_tries(self) -> None:
        pending = self.fail_times(row(1), 2)
        self.judge(row(2), Delivered())
        self.judge(pending, TryAgain("500"))
        self.judge(row(3), TryAgain("500"))
        self.assertEqual(self.destination.blocked_until, self.now + 2)

    def test_waits_no_longer_for_the_trouble_of_others_once_they_arrive_between_its_tries(self) -> None:
        pending = self.fail_times(row(1), 1)
        self.judge(row(2), Delivered())
        pending = self.judge(pending, TryAgain("500"))
        self.judge(row(3), Delivered())
        for number in range(4, 8):
            self.judge(row(number), TryAgain("500"))
            self.now = self.destination.blocked_until
        self.assertEqual(self.judge(pending, TryAgain("500")).due, self.now + 8)


class AState(SynchronousTestCase):
    def test_goes_through_the_journal_unchanged(self) -> None:
        for each in (
            Ok(),
            Limited(5.0, "429", 3.0),
            Limited(9e5, "429", 3.0, told=True),
            Held(1.0, "404"),
            Failing(2.0, "500"),
            Failing(2.0, "500", told=True),
            Refusing(4.0, "400"),
        ):
            self.assertEqual(state(standing(each), 8.5e5), each)

    def test_of_an_older_journal_does_not_say_since_when_it_was_limited(self) -> None:
        self.assertEqual(state(Standing("limited", until=9.0, reason="429"), 1.0), Limited(9.0, "429", since=9.0))

    def test_that_was_limited_for_more_than_a_day_is_asked_again_after_a_start(self) -> None:
        day = 24 * 3600.0
        for until, then in ((9.0 + day, 9.0 + day), (9.1 + day, 9.0), (1e12, 9.0)):
            kept = standing(Limited(until, "429", since=1.0, told=True))
            self.assertEqual(state(kept, 9.0), Limited(then, "429", since=1.0, told=True))

    def test_that_began_before_the_clock_was_set_back_began_now(self) -> None:
        for then, now in (
            (Limited(43_220.0, "429", since=43_200.0), Limited(120.0, "429", since=100.0)),
            (Held(43_200.0, "404"), Held(100.0, "404")),
            (Failing(43_200.0, "500", told=True), Failing(100.0, "500", told=True)),
            (Refusing(43_200.0, "400"), Refusing(100.0, "400")),
        ):
            self.assertEqual(state(standing(then), 100.0), now)

    def test_that_fails_for_ten_minutes_is_told_to_others(self) -> None:
        destination = Destination(Ok(), lambda: 0.0)
        told = []
        for now in (0.0, 599.0, 600.0, 601.0):
            destination.judge([row(1)], [TryAgain("500")], now)
            told.append(destination.state.told)
        self.assertEqual(told, [False, False, True, True])

    def test_that_was_limited_goes_on_being_so(self) -> None:
        self.assertEqual(Destination(Limited(50.0, "429", since=1.0), lambda: 0.0).blocked_until, 50.0)
        self.assertEqual(Destination(Held(50.0, "404"), lambda: 0.0).blocked_until, 0.0)

    def test_says_what_is_wrong(self) -> None:
        self.assertEqual(str(Failing(1.0, "500")), "failing: 500")
        self.assertEqual(str(Limited(1e9, "slow down", since=1.0)), "limited until 2001-09-09 01:46:40 UTC: slow down")
        self.assertEqual(str(Limited(1e99, "slow down", since=1.0)), "limited until the end of time: slow down")
