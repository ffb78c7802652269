from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.returning import Returning, Seat


class TestReturning(SynchronousTestCase):
    def setUp(self) -> None:
        self.returning: Returning[str] = Returning(limit=3, patience=60.0)

    def back(self, who: str, now: float = 0.0) -> list[str]:
        return self.returning.back(who, now)

    def send_away(self, *clients: str, now: float = 0.0) -> None:
        self.returning.sent_away(clients, now)

    def miss(self, *texts: str) -> None:
        for text in texts:
            self.assertTrue(self.returning.miss(text))

    def test_nobody_is_awaited_who_was_not_sent_away(self) -> None:
        self.assertFalse(self.returning.awaits(0.0))
        self.assertEqual(self.back("alice"), [])

    def test_each_is_told_once_what_was_told_since_it_was_sent_away(self) -> None:
        self.send_away("alice", "alice", "bob")
        self.miss("a", "b")
        self.assertEqual(self.back("alice"), ["a", "b"])
        self.miss("c")
        self.assertEqual(self.back("alice"), ["a", "b", "c"])
        self.assertEqual(self.back("alice"), [])
        self.assertEqual(self.back("bob"), ["a", "b", "c"])
        self.assertFalse(self.returning.awaits(0.0))

    def test_who_came_back_and_is_sent_away_again_does_not_hear_the_same_twice(self) -> None:
        self.send_away("alice", "bob")
        self.miss("a")
        self.back("alice")
        self.send_away("alice")
        self.miss("b")
        self.assertEqual(self.back("alice"), ["b"])
        self.assertEqual(self.back("bob"), ["a", "b"])

    def test_of_several_of_one_name_none_loses_what_another_heard_already(self) -> None:
        # One is always back at once; the other is away all the time, and may be any that comes.
        self.send_away("alice", "alice")
        self.miss("a")
        self.assertEqual(self.back("alice"), ["a"])
        self.send_away("alice")
        self.miss("b")
        self.assertEqual(self.back("alice"), ["a", "b"])
        self.assertEqual(self.back("alice"), ["a", "b"])
        self.assertFalse(self.returning.awaits(0.0))
        self.assertEqual(self.back("alice"), [])

    def test_who_leaves_by_itself_takes_no_seat_of_another_of_its_name(self) -> None:
        self.send_away("alice", "alice", "bob")
        self.miss("a")
        for _ in range(3):
            self.assertEqual(self.back("alice"), ["a"])
            self.returning.left("alice", 0.0)
        self.assertEqual(self.back("alice"), ["a"])
        self.assertEqual(self.back("alice"), ["a"])
        # Nobody of the name is awaited any more: nothing was kept for it.
        self.returning.left("alice", 0.0)
        self.assertEqual(self.back("alice"), [])
        self.assertEqual(self.back("bob"), ["a"])

    def test_who_is_awaited_no_more_keeps_nothing_for_others_of_its_name(self) -> None:
        self.send_away("alice", "alice")
        self.returning.opened(0.0)
        self.miss("a")
        self.back("alice", 1.0)
        self.send_away("alice", now=60.0)
        self.miss("b")
        self.assertEqual(self.back("alice", 61.0), ["b"])
        self.assertEqual(self.back("alice", 61.0), [])

    def test_seats_of_before_a_restart_are_no_reason_to_lose_anything_either(self) -> None:
        self.returning.recall([Seat("alice", 1), Seat("alice", 0)], ["a", "b"])
        self.assertEqual([self.back("alice"), self.back("alice")], [["a", "b"]] * 2)

    def test_they_are_awaited_for_a_while_after_the_door_was_opened(self) -> None:
        self.send_away("alice", "bob")
        self.miss("a")
        self.assertTrue(self.returning.awaits(10_000.0))
        self.returning.opened(10_000.0)
        self.assertEqual(self.back("alice", 10_059.0), ["a"])
        self.assertEqual(self.back("bob", 10_060.0), [])

    def test_a_door_that_is_closed_again_waits_again(self) -> None:
        self.send_away("alice")
        self.returning.opened(0.0)
        self.send_away()
        self.assertTrue(self.returning.awaits(1000.0))

    def test_where_too_much_is_missed_all_is_forgotten(self) -> None:
        self.send_away("alice")
        self.miss("a", "b", "c")
        self.assertFalse(self.returning.miss("d"))
        self.assertEqual(self.back("alice"), [])
        self.send_away("alice")
        self.miss("d", "e")
