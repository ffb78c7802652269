from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.delivery.rows import row
from tutumstream.delivery.incidents import BLIND_PATIENCE, DUTY, LOOK_AGAIN, Incidents
from tutumstream.delivery.pairs import FLAP_TIME, FLAPS
from tutumstream.event import Event
from tutumstream.journal.interface import Opened, OpenIncident
from tutumstream.routing.delivery import Delivery, Incident

BACK = Event(id="e1", received_at=1.0, type="stream", action="open")


class OpenIncidents(SynchronousTestCase):
    def setUp(self) -> None:
        self.incidents = Incidents()

    def test_are_opened_by_a_trigger_that_arrived_and_closed_by_a_resolve(self) -> None:
        self.incidents.told(row(1, "k", "trigger"), 5.0)
        self.assertTrue(self.incidents.is_open("slack", "k"))
        self.assertFalse(self.incidents.is_open("pagerduty", "k"))
        self.incidents.told(row(2, "k", "acknowledge"), 5.0)
        self.incidents.told(row(3, "k"), 5.0)
        self.assertTrue(self.incidents.is_open("slack", "k"))
        self.incidents.told(row(4, "k", "resolve"), 6.0)
        self.assertFalse(self.incidents.is_open("slack", "k"))
        self.incidents.told(row(5, "k", "acknowledge"), 7.0)
        self.assertFalse(self.incidents.is_open("slack", "k"))

    def test_are_opened_a_little_later_while_nobody_can_see_whether_they_are_over(self) -> None:
        due = row(1, "k", "trigger", due=30.0, received_at=1.0)
        self.assertEqual(self.incidents.held_until(due, 40.0), 0.0)
        self.incidents.blind_since = lambda: 20.0
        # As the journal gives it back: it knows when it is due, and not why.
        self.assertEqual(due.delivery.grace, 0.0)
        self.assertEqual(self.incidents.held_until(due, 40.0), 40.0 + LOOK_AGAIN)
        self.assertEqual(self.incidents.held_until(due, 200.0), 30.0 + BLIND_PATIENCE)
        self.incidents.blind_since = lambda: 150.0
        self.assertEqual(self.incidents.held_until(due, 200.0), 200.0 + LOOK_AGAIN)
        for other in (row(2, "k", "resolve", due=30.0), row(3, "k", due=30.0), replace(due, reason="it answered 503")):
            self.assertEqual(self.incidents.held_until(other, 40.0), 0.0)

    def test_are_remembered_by_the_journal(self) -> None:
        self.incidents.load([OpenIncident("slack", "k", "stream", 1.0)], [], 0.0)
        self.assertTrue(self.incidents.is_open("slack", "k"))

    def test_that_flap_are_held_open_for_ten_quiet_minutes(self) -> None:
        for n in range(FLAPS + 1):
            self.assertEqual(self.incidents.held_open_until("slack", "k", float(n)), 0.0)
            self.incidents.told(row(2 * n + 1, "k", "trigger"), float(n))
            self.incidents.told(row(2 * n + 2, "k", "resolve"), float(n))
        self.assertEqual(self.incidents.held_open_until("slack", "k", 9.0), FLAPS + FLAP_TIME)
        self.assertEqual(self.incidents.held_open_until("slack", "k", FLAPS + FLAP_TIME), 0.0)

    def test_that_were_opened_before_the_clock_was_set_back_do_not_count_as_flapping(self) -> None:
        opened = [Opened("slack", "k", at) for at in (50.0, *(43_200.0 + n for n in range(FLAPS + 2)))]
        self.incidents.load([], opened, 100.0)
        self.assertEqual(self.incidents.held_open_until("slack", "k", 100.0), 0.0)
        self.incidents.load([], [Opened("slack", "k", float(n)) for n in range(FLAPS + 1)], 100.0)
        self.assertEqual(self.incidents.held_open_until("slack", "k", 100.0), FLAPS + FLAP_TIME)


class TheDutyToResolve(SynchronousTestCase):
    def setUp(self) -> None:
        self.incidents = Incidents()
        self.incidents.load(
            [OpenIncident("old-pager", "blind", "stream", 1.0), OpenIncident("p", "x", "stack", 1.0)], [], 0.0
        )

    def test_of_the_stream_is_met_when_it_is_back_even_if_no_route_asks_for_it(self) -> None:
        (owed,) = self.incidents.duties(BACK, [Delivery("elasticsearch", "all", "why", "stream")])
        self.assertEqual((owed.destination, owed.route, owed.urgent), ("old-pager", DUTY, True))
        self.assertEqual(owed.incident, Incident("resolve", "blind"))

    def test_is_met_once(self) -> None:
        given = Delivery("old-pager", "r", "why", "blind", Incident("resolve", "blind"))
        self.assertEqual(self.incidents.duties(BACK, [given]), [])

    def test_waits_for_the_stream(self) -> None:
        for event in (
            Event(id="e", received_at=1.0, type="stream", action="close"),
            Event(id="e", received_at=1.0, type="stack", action="create"),
        ):
            self.assertEqual(self.incidents.duties(event, []), [])
