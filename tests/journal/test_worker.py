"""Where the SQL runs."""

import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tutumstream.journal.worker import InlineWorker, ThreadWorker


@implementer(IReactorFromThreads)
class Calls:
    """A reactor that does nothing but what threads ask of it, when it is told to."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], object]] = SimpleQueue()

    def callFromThread(self, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> None:  # noqa: A002
        """See `IReactorFromThreads`."""
        self._queue.put(lambda: callable(*args, **kwargs))

    def run_one(self) -> None:
        """Wait for the next call and make it."""
        self._queue.get(timeout=10)()


class ThreadWorkerTests(SynchronousTestCase):
    """A real thread, waited for."""

    def setUp(self) -> None:
        self.calls = Calls()
        self.worker = ThreadWorker(self.calls)
        self.addCleanup(self.worker.stop)

    def test_all_work_is_done_in_one_thread_in_order_and_told_in_the_reactors(self) -> None:
        self.worker.start()
        ran: list[tuple[int, int]] = []
        told = []

        def note(n: int) -> None:
            ran.append((n, threading.get_ident()))

        for n in range(5):
            done = self.worker.run(partial(note, n))
            done.addCallback(lambda _: told.append(threading.get_ident()))
        for _ in range(5):
            self.calls.run_one()
        self.assertEqual([n for n, _ in ran], list(range(5)))
        threads = {thread for _, thread in ran}
        self.assertEqual(len(threads), 1)
        self.assertNotIn(threading.get_ident(), threads)
        self.assertEqual(told, [threading.get_ident()] * 5)

    def test_what_is_raised_there_fails_here(self) -> None:
        self.worker.start()
        failed = self.worker.run(lambda: 1 // 0)
        self.calls.run_one()
        self.failureResultOf(failed, ZeroDivisionError)

    def test_its_thread_does_not_keep_a_process_alive(self) -> None:
        self.worker.start()
        is_daemon = self.worker.run(lambda: threading.current_thread().daemon)
        self.calls.run_one()
        self.assertTrue(self.successResultOf(is_daemon))

    def test_it_can_be_stopped_and_started_again(self) -> None:
        self.worker.stop()
        self.worker.start()
        self.worker.stop()
        self.failureResultOf(self.worker.run(lambda: 1), RuntimeError)
        self.worker.start()
        done = self.worker.run(lambda: 1)
        self.calls.run_one()
        self.assertEqual(self.successResultOf(done), 1)


class InlineWorkerTests(SynchronousTestCase):
    """No thread at all."""

    def test_it_works_at_once(self) -> None:
        worker = InlineWorker()
        worker.start()
        self.assertEqual(self.successResultOf(worker.run(threading.get_ident)), threading.get_ident())
        self.failureResultOf(worker.run(lambda: 1 // 0), ZeroDivisionError)
        worker.stop()
