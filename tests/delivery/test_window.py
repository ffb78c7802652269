from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.delivery.rows import row
from tutumstream.delivery.window import Window
from tutumstream.journal.interface import Pending


def seqs(rows: list[Pending]) -> list[int]:
    return [each.seq for each in rows]


class AWindow(SynchronousTestCase):
    def setUp(self) -> None:
        self.window = Window()

    def test_gives_rows_in_order(self) -> None:
        self.window.add([row(1, "a"), row(2, "b"), row(3, "c")])
        self.assertEqual(seqs(self.window.take(0.0, 2)), [1, 2])
        self.assertEqual(seqs(self.window.take(0.0, 2)), [3])
        self.assertEqual(self.window.take(0.0, 2), [])

    def test_gives_a_key_again_only_when_what_was_under_way_ended(self) -> None:
        first, second = row(1, "a"), row(2, "a")
        self.window.add([first, second, row(3, "b")])
        self.assertEqual(seqs(self.window.take(0.0, 1)), [1])
        self.assertEqual(seqs(self.window.take(0.0, 1)), [3])
        self.assertEqual(self.window.take(0.0, 1), [])
        self.window.ended([first], [])
        self.assertEqual(seqs(self.window.take(0.0, 1)), [2])
        self.window.ended([second], [])
        self.window.add([row(4, "a")])
        self.assertEqual(seqs(self.window.take(0.0, 1)), [4])

    def test_goes_on_with_the_next_key_where_all_of_one_was_dropped(self) -> None:
        first = row(1, "a")
        self.window.add([first, row(2, "b")])
        self.window.drop([first])
        self.assertEqual(seqs(self.window.take(0.0, 9)), [2])

    def test_has_nothing_of_a_key_of_which_all_is_gone(self) -> None:
        both, waits = [row(1, "a"), row(2, "a")], row(3, "b", due=5.0)
        self.window.add([*both, waits])
        self.window.take(0.0, 9)
        self.window.ended(both, [])
        self.window.drop([waits])
        self.assertEqual((len(self.window), self.window.take(5.0, 9)), (0, []))
        self.window.add([row(4, "a")])
        self.assertEqual(seqs(self.window.take(5.0, 9)), [4])

    def test_gives_once_what_was_put_off_twice(self) -> None:
        later = row(1, "a", due=5.0)
        self.window.add([later, row(2, "b")])
        for _ in range(2):
            self.window.ended([], [later])
        self.assertEqual(seqs(self.window.take(5.0, 9)), [1, 2])
        self.assertEqual(self.window.take(5.0, 9), [])

    def test_holds_longer_what_is_due_and_may_not_go_yet(self) -> None:
        window = Window(lambda each, _now: 9.0 if each.seq < 3 else 0.0)
        window.add([row(1, "a", due=5.0), row(2, "b"), row(3, "c", due=5.0), row(4, "c", due=7.0)])
        self.assertEqual(seqs(window.take(5.0, 9)), [2, 3], "what need not wait for a time is not asked for")
        self.assertEqual(window.due(), 9.0)
        self.assertEqual(seqs(window.take(9.0, 9)), [1])

    def test_shows_what_is_wanted_of_all_that_is_not_under_way(self) -> None:
        self.window.add([row(1, "a"), row(2, "b"), row(3, "a"), row(4, "c")])
        self.window.take(0.0, 2)
        self.assertEqual(seqs(self.window.that_are(lambda _: True)), [2, 4])
        self.assertEqual(seqs(self.window.that_are(lambda each: each.seq > 2)), [4])

    def test_puts_the_rows_of_a_key_into_one_batch(self) -> None:
        self.window.add([row(1, "a"), row(2, "b"), row(3, "a"), row(4, "c")])
        self.assertEqual(seqs(self.window.take(0.0, 3)), [1, 3, 2])

    def test_takes_what_is_urgent_not_together_with_what_is_before_it_and_is_not(self) -> None:
        first, second = row(1, "a"), row(2, "a")
        self.window.add([first, second, row(3, "a", urgent=True), row(4, "a"), row(5, "b")])
        self.assertEqual(seqs(self.window.take(0.0, 9)), [1, 2, 5])
        self.window.ended([first, second], [])
        self.assertEqual(seqs(self.window.take(0.0, 9)), [3, 4])

    def test_keeps_the_place_of_what_failed(self) -> None:
        first = row(1, "a")
        self.window.add([first, row(2, "a"), row(3, "b")])
        self.window.take(0.0, 1)
        self.window.ended([], [replace(first, due=5.0, attempts=1)])
        self.assertEqual(seqs(self.window.take(4.9, 9)), [3])
        self.assertEqual(self.window.due(), 5.0)
        (again, behind) = self.window.take(5.0, 9)
        self.assertEqual((again.seq, again.attempts, behind.seq), (1, 1, 2))

    def test_does_not_take_a_row_that_is_not_due_with_its_key(self) -> None:
        self.window.add([row(1, "a"), row(2, "a", due=9.0)])
        self.assertEqual(seqs(self.window.take(0.0, 9)), [1])

    def test_gives_what_is_urgent_first(self) -> None:
        self.window.add([row(1, "a"), row(2, "b", urgent=True), row(3, "c")])
        self.assertTrue(self.window.has_urgent(0.0))
        self.assertEqual(seqs(self.window.take(0.0, 9)), [2, 1, 3])
        self.assertFalse(self.window.has_urgent(0.0))

    def test_has_something_urgent_once_it_is_due_and_until_it_is_dropped(self) -> None:
        urgent = row(2, "b", urgent=True, due=5.0)
        self.window.add([row(1, "a"), urgent])
        self.assertEqual([self.window.has_urgent(now) for now in (4.9, 5.0)], [False, True])
        self.window.drop([urgent])
        self.assertFalse(self.window.has_urgent(5.0))

    def test_counts_what_waits(self) -> None:
        self.window.add([row(1, "a"), row(2, "b"), row(3, "c", due=9.0)])
        self.assertEqual((len(self.window), self.window.waiting), (3, 3))
        self.window.take(0.0, 1)
        self.assertEqual((len(self.window), self.window.waiting), (3, 2))

    def test_gives_again_what_failed_beside_one_that_arrived(self) -> None:
        first, second = row(1, "a"), row(2, "b")
        self.window.add([first, second])
        self.window.take(0.0, 2)
        self.window.ended([first], [second])
        self.assertEqual(seqs(self.window.take(0.0, 2)), [2])

    def test_shows_the_rows_of_a_key_while_none_is_under_way(self) -> None:
        self.window.add([row(1, "a"), row(2, "a")])
        self.assertEqual([each.seq for each in self.window.rows("a")], [1, 2])
        self.window.take(0.0, 1)
        self.assertEqual(self.window.rows("a"), ())
        self.assertEqual(self.window.rows("unknown"), ())

    def test_forgets_what_is_dropped(self) -> None:
        first, second, third = row(1, "a", due=5.0), row(2, "a"), row(3, "a")
        self.window.add([first, second, third])
        self.window.drop([first, second])
        self.assertEqual((len(self.window), self.window.due()), (1, None))
        self.assertEqual(seqs(self.window.take(0.0, 9)), [3])
        self.assertIsNone(self.window.due())

    def test_gives_each_row_once_and_each_key_in_order_whatever_happens(self) -> None:
        steps = st.lists(
            st.one_of(
                st.tuples(st.just("add"), st.sampled_from("abc"), st.booleans()),
                st.tuples(st.just("take"), st.integers(1, 3), st.none()),
                st.tuples(st.just("end"), st.booleans(), st.none()),
                st.tuples(st.just("drop"), st.sampled_from("abc"), st.none()),
            ),
            max_size=40,
        )

        @given(steps)
        def check(script: list[tuple[str, object, object]]) -> None:
            window, now, under_way = Window(), 0.0, []
            gone: list[int] = []
            last: dict[str, int] = {}
            added = 0
            for step, first, second in script:
                now += 1.0
                if step == "add":
                    added += 1
                    window.add([row(added, str(first), urgent=bool(second))])
                elif step == "take":
                    assert isinstance(first, int)
                    taken = window.take(now, first)
                    assert len(taken) <= first
                    under_way += [taken] if taken else []
                elif step == "end" and under_way:
                    tried = under_way.pop(0)
                    arrived = tried if first else []
                    window.ended(arrived, [] if first else [replace(each, due=now + 2) for each in tried])
                    for each in arrived:
                        key = each.delivery.ordering_key
                        assert last.get(key, 0) < each.seq
                        last[key] = each.seq
                        gone.append(each.seq)
                elif step == "drop":
                    dropped = window.rows(str(first))[:1]
                    window.drop(dropped)
                    gone += [each.seq for each in dropped]
                    last.update({str(first): each.seq for each in dropped})
            while len(window):
                now += 10.0
                for tried in [*under_way, window.take(now, 9)]:
                    window.ended(tried, [])
                    gone += seqs(tried)
                under_way = []
            assert sorted(gone) == list(range(1, added + 1))

        check()
