from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.ids import Mint, mint

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def value(ulid: str) -> int:
    """Crockford's base 32, digit by digit."""
    number = 0
    for character in ulid:
        number = number * 32 + ALPHABET.index(character)
    return number


class AnId(SynchronousTestCase):
    def test_is_a_ulid_of_its_time_and_its_random_number(self) -> None:
        made = Mint(lambda: 1_469_918_176_385_999_999, lambda bits: (1 << bits) - 1)()
        self.assertEqual(len(made), 26)
        # The time of the specification's own example.
        self.assertEqual(made[:10], "01ARYZ6S41")
        self.assertEqual(value(made), 1_469_918_176_385 << 80 | (1 << 79) - 1)

    def test_is_the_last_one_and_one_more_within_a_millisecond_or_when_the_clock_goes_back(self) -> None:
        times = iter([5_000_000, 5_900_000, 4_000_000, 6_000_000])
        make = Mint(lambda: next(times), lambda _: 7)
        made = [value(make()) for _ in range(4)]
        self.assertEqual(made, [5 << 80 | 7, 5 << 80 | 8, 5 << 80 | 9, 6 << 80 | 7])

    def test_is_new_and_sorts_behind_the_last_one_whatever_the_clock_does(self) -> None:
        @given(st.lists(st.integers(0, 2**60), min_size=2, max_size=50))
        def check(times: list[int]) -> None:
            clock = iter(times)
            make = Mint(lambda: next(clock))
            made = [make() for _ in times]
            assert all(first < second for first, second in pairwise(made))

        check()

    def test_of_the_process_is_new_each_time(self) -> None:
        self.assertEqual(len({mint() for _ in range(10_000)}), 10_000)
