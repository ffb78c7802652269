"""The account of a conservation run finds every broken promise: without that, its silence would mean nothing."""

from collections.abc import Mapping
from unittest import TestCase

from tests.acceptance.conservation_account import Account, Look
from tests.acceptance.conservation_world import Arrival

URIS = ["/a/", "/b/", "/a/", "/b/", "/a/", "/b/"]


def arrival(number: int, life: int = 0, *, uri: str = "", identity: str = "") -> Arrival:
    return Arrival(life, identity or f"e{number}-1", number, uri or URIS[number])


def look(committed: str, pending: str = "", dead: Mapping[int, str] | None = None) -> Look:
    """Numbers as digits."""
    return Look(frozenset(map(int, committed)), frozenset(map(int, pending)), dead or {})


class TheAccount(TestCase):
    def setUp(self) -> None:
        # Event 2 is lost in the kill before it was written down; 1 was in flight at the kill, and came twice; 3 is
        # refused.
        self.arrivals = [arrival(0), arrival(1), arrival(1, 1), arrival(4, 1), arrival(5, 1)]
        self.refused = {3}
        self.looks = [look("01", "1")]
        self.end = look("01345", dead={3: "rejected"})

    def problems(self) -> list[str]:
        return Account(URIS, 3, self.arrivals, self.refused, self.looks, self.end).check()

    def assert_found(self, *problems: str) -> None:
        self.assertEqual(self.problems(), list(problems))

    def test_has_nothing_to_say_when_all_promises_were_kept(self) -> None:
        self.assert_found()

    def test_counts_repeats_and_what_was_never_read(self) -> None:
        account = Account(URIS, 3, self.arrivals, self.refused, self.looks, self.end)
        self.assertEqual((dict(account.repeats_by_kill()), account.lost_unread), ({0: 1}, 1))

    def test_finds_what_is_lost(self) -> None:
        self.arrivals.pop(3)
        self.assert_found("1 x was committed, and neither arrived nor is a dead letter: 4")

    def test_finds_what_still_waits(self) -> None:
        self.end = look("01345", "4", dead={3: "rejected"})
        self.assert_found("1 x is still pending at the end: 4")

    def test_finds_what_the_journal_forgot(self) -> None:
        self.looks = [look("012", "1")]
        self.assert_found("1 x was committed at kill 0, and is gone from the journal: 2")

    def test_finds_what_was_told_before_it_was_written_down(self) -> None:
        self.arrivals.insert(1, arrival(2))
        self.assert_found("1 x arrived, and was never committed: 2")

    def test_finds_what_nobody_sent(self) -> None:
        self.arrivals.append(arrival(4, 1, uri="/b/"))
        self.looks = [look("01", "14")]
        self.assertIn("1 x arrived, and was never sent like that: 4", self.problems())

    def test_finds_what_an_untroubled_life_did_not_read(self) -> None:
        self.arrivals.pop()
        self.end = look("0134", dead={3: "rejected"})
        self.assert_found("1 x was sent to a service that nobody killed, and is not there: 5")

    def test_finds_what_was_given_up_though_nobody_refused_it(self) -> None:
        self.refused = set()
        self.assert_found("1 x is a dead letter, and was not refused: 3")

    def test_finds_what_overtook_an_older_one_of_its_resource(self) -> None:
        self.arrivals = [arrival(0), arrival(1), arrival(1, 1), arrival(5, 1), arrival(4, 1)]
        self.assert_found()
        self.arrivals = [arrival(1), arrival(1, 1), arrival(4, 1), arrival(0, 1), arrival(5, 1)]
        self.assert_found("1 x arrived before an older one of its resource: 4")

    def test_finds_what_came_twice_without_a_kill(self) -> None:
        self.arrivals.append(arrival(5, 1))
        self.assert_found("1 x came twice without a kill: 5")

    def test_finds_what_came_twice_though_it_was_settled(self) -> None:
        self.looks = [look("01")]
        self.assert_found("1 x came twice, and was settled at the kill in between: 1")

    def test_finds_what_came_again_under_another_id(self) -> None:
        self.arrivals[2] = arrival(1, 1, identity="other")
        self.assert_found("1 x came again under another id: 1")

    def test_names_a_few_of_many(self) -> None:
        self.arrivals = []
        self.refused = set()
        self.end = look("012345")
        self.assert_found("6 x was committed, and neither arrived nor is a dead letter: 0, 1, 2, 3, 4, …")
