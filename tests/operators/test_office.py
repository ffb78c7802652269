from collections.abc import Sequence

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.operators.dead import NOW, a_journal, bury
from tutumstream.errors import JournalError
from tutumstream.journal.interface import Pending
from tutumstream.journal.memory import MemoryJournal
from tutumstream.notifiers.interface import Message
from tutumstream.operators.letters import Chosen, Filter, Found, Listing, Step
from tutumstream.operators.office import NO_TEXT, ONLY_RUNNING, READ, Compose, Office
from tutumstream.routing.delivery import Incident


def upper(rows: Sequence[Pending]) -> list[Message]:
    """A composer whose template shouts the event's id."""
    return [Message(row.id, row.event, row.event.id.upper(), "containers") for row in rows]


class SlowJournal(MemoryJournal):
    """Takes letters back when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on: Deferred[None] = Deferred()

    def revive(self, seqs: Sequence[int], at: float) -> Deferred[list[Pending]]:
        revived: Deferred[list[Pending]] = self.go_on.addCallback(lambda _: super(SlowJournal, self).revive(seqs, at))
        return revived


class TheOffice(SynchronousTestCase):
    def setUp(self) -> None:
        self.journal = a_journal("a", "b", "c")
        self.offered: list[Pending] = []
        self.composers: dict[str, Compose] = {"slack": upper}
        self.office = self.over(self.journal)

    def over(self, journal: MemoryJournal, **scan: int) -> Office:
        return Office(journal, lambda: NOW, self.offered.extend, self.composers, **scan)

    def dead(self) -> list[str]:
        return [each.pending.id for each in self.successResultOf(self.journal.dead_letters(9999))]

    def page(self, listing: Listing) -> tuple[list[str], int | None]:
        page = self.successResultOf(self.office.page(listing))
        return [each.id for each in page.letters], page.next

    def test_lists_page_by_page_the_newest_first(self) -> None:
        self.assertEqual(self.page(Listing(limit=2)), (["c-1", "b-1"], 2))
        self.assertEqual(self.page(Listing(limit=2, before=2)), (["a-1"], None))
        self.assertEqual(self.page(Listing(limit=2, before=1)), ([], None))

    def test_lists_what_the_filter_takes(self) -> None:
        bury(self.journal, "d", destination="webhook")
        bury(self.journal, "e", cause="expired")
        self.assertEqual(self.page(Listing(destination="webhook")), (["d-1"], None))
        self.assertEqual(self.page(Listing(cause="expired")), (["e-1"], None))
        self.assertEqual(self.page(Listing(destination="log")), ([], None))

    def test_looks_at_so_many_only_and_says_where_to_go_on(self) -> None:
        journal = MemoryJournal()
        journal.open()
        bury(journal, "wanted", destination="webhook")
        for number in range(20):
            bury(journal, str(number))
        office = self.over(journal, scan=20)
        self.assertEqual(self.successResultOf(office.find(Filter(destination="webhook"))), Found([], 2, ["slack"]))
        self.assertEqual(
            self.successResultOf(office.find(Filter(destination="webhook", before=2))), Found([1], None, ["slack"])
        )

    def test_finds_the_seqs_of_all_that_are_meant(self) -> None:
        bury(self.journal, "d", destination="webhook")
        self.assertEqual(
            self.successResultOf(self.office.find(Filter(destination="slack"))), Found([3, 2, 1], None, ["slack"])
        )

    def test_a_retry_revives_what_is_chosen_and_gives_it_to_the_lanes_in_order(self) -> None:
        step = self.successResultOf(self.office.retry(Chosen(seqs=(3, 1))))
        self.assertEqual(step, Step(done=2))
        self.assertEqual(
            [(row.id, row.attempts, row.born_at) for row in self.offered], [("a-1", 0, NOW), ("c-1", 0, NOW)]
        )
        self.assertEqual(self.successResultOf(self.journal.pending("slack", 0, 9)), self.offered)
        self.assertEqual(self.dead(), ["b-1"])

    def test_a_retry_by_id_says_which_it_does_not_know(self) -> None:
        step = self.successResultOf(self.office.retry(Chosen(ids=("x-1", "a-1", "x-1"))))
        self.assertEqual(step, Step(done=1, unknown=["x-1"]))
        self.assertEqual([row.id for row in self.offered], ["a-1"])

    def test_of_two_with_one_id_the_newest_is_meant(self) -> None:
        bury(self.journal, "a")
        self.assertEqual(self.successResultOf(self.office.retry(Chosen(ids=("a-1",)))), Step(done=1))
        self.assertEqual([row.seq for row in self.offered], [4])

    def test_an_id_is_found_however_many_are_newer(self) -> None:
        for number in range(READ + 1):
            bury(self.journal, str(number))
        self.assertEqual(self.successResultOf(self.office.drop(Chosen(ids=("a-1",)))), Step(done=1))
        self.assertNotIn("a-1", self.dead())

    def test_a_retry_of_nothing_that_is_there_does_nothing(self) -> None:
        for chosen in (Chosen(seqs=(77,)), Chosen(ids=("x-1",))):
            self.assertEqual(self.successResultOf(self.office.retry(chosen)).done, 0)
        self.assertEqual(self.offered, [])

    def test_a_retry_says_for_which_destinations_there_is_nobody(self) -> None:
        bury(self.journal, "d", destination="fax")
        step = self.successResultOf(self.office.retry(Chosen(seqs=(1, 4))))
        self.assertEqual(step, Step(done=2, absent=["fax"]))

    def test_a_retry_says_where_it_opens_incidents(self) -> None:
        for name, destination, action in (("d", "pagerduty", "trigger"), ("e", "opsgenie", "resolve")):
            bury(self.journal, name, destination=destination, incident=Incident(action, "k"))  # type: ignore[arg-type]
        step = self.successResultOf(self.office.retry(Chosen(seqs=(1, 4, 5))))
        self.assertEqual((step.done, step.opening), (3, ["pagerduty"]))

    def test_a_retry_reaches_the_lanes_even_when_whoever_asked_went_away(self) -> None:
        journal = SlowJournal()
        journal.open()
        bury(journal, "a")
        asked = self.over(journal).retry(Chosen(seqs=(1,)))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        journal.go_on.callback(None)
        self.assertEqual([row.id for row in self.offered], ["a-1"])

    def test_a_drop_forgets_what_is_chosen_for_good(self) -> None:
        self.assertEqual(self.successResultOf(self.office.drop(Chosen(ids=("b-1", "x-1")))), Step(1, ["x-1"]))
        self.assertEqual(self.successResultOf(self.office.drop(Chosen(seqs=(1, 77)))), Step(1))
        self.assertEqual(self.successResultOf(self.office.drop(Chosen(ids=("x-1",)))), Step(0, ["x-1"]))
        self.assertEqual((self.dead(), self.offered), (["c-1"], []))

    def test_shows_one_with_what_would_be_sent_today(self) -> None:
        shown = self.successResultOf(self.office.show("b-1"))
        assert shown is not None
        self.assertEqual((shown.letter.id, shown.text, shown.note), ("b-1", "B", ""))
        self.assertIsNone(self.successResultOf(self.office.show("x-1")))

    def test_waits_for_look_ups_when_it_shows_one(self) -> None:
        self.composers["slack"] = lambda rows: succeed(upper(rows))
        shown = self.successResultOf(self.office.show("b-1"))
        assert shown is not None
        self.assertEqual(shown.text, "B")

    def note(self, office: Office, letter_id: str = "a-1") -> str:
        shown = self.successResultOf(office.show(letter_id))
        assert shown is not None
        self.assertEqual(shown.text, "")
        return shown.note

    def test_says_why_there_is_no_message_to_show(self) -> None:
        self.assertEqual(self.note(Office(self.journal, lambda: NOW, self.offered.extend, None)), ONLY_RUNNING)
        self.composers["slack"] = lambda rows: [Message(row.id, row.event, "", "containers") for row in rows]
        self.assertEqual(self.note(self.office), NO_TEXT)
        bury(self.journal, "d", destination="fax")
        self.assertIn("no destination fax", self.note(self.office, "d-1"))

    def test_a_composer_that_fails_is_a_bug_and_told_as_one(self) -> None:
        def fail(rows: Sequence[Pending]) -> list[Message]:
            raise ZeroDivisionError

        self.composers["slack"] = fail
        self.assertIn("bug", self.note(self.office))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_passes_on_what_the_journal_says(self) -> None:
        self.journal.close()
        for asked in (
            self.office.page(Listing()),
            self.office.find(Filter()),
            self.office.show("a-1"),
            self.office.retry(Chosen(seqs=(1,))),
            self.office.drop(Chosen(ids=("a-1",))),
        ):
            self.failureResultOf(asked, JournalError)
