from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.failures import FailureLimit


class TestFailureLimit(SynchronousTestCase):
    def test_a_peer_waits_for_the_rest_of_the_window_after_too_many_failures(self) -> None:
        limit = FailureLimit(failures=3, window=60.0)
        for now in (100.0, 101.0, 102.0):
            self.assertEqual(limit.wait("a", b"alice", now), 0.0)
            limit.failed("a", b"alice", now)
        self.assertEqual(limit.wait("a", b"alice", 110.0), 50.0)
        self.assertEqual(limit.wait("a", b"alice", 160.0), 0.0)

    def test_a_new_window_counts_from_zero(self) -> None:
        limit = FailureLimit(failures=2, window=60.0)
        limit.failed("a", b"", 0.0)
        limit.failed("a", b"", 61.0)
        self.assertEqual(limit.wait("a", b"", 62.0), 0.0)

    def test_others_are_not_touched(self) -> None:
        limit = FailureLimit(failures=1)
        limit.failed("a", b"alice", 0.0)
        self.assertGreater(limit.wait("a", b"alice", 0.0), 0.0)
        self.assertEqual(limit.wait("a", b"bob", 0.0), 0.0)
        self.assertEqual(limit.wait("b", b"alice", 0.0), 0.0)

    def test_the_oldest_is_forgotten_when_there_are_too_many(self) -> None:
        limit = FailureLimit(failures=1, peers=2)
        for address in "abc":
            limit.failed(address, b"", 0.0)
        self.assertEqual([limit.wait(address, b"", 0.0) > 0 for address in "abc"], [False, True, True])

    def test_a_guess_that_was_right_is_taken_back(self) -> None:
        limit = FailureLimit(failures=2)
        limit.forgiven("a", b"alice", 0.0)
        limit.failed("a", b"alice", 0.0)
        limit.failed("a", b"alice", 0.0)
        limit.forgiven("a", b"alice", 0.0)
        self.assertEqual(limit.wait("a", b"alice", 0.0), 0.0)
        limit.failed("a", b"alice", 0.0)
        self.assertGreater(limit.wait("a", b"alice", 0.0), 0.0)
