"""The order of start and stop, with parts that only say when they were asked."""

from typing import Any

from twisted.application.service import Application, Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import ILogObserver
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tutumstream.errors import JournalError
from tutumstream.outstanding import Outstanding
from tutumstream.service import READY_PATIENCE, WRITING_GRACE, Parts, Tutumstream


class Part(Service):
    """Says when it starts and stops; a stop may be held up."""

    def __init__(self, name: str, said: list[str]) -> None:
        self.name_ = name
        self.said = said
        self.stopping: Deferred[None] = succeed(None)

    def startService(self) -> None:
        super().startService()
        self.said.append(f"{self.name_} starts")

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self.said.append(f"{self.name_} stops")
        return self.stopping


class Gateway(Part):
    """Says too when somebody waits for its stream."""

    opening: Deferred[None] = succeed(None)

    def ready(self) -> Deferred[None]:
        self.said.append(f"{self.name_} is waited for")
        return self.opening


class Resync:
    """Says when it starts and stops; a start may be held up."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        self.starting: Deferred[None] = succeed(None)

    def start(self) -> Deferred[None]:
        self.said.append("resync starts")
        return self.starting

    def stop(self) -> None:
        self.said.append("resync stops")


class Lanes:
    """Say when they start and stop; both may be held up."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        self.running = False
        self.starting: Deferred[None] = succeed(None)
        self.stopping: Deferred[None] = succeed(None)

    def start(self) -> Deferred[None]:
        self.running = True
        self.said.append("lanes starts")
        return self.starting

    def stop(self) -> Deferred[None]:
        self.said.append("lanes stops")
        return self.stopping


class Alarm:
    """Says what it is asked to do; its words may take a while."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        self.telling: Deferred[None] = succeed(None)

    def start(self) -> None:
        self.said.append("alarm starts")

    def stop(self) -> None:
        self.said.append("alarm stops")

    def last_words(self) -> Deferred[None]:
        self.said.append("alarm has the last word")
        return self.telling

    def cannot_begin(self, problem: JournalError) -> Deferred[None]:
        self.said.append(f"alarm: {problem}")
        return self.telling


class Everything:
    """Journal, intake, housekeeping, board, systemd and a port, all in one."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        self.opening: Deferred[None] = succeed(None)
        self.settling: Deferred[None] = succeed(None)
        self.listening: Exception | None = None

    def open(self) -> Deferred[None]:
        self.said.append("journal opens")
        return self.opening

    def close(self) -> Deferred[None]:
        self.said.append("journal closes")
        return succeed(None)

    def start(self) -> None:
        self.said.append("housekeeping starts")

    def stop(self) -> None:
        self.said.append("housekeeping stops")

    def settled(self) -> Deferred[None]:
        self.said.append("intake settles")
        return self.settling

    def journal_is_open(self) -> None:
        self.said.append("board knows")

    def ready(self) -> None:
        self.said.append("systemd ready")

    def stopping(self) -> None:
        self.said.append("systemd stopping")

    def listen(self, factory: Factory) -> Deferred[Any]:
        if self.listening is not None:
            raise self.listening
        self.said.append("pages listen")
        return succeed(self)

    def stopListening(self) -> Deferred[None]:
        self.said.append("pages close")
        return succeed(None)

    def release(self) -> None:
        self.said.append("released")


