from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.delivery.rate import Rate, TokenBucket


class ATokenBucket(SynchronousTestCase):
    def test_lets_a_burst_go_and_then_one_at_a_time(self) -> None:
        bucket = TokenBucket(Rate(1.0, burst=3))
        for _ in range(3):
            self.assertEqual(bucket.wait(100.0), 0.0)
            bucket.take(100.0)
        self.assertEqual(bucket.wait(100.0), 1.0)
        self.assertEqual(bucket.wait(100.75), 0.25)
        self.assertEqual(bucket.wait(101.0), 0.0)

    def test_allows_a_burst_again_after_a_rest_and_no_more(self) -> None:
        bucket = TokenBucket(Rate(2.0, burst=2))
        bucket.take(0.0)
        bucket.take(0.0)
        for _ in range(2):
            self.assertEqual(bucket.wait(1000.0), 0.0)
            bucket.take(1000.0)
        self.assertEqual(bucket.wait(1000.0), 0.5)

    def test_without_a_rate_never_waits(self) -> None:
        bucket = TokenBucket(None)
        for _ in range(1000):
            bucket.take(0.0)
        self.assertEqual(bucket.wait(0.0), 0.0)

    def test_is_not_stopped_by_a_clock_that_is_set_back(self) -> None:
        bucket = TokenBucket(Rate(1.0, burst=1))
        bucket.take(10**9)
        self.assertLessEqual(bucket.wait(0.0), 1.0)

    def test_never_lets_more_go_than_burst_and_rate_allow(self) -> None:
        @given(st.floats(0.1, 50), st.integers(1, 9), st.lists(st.floats(0, 3), max_size=60))
        def check(per_second: float, burst: int, pauses: list[float]) -> None:
            bucket, now, sent = TokenBucket(Rate(per_second, burst)), 0.0, 0
            for pause in pauses:
                now += pause
                if bucket.wait(now) == 0.0:
                    bucket.take(now)
                    sent += 1
            assert sent <= burst + per_second * now + 1e-6

        check()
