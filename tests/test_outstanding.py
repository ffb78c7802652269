import gc

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import JournalError
from tutumstream.outstanding import Outstanding


class WorkThatNobodyWaitsFor(SynchronousTestCase):
    def test_is_owned_until_it_ends(self) -> None:
        outstanding, work = Outstanding(), Deferred[str]()
        outstanding.own(work, "work")
        self.assertEqual(len(outstanding), 1)
        work.callback("done")
        self.assertEqual(len(outstanding), 0)

    def test_has_its_error_logged_with_what_it_was(self) -> None:
        outstanding, work = Outstanding(), Deferred[str]()
        outstanding.own(work, "work")
        work.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(outstanding), 0)

    def test_is_no_bug_when_it_fails_with_what_was_raised_on_purpose(self) -> None:
        outstanding, work = Outstanding(), Deferred[str]()
        outstanding.own(work, "work")
        work.errback(JournalError("here", "is full"))
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(len(outstanding), 0)

    def test_can_be_waited_for_a_while_only(self) -> None:
        outstanding, work, clock = Outstanding(), Deferred[str](), Clock()
        outstanding.own(work, "work")
        settled = outstanding.settled().addTimeout(5.0, clock)
        clock.advance(5.0)
        self.assertIsNone(self.successResultOf(settled))
        self.assertEqual(len(outstanding), 1)
        work.callback("done")
        gc.collect(1)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_can_be_waited_for_however_it_ends(self) -> None:
        outstanding, good, bad = Outstanding(), Deferred[str](), Deferred[str]()
        outstanding.own(good, "do good")
        outstanding.own(bad, "do bad")
        settled = outstanding.settled()
        good.callback("done")
        self.assertNoResult(settled)
        bad.errback(ZeroDivisionError())
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertIsNone(self.successResultOf(settled))

    def test_is_settled_at_once_where_there_is_none(self) -> None:
        self.assertIsNone(self.successResultOf(Outstanding().settled()))