class TheService(SynchronousTestCase):
    def setUp(self) -> None:
        self.said: list[str] = []
        self.clock = Clock()
        self.fatal: list[Failure] = []
        self.all: Any = Everything(self.said)
        self.stream: Any = Part("stream", self.said)
        self.resync: Any = Resync(self.said)
        self.lanes: Any = Lanes(self.said)
        self.alarm: Any = Alarm(self.said)
        self.embedded: Any = Gateway("gateway", self.said)
        self.service = Tutumstream(
            Parts(
                journal=self.all,
                intake=self.all,
                lanes=self.lanes,
                housekeeping=self.all,
                alarm=self.alarm,
                resync=self.resync,
                stream=self.stream,
                clock=self.clock,
                embedded=self.embedded,
                board=self.all,
                systemd=self.all,
                pages=(self.all, Factory()),
                released=self.all.release,
            ),
            self.fatal.append,
        )

    def test_starts_with_the_journal_and_ends_with_the_stream(self) -> None:
        self.service.startService()
        self.assertEqual(
            self.said,
            [
                "pages listen",
                "journal opens",
                "board knows",
                "alarm starts",
                "resync starts",
                "lanes starts",
                "housekeeping starts",
                "gateway starts",
                "systemd ready",
                "gateway is waited for",
                "stream starts",
            ],
        )

    def test_listens_to_a_gateway_of_its_own_only_once_that_is_open(self) -> None:
        self.embedded.opening = Deferred()
        self.service.startService()
        self.assertNotIn("stream starts", self.said)
        self.embedded.opening.callback(None)
        self.assertEqual(self.said[-1], "stream starts")

    def test_listens_to_it_all_the_same_where_that_takes_too_long_so_that_it_is_told(self) -> None:
        self.embedded.opening = Deferred()
        self.service.startService()
        self.clock.advance(READY_PATIENCE - 1)
        self.assertNotIn("stream starts", self.said)
        self.clock.advance(1)
        self.assertEqual(self.said[-1], "stream starts")
        # That it opens at last is told to nobody.
        self.embedded.opening.callback(None)
        self.assertEqual(self.fatal, [])

    def test_that_is_stopped_while_its_gateway_is_closed_stops_that_too(self) -> None:
        self.embedded.opening = Deferred()
        self.service.startService()
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.fatal, [])
        self.assertIn("gateway stops", self.said)
        self.assertNotIn("stream starts", self.said)

    def test_stops_against_the_flow_and_closes_the_journal_after_everything_that_uses_it(self) -> None:
        self.service.startService()
        del self.said[:]
        self.successResultOf(self.service.stopService())
        self.assertEqual(
            self.said,
            [
                "systemd stopping",
                "alarm stops",
                "stream stops",
                "resync stops",
                "intake settles",
                "housekeeping stops",
                "alarm has the last word",
                "lanes stops",
                "gateway stops",
                "journal closes",
                "pages close",
                "released",
            ],
        )

    def test_waits_for_each_part_before_it_stops_the_next(self) -> None:
        self.service.startService()
        self.lanes.stopping = Deferred()
        stopped = self.service.stopService()
        self.assertNotIn("journal closes", self.said)
        self.lanes.stopping.callback(None)
        self.successResultOf(stopped)
        self.assertIn("journal closes", self.said)

    def test_lets_the_alarm_end_what_it_is_telling(self) -> None:
        self.alarm.telling = Deferred()
        self.service.startService()
        stopped = self.service.stopService()
        self.assertIn("lanes stops", self.said)
        self.assertNotIn("journal closes", self.said)
        self.alarm.telling.callback(None)
        self.successResultOf(stopped)

    def test_does_not_wait_for_a_disk_that_refuses(self) -> None:
        self.service.startService()
        work, outstanding = Deferred[None](), Outstanding()
        outstanding.own(work, "remember an event")
        self.all.settling = outstanding.settled()
        stopped = self.service.stopService()
        self.clock.advance(WRITING_GRACE - 1)
        self.assertNotIn("lanes stops", self.said)
        self.clock.advance(1)
        self.successResultOf(stopped)
        self.assertEqual(self.said[-1], "released")

    def test_dials_nobody_and_says_why_when_the_journal_can_not_be_opened_but_pages_first(self) -> None:
        problem = JournalError("/state", "another service uses it")
        self.all.opening = Deferred()
        self.service.startService()
        self.alarm.telling = Deferred()
        self.all.opening.errback(problem)
        self.assertEqual(self.said[-1], "alarm: journal /state: another service uses it")
        self.assertEqual(self.fatal, [])
        self.alarm.telling.callback(None)
        self.assertEqual([each.value for each in self.fatal], [problem])
        self.assertNotIn("stream starts", self.said)
        self.successResultOf(self.service.stopService())
        self.assertNotIn("stream stops", self.said)

    def test_pages_and_ends_when_the_journal_turns_out_to_be_damaged_while_it_is_read(self) -> None:
        problem = JournalError("/state", "is damaged")
        for part in (self.resync, self.lanes):
            part.starting = fail(problem)
            self.service.startService()
            self.assertEqual(self.said[-1], "alarm: journal /state: is damaged")
            self.assertEqual([each.value for each in self.fatal], [problem])
            self.assertNotIn("stream starts", self.said)
            part.starting = succeed(None)
            self.fatal.clear()

    def test_is_watched_by_the_alarm_while_the_journal_does_not_take_the_first_change(self) -> None:
        self.resync.starting = Deferred()
        self.service.startService()
        self.assertEqual(self.said[-2:], ["alarm starts", "resync starts"])
        self.successResultOf(self.service.stopService())
        self.assertIn("alarm has the last word", self.said)

    def test_says_why_when_the_port_of_the_pages_is_taken(self) -> None:
        self.all.listening = CannotListenError("127.0.0.1", 8788, OSError("taken"))
        self.service.startService()
        (failure,) = self.fatal
        self.assertIn("(taken: 127.0.0.1:8788)", str(failure.value))
        self.assertIn("--listen", str(failure.value))
        self.assertEqual(self.said, [])

    def test_says_why_when_the_endpoint_of_the_pages_holds_a_number_that_no_system_takes(self) -> None:
        self.all.listening = OverflowError("Python int too large to convert to C int")
        self.service.startService()
        (failure,) = self.fatal
        self.assertIn("(a number in it is too large): ", str(failure.value))

    def test_that_is_stopped_while_it_starts_goes_no_further(self) -> None:
        self.all.opening = Deferred()
        self.service.startService()
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.fatal, [])
        self.assertNotIn("stream starts", self.said)

    def test_gives_twistd_its_own_log_observer(self) -> None:
        @implementer(ILogObserver)
        class Observer:
            def __call__(self, event: Any) -> None:
                """Nothing is written in this test."""

        observer, application = Observer(), Application("tests")
        Tutumstream(self.service._parts, self.fatal.append, observer).setServiceParent(application)
        self.assertIs(application.getComponent(ILogObserver), observer)

    def test_leaves_twistds_logs_alone_where_they_were_chosen(self) -> None:
        application = Application("tests")
        self.service.setServiceParent(application)
        self.assertIsNone(application.getComponent(ILogObserver, None))
