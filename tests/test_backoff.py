from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.backoff import Backoff

BACKOFF = Backoff(base=1.0, cap=60.0)


class TheWaitAfterAFailure(SynchronousTestCase):
    def test_doubles_its_range_with_each_failure_up_to_the_cap(self) -> None:
        longest = [BACKOFF.after(failures, lambda: 1.0) for failures in range(1, 9)]
        self.assertEqual(longest, [2, 4, 8, 16, 32, 60, 60, 60])

    def test_is_spread_over_the_whole_range(self) -> None:
        self.assertEqual([BACKOFF.after(4, lambda spread=spread: spread) for spread in (0.0, 0.5, 1.0)], [1, 8.5, 16])

    def test_is_never_shorter_than_the_base_nor_longer_than_the_cap(self) -> None:
        @given(st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
        def check(failures: int, spread: float) -> None:
            assert 1.0 <= BACKOFF.after(failures, lambda: spread) <= 60.0

        check()
