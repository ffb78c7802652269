from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.delivery.rows import row
from tutumstream.delivery.pairs import (
    FLAP_TIME,
    FLAPPING,
    FLAPS,
    MAY_BE_OPEN,
    NOTHING_OPEN,
    OVER,
    Opens,
    owed,
    unneeded,
)


class ATriggerAndItsResolve(SynchronousTestCase):
    def test_that_were_never_tried_are_dropped_as_a_pair(self) -> None:
        rows = [row(1, action="trigger"), row(2, action="resolve")]
        self.assertEqual(unneeded(rows, is_open=False, flapping=False), {1: OVER, 2: OVER})

    def test_that_may_have_arrived_leave_the_resolve(self) -> None:
        rows = [row(1, action="trigger", attempts=1), row(2, action="resolve")]
        self.assertEqual(unneeded(rows, is_open=False, flapping=False), {1: OVER})

    def test_of_an_earlier_run_may_have_arrived_whatever_was_written_down(self) -> None:
        rows = [row(1, action="trigger", received_at=5.0), row(2, action="resolve", received_at=9.0)]
        self.assertEqual(unneeded(rows, is_open=False, flapping=False, since=7.0), {1: OVER})
        self.assertEqual(unneeded(rows, is_open=False, flapping=False, since=5.0), {1: OVER, 2: OVER})

    def test_that_had_a_grace_until_now_did_not_arrive_in_an_earlier_run(self) -> None:
        rows = [row(1, action="trigger", received_at=5.0, due=8.0), row(2, action="resolve", received_at=7.5)]
        self.assertEqual(unneeded(rows, is_open=False, flapping=False, since=7.0), {1: OVER, 2: OVER})

    def test_of_before_the_clock_was_set_back_may_have_arrived_in_an_earlier_run(self) -> None:
        rows = [row(1, action="trigger", received_at=7200.0), row(2, action="resolve", received_at=9.0)]
        self.assertEqual(unneeded(rows, is_open=False, flapping=False, since=7.0, now=9.0), {1: OVER})
        self.assertEqual(unneeded(rows, is_open=False, flapping=False, since=7.0, now=7200.0), {1: OVER, 2: OVER})

    def test_of_an_incident_that_is_open_leave_the_resolve(self) -> None:
        rows = [row(1, action="trigger"), row(2, action="resolve")]
        self.assertEqual(unneeded(rows, is_open=True, flapping=False), {1: OVER})

    def test_are_told_where_only_one_of_them_is_there(self) -> None:
        for action in ("trigger", "resolve"):
            self.assertEqual(unneeded([row(1, action=action)], is_open=False, flapping=False), {})

    def test_are_dropped_with_all_triggers_before_it(self) -> None:
        rows = [row(1, action="trigger"), row(2, action="trigger"), row(3, action="close")]
        self.assertEqual(unneeded(rows, is_open=False, flapping=False), dict.fromkeys((1, 2, 3), OVER))
        self.assertEqual(unneeded(rows, is_open=True, flapping=False), dict.fromkeys((1, 2), OVER))
        tried = [row(1, action="trigger", attempts=1), *rows[1:]]
        self.assertEqual(unneeded(tried, is_open=False, flapping=False), dict.fromkeys((1, 2), OVER))

    def test_are_dropped_pair_by_pair_and_the_last_trigger_stays(self) -> None:
        rows = [row(n, action="trigger" if n % 2 else "resolve") for n in range(1, 6)]
        self.assertEqual(unneeded(rows, is_open=False, flapping=False), dict.fromkeys(range(1, 5), OVER))

    def test_of_a_flapping_incident_are_dropped_the_other_way_round(self) -> None:
        rows = [row(1, action="resolve"), row(2, action="trigger")]
        self.assertEqual(unneeded(rows, is_open=True, flapping=False), {})
        self.assertEqual(unneeded(rows, is_open=True, flapping=True), {1: FLAPPING, 2: FLAPPING})

    def test_of_a_flapping_incident_are_told_where_it_is_not_open(self) -> None:
        rows = [row(1, action="resolve"), row(2, action="trigger")]
        self.assertEqual(unneeded(rows, is_open=False, flapping=True), {})

    def test_of_a_flapping_incident_leave_it_open_to_be_closed(self) -> None:
        rows = [row(1, action="resolve"), row(2, action="trigger"), row(3, action="close")]
        self.assertEqual(unneeded(rows, is_open=True, flapping=True), dict.fromkeys((1, 2), FLAPPING))

    def test_of_a_flapping_incident_are_dropped_though_one_before_them_may_have_arrived(self) -> None:
        maybe = [row(1, action="resolve", attempts=1), row(2, action="trigger"), row(3)]
        rows = [*maybe, row(4, action="resolve"), row(5, action="trigger")]
        self.assertEqual(unneeded(rows, is_open=True, flapping=True), dict.fromkeys((4, 5), FLAPPING))

    def test_of_a_flapping_incident_are_dropped_with_everything_that_would_close_it(self) -> None:
        rows = [row(1, action="resolve"), row(2), row(3, action="resolve"), row(4, action="trigger")]
        self.assertEqual(unneeded(rows, is_open=True, flapping=True), dict.fromkeys((3, 1, 4), FLAPPING))

    def test_of_a_flapping_incident_are_told_where_the_resolve_may_have_arrived(self) -> None:
        for maybe in (row(1, action="resolve", attempts=1), row(1, action="resolve", received_at=5.0)):
            rows = [maybe, row(2, action="resolve", received_at=9.0), row(3, action="trigger", received_at=9.0)]
            self.assertEqual(unneeded(rows, is_open=True, flapping=True, since=7.0), {})
            more = [*rows, row(4, action="resolve", received_at=9.0), row(5, action="trigger", received_at=9.0)]
            self.assertEqual(unneeded(more, is_open=True, flapping=True, since=7.0), {3: OVER})

    def test_of_what_is_not_open_needs_no_closing(self) -> None:
        close = row(9, action="close")
        self.assertEqual(unneeded([close], is_open=False, flapping=False), {9: NOTHING_OPEN})
        self.assertEqual(unneeded([close], is_open=True, flapping=False), {})

    def test_are_dropped_as_a_pair_where_one_only_closes(self) -> None:
        rows = [row(1, action="trigger"), row(2, action="close"), row(3, action="close")]
        self.assertEqual(unneeded(rows, is_open=False, flapping=False), {1: OVER, 2: OVER, 3: NOTHING_OPEN})
        self.assertEqual(unneeded(rows, is_open=True, flapping=False), {1: OVER, 3: NOTHING_OPEN})

    def test_that_may_have_arrived_leave_what_only_closes_however_often_one_looks(self) -> None:
        rows = [row(1, action="trigger", attempts=1), row(2, action="close"), row(3, action="close")]
        dropped = unneeded(rows, is_open=False, flapping=False)
        self.assertEqual(dropped, {1: OVER, 3: NOTHING_OPEN})
        self.assertEqual([each.seq for each in owed(rows, dropped)], [2])
        marked = replace(rows[1], reason=MAY_BE_OPEN)
        self.assertEqual(unneeded([marked, rows[2]], is_open=False, flapping=False), {3: NOTHING_OPEN})
        self.assertEqual(owed([marked, rows[2]], {3: NOTHING_OPEN}), [])

    def test_leave_to_be_owed_only_what_closes_and_is_not_written_down_yet(self) -> None:
        trigger, close = row(1, action="trigger", attempts=1), row(2, action="close")
        for following in (row(2, action="resolve"), replace(close, reason=MAY_BE_OPEN)):
            self.assertEqual(unneeded([trigger, following], is_open=False, flapping=False), {1: OVER})
            self.assertEqual(owed([trigger, following], {1: OVER}), [])
        triggers = [trigger, row(2, action="resolve"), row(3, action="trigger"), row(4, action="close")]
        self.assertEqual(owed(triggers, {1: OVER}), [], "another one closes what may be open")
        # Of what is known to be open nothing has to be written down.
        self.assertEqual((owed([close], {}), owed([row(1), close], {})), ([], []))

    def test_beside_what_only_tells_are_left_alone(self) -> None:
        rows = [row(1, action="trigger"), row(2), row(3, action="resolve")]
        self.assertEqual(unneeded(rows, is_open=False, flapping=False), {})
        self.assertEqual(unneeded([row(1), row(2, action="close")], is_open=True, flapping=False), {})

    def test_leave_the_resolve_to_an_earlier_trigger_that_is_still_to_be_told(self) -> None:
        rows = [row(1, action="trigger"), row(2), row(3, action="trigger"), row(4, action="resolve")]
        self.assertEqual(unneeded(rows, is_open=False, flapping=False), {3: OVER})


class OpensOfAnIncident(SynchronousTestCase):
    def test_are_flapping_when_there_are_too_many_in_too_short_a_time(self) -> None:
        opens = Opens()
        for n in range(FLAPS):
            opens.opened(float(n))
        self.assertFalse(opens.flapping(10.0))
        opens.opened(10.0)
        self.assertTrue(opens.flapping(10.0))
        self.assertEqual(opens.quiet_at(), 10.0 + FLAP_TIME)
        self.assertFalse(opens.flapping(FLAP_TIME))

    def test_are_flapping_whatever_was_long_ago(self) -> None:
        opens = Opens()
        for at in (0.0, *(10_000.0 + n for n in range(FLAPS + 1))):
            opens.opened(at)
        self.assertTrue(opens.flapping(10_010.0))
