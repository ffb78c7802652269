from collections.abc import Callable, Sequence
from dataclasses import replace
from traceback import walk_stack
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tutumstream.delivery.compose import Composer
from tutumstream.delivery.decision import GIVE_UP_AFTER, PROBE_EVERY
from tutumstream.delivery.incidents import BLIND_PATIENCE, LOOK_AGAIN, Incidents
from tutumstream.delivery.lane import Lane
from tutumstream.delivery.manners import Manners
from tutumstream.delivery.rate import Rate
from tutumstream.delivery.service import AGING, GRACE, Lanes
from tutumstream.delivery.state import DestinationState, Failing, Held, Limited, Ok
from tutumstream.errors import JournalError
from tutumstream.event import Event
from tutumstream.journal.interface import Pending
from tutumstream.journal.memory import MemoryJournal
from tutumstream.notifiers.interface import Delivered, Hold, INotifier, Message, Rejected, TryAgain, Verdict
from tutumstream.routing.delivery import Delivery, Incident, IncidentAction
from tutumstream.routing.route import Route

Answer = Callable[[Message], Verdict]


@implementer(INotifier)
class ScriptedNotifier:
    """Answers each message as the script says; without a script it takes everything."""

    linger = 0.0
    textual = True
    needs: frozenset[str] = frozenset()

    def __init__(self, batch: int = 1) -> None:
        self.batch = batch
        self.calls: list[list[str]] = []
        self.messages: list[Message] = []
        self.answer: Answer = lambda _: Delivered()
        self.hang: list[Deferred[list[Verdict]]] | None = None

    def escape(self, text: str) -> str:
        return text

    def notify(self, messages: Sequence[Message]) -> Deferred[list[Verdict]]:
        self.calls.append([message.id for message in messages])
        self.messages.extend(messages)
        if self.hang is not None:
            self.hang.append(Deferred())
            return self.hang[-1]
        return succeed([self.answer(message) for message in messages])

    @property
    def told(self) -> list[str]:
        return [each for call in self.calls for each in call]


class LaneCase(SynchronousTestCase):
    manners = Manners()

    def setUp(self) -> None:
        self.clock = Clock()
        self.journal = MemoryJournal()
        self.journal.open()
        self.notifier = ScriptedNotifier()
        self.states: list[DestinationState] = []
        self.turns: list[str] = []
        self.incidents = Incidents()
        self.lanes = self.make_lanes()

    def make_lanes(self) -> Lanes:
        routes = [Route("r", "true", ("slack",), "text")]
        lane = Lane(
            "slack",
            self.notifier,
            self.manners,
            self.journal,
            Composer(routes, "slack", self.notifier, lambda _: succeed(None)),
            self.incidents,
            lambda _, state: self.states.append(state),
            lambda _, before, after: self.turns.append(f"{before} > {after}"),
            self.clock,
            self.clock.seconds,
            lambda: 1.0,
        )
        return Lanes([lane], self.journal, self.incidents, self.clock)

    def start(self) -> None:
        self.successResultOf(self.lanes.start())

    def keep_in_memory(self, rows: int) -> None:
        self.manners = replace(self.manners, in_memory=rows)
        self.lanes = self.make_lanes()

    def restart(self) -> None:
        self.successResultOf(self.lanes.stop())
        self.incidents = Incidents()
        self.lanes = self.make_lanes()
        self.start()

    def record(
        self,
        *names: str,
        key: str = "",
        action: IncidentAction | None = None,
        destination: str = "slack",
        urgent: bool = False,
        grace: float = 0.0,
    ) -> None:
        for name in names:
            event = Event(id=name, received_at=self.clock.seconds(), type="container", action="create")
            incident = Incident(action, key) if action else None
            delivery = Delivery(destination, "r", "r: true", key or name, incident, urgent, grace)
            self.journal.record(event, [delivery]).addCallback(self.lanes.offer)

    def left(self) -> list[str]:
        return [each.event.id for each in self.successResultOf(self.journal.pending("slack", 0, 10000))]

    def answers(self, *verdicts: Verdict) -> None:
        """These first, then everything is taken."""
        script = iter(verdicts)
        self.notifier.answer = lambda _: next(script, Delivered())


class ALane(LaneCase):
    def test_tells_in_order_what_was_there_and_what_comes(self) -> None:
        self.record("a", "b")
        self.start()
        self.record("c")
        self.assertEqual(self.notifier.told, ["a-1", "b-1", "c-1"])
        self.assertEqual(self.left(), [])

    def test_leaves_other_destinations_alone(self) -> None:
        self.start()
        self.record("a", destination="pagerduty")
        self.assertEqual(self.notifier.told, [])

    def test_is_given_its_own_of_what_one_event_causes(self) -> None:
        self.start()
        event = Event(id="a", received_at=0.0, type="container", action="create")
        deliveries = [Delivery(name, "r", "r: true", "a") for name in ("webhook", "slack", "slack")]
        self.journal.record(event, deliveries).addCallback(self.lanes.offer)
        self.assertEqual(self.notifier.told, ["a-2", "a-3"])

    def test_takes_more_than_one_window_of_rows(self) -> None:
        self.keep_in_memory(10)
        names = [f"n{number}" for number in range(26)]
        self.record(*names)
        self.start()
        self.assertEqual(self.notifier.told, [f"{name}-1" for name in names])

    def test_goes_no_deeper_with_each_message_that_is_answered_at_once(self) -> None:
        depths: set[int] = set()

        def answer(_: Message) -> Verdict:
            depths.add(sum(1 for _ in walk_stack(None)))
            return Delivered()

        self.notifier.answer = answer
        self.record("a", "b", "c")
        self.start()
        self.assertEqual((len(self.notifier.told), len(depths)), (3, 1))

    def test_tells_what_something_was_looked_up_for(self) -> None:
        self.notifier.needs = frozenset({"resource"})
        self.lanes = self.make_lanes()
        self.start()
        self.record("a")
        self.assertEqual((self.notifier.told, self.left()), (["a-1"], []))

    def test_fills_the_notifiers_batches(self) -> None:
        self.notifier.batch = 3
        self.record(*"abcdefg")
        self.start()
        self.assertEqual([len(call) for call in self.notifier.calls], [3, 3, 1])

    def test_tells_one_at_a_time(self) -> None:
        self.notifier.hang = []
        self.record("a", "b")
        self.start()
        self.assertEqual(self.notifier.told, ["a-1"])
        self.notifier.hang.pop().callback([Delivered()])
        self.assertEqual(self.notifier.told, ["a-1", "b-1"])

    def test_hears_of_what_is_recorded_while_the_journal_is_being_read(self) -> None:
        reading: list[Deferred[list[Pending]]] = []
        real = self.journal.pending

        def slow(*_: Any, **__: Any) -> Deferred[list[Pending]]:
            reading.append(Deferred())
            return reading[-1]

        self.journal.pending = slow
        self.start()
        reading.pop().callback([])
        self.record("a")
        self.journal.pending = real
        reading.pop().callback([])
        self.assertEqual(self.notifier.told, ["a-1"])

    def test_tells_nothing_twice_that_was_read_and_recorded_at_the_same_time(self) -> None:
        reading: list[Deferred[list[Pending]]] = []
        real = self.journal.pending

        def slow(*_: Any, **__: Any) -> Deferred[list[Pending]]:
            reading.append(Deferred())
            return reading[-1]

        self.journal.pending = slow
        self.start()
        reading.pop().callback([])
        self.record("a", "b")
        self.journal.pending = real
        reading.pop().callback(self.successResultOf(real("slack", 0, 1)))
        self.assertEqual(self.notifier.told, ["a-1", "b-1"])


class Ordering(LaneCase):
    manners = Manners(at_once=3)

    def setUp(self) -> None:
        super().setUp()
        self.notifier.hang = []

    def test_lets_several_keys_go_at_once_and_each_key_in_order(self) -> None:
        self.start()
        self.record("a1", "a2", key="a")
        self.record("b1", key="b")
        self.record("c1", key="c")
        self.record("d1", key="d")
        self.assertEqual(self.notifier.told, ["a1-1", "b1-1", "c1-1"])
        assert self.notifier.hang is not None
        self.notifier.hang[0].callback([Delivered()])
        self.assertEqual(self.notifier.told, ["a1-1", "b1-1", "c1-1", "a2-1"])

    def test_lets_urgent_ones_overtake(self) -> None:
        self.keep_in_memory(10)
        self.record(*[f"n{number}" for number in range(30)])
        self.record("wake up", urgent=True)
        self.start()
        self.assertEqual(self.notifier.told[0], "wake up-1")
        self.record("wake up again", urgent=True)
        assert self.notifier.hang is not None
        self.notifier.hang[0].callback([Delivered()])
        self.assertEqual(self.notifier.told[3], "wake up again-1")

    def test_goes_on_without_a_message_that_the_destination_can_not_digest(self) -> None:
        self.notifier.hang = None
        self.notifier.answer = lambda message: TryAgain("500") if message.id == "bad-1" else Delivered()
        self.start()
        self.record("bad")
        self.record(*[f"n{number}" for number in range(5)])
        self.clock.pump([1.0] * 40)
        self.assertEqual(self.left(), ["bad"])


class AFailingDestination(LaneCase):
    def test_gets_the_same_message_again_before_any_other(self) -> None:
        self.answers(TryAgain("500"), TryAgain("500"))
        self.record("a", "b")
        self.start()
        self.assertEqual(self.notifier.told, ["a-1"])
        self.clock.advance(2)
        self.assertEqual(self.notifier.told, ["a-1", "a-1"])
        self.clock.advance(4)
        self.assertEqual(self.notifier.told, ["a-1", "a-1", "a-1", "b-1"])
        self.assertEqual(self.left(), [])

    def test_is_not_asked_sooner_because_something_new_came(self) -> None:
        self.answers(TryAgain("500"))
        self.record("a")
        self.start()
        waiting = len(self.clock.getDelayedCalls())
        self.record("b", "c")
        self.assertEqual(len(self.clock.getDelayedCalls()), waiting)
        self.clock.advance(1.9)
        self.assertEqual(self.notifier.told, ["a-1"])

    def test_is_remembered_over_a_restart(self) -> None:
        self.answers(TryAgain("slow down", after=100.0, limited=True))
        self.record("a", "b")
        self.start()
        self.restart()
        self.clock.advance(99)
        self.assertEqual(self.notifier.told, ["a-1"])
        self.clock.advance(1)
        self.assertEqual(self.notifier.told, ["a-1", "a-1", "b-1"])

    def test_keeps_reasons_and_attempts_in_the_row(self) -> None:
        self.notifier.answer = lambda _: TryAgain("500 oops", answer="oops")
        self.record("a")
        self.start()
        self.clock.pump([2.0, 4.0])
        (row,) = self.successResultOf(self.journal.pending("slack", 0, 10))
        self.assertEqual((row.attempts, row.reason, row.answer), (3, "500 oops", "oops"))

    def test_settles_those_of_a_batch_that_arrived_and_repeats_the_others_in_order(self) -> None:
        self.notifier.batch = 4
        self.answers(Delivered(), TryAgain("429", after=5.0, limited=True), Rejected("400", "bad"), Delivered())
        self.record(*"abcd")
        self.start()
        self.assertEqual(self.left(), ["b"])
        self.clock.advance(5)
        self.assertEqual(self.notifier.calls, [["a-1", "b-1", "c-1", "d-1"], ["b-1"]])

    def test_goes_on_with_the_key_of_one_that_arrived_beside_one_that_failed(self) -> None:
        self.notifier.batch = 2
        self.answers(Delivered(), TryAgain("500"))
        self.record("a", key="x")
        self.record("b")
        self.start()
        self.record("c", key="x")
        self.clock.advance(2)
        self.assertEqual(sorted(self.notifier.told[2:]), ["b-1", "c-1"])

    def test_is_logged_with_what_it_refused_those_of_one_reason_in_one_line(self) -> None:
        self.notifier.batch = 3
        self.answers(Rejected("400"), Rejected("413"), Rejected("400"))
        self.record(*"abc")
        with capturedLogs() as logs:
            self.start()
        self.assertEqual(
            [formatEvent(log) for log in logs if log["log_level"] is LogLevel.error],
            [
                "slack: gave up delivery a-1 and 1 others (rejected): 400",
                "slack: gave up delivery b-1 (rejected): 413",
            ],
        )

    def test_loses_a_message_to_the_dead_letters_after_a_day(self) -> None:
        self.notifier.answer = lambda _: TryAgain("no answer", answer="x")
        self.record("a")
        self.start()
        self.clock.pump([300.0] * int(GIVE_UP_AFTER / 300 + 2))
        self.assertEqual(self.left(), [])
        (dead,) = self.successResultOf(self.journal.dead_letters(10))
        self.assertEqual((dead.cause, dead.answer), ("expired", "x"))

    def test_that_wants_nothing_for_days_keeps_no_message_longer_than_one(self) -> None:
        self.keep_in_memory(10)
        names = [f"n{number}" for number in range(22)]
        self.record(*names)
        self.answers(TryAgain("429", after=9 * GIVE_UP_AFTER, limited=True, answer="no"))
        self.start()
        self.clock.advance(GIVE_UP_AFTER / 2)
        self.record("young")
        self.clock.advance(GIVE_UP_AFTER / 2)
        self.clock.advance(AGING)
        self.assertEqual((self.left(), len(self.notifier.told)), (["young"], 1))
        letters = self.successResultOf(self.journal.dead_letters(9999))
        self.assertEqual([each.pending.event.id for each in reversed(letters)], names)
        self.assertEqual({each.cause for each in letters}, {"expired"})
        self.assertEqual(letters[0].reason, "not delivered in 24 h: 429")
        self.assertEqual((letters[-1].answer, letters[-1].pending.attempts), ("no", 0))

    def test_that_works_is_given_even_what_is_old(self) -> None:
        self.notifier.hang = []
        self.record("a", "b")
        self.start()
        self.clock.advance(2 * GIVE_UP_AFTER)
        self.notifier.hang.pop().callback([Delivered()])
        self.assertEqual(self.notifier.told, ["a-1", "b-1"])

    def test_is_tried_once_more_after_days_without_us(self) -> None:
        self.answers(TryAgain("500"))
        self.record("a", "b")
        self.start()
        self.successResultOf(self.lanes.stop())
        self.clock.advance(2 * GIVE_UP_AFTER)
        self.lanes = self.make_lanes()
        self.start()
        self.assertEqual((self.notifier.told, self.left()), (["a-1", "a-1", "b-1"], []))

    def test_is_logged_once_when_it_turns_bad_and_once_when_it_recovers(self) -> None:
        lines: list[str] = []

        def see(event: Any) -> None:
            lines.append(f"{event['log_level'].name} {formatEvent(event)}")

        globalLogPublisher.addObserver(see)
        self.addCleanup(globalLogPublisher.removeObserver, see)
        self.answers(*[TryAgain("500 oops")] * 5)
        self.start()
        self.record("a", "b")
        self.assertEqual(lines, ["warn slack is failing: 500 oops"])
        self.clock.pump([300.0] * 6)
        self.assertEqual(lines, ["warn slack is failing: 500 oops", "info slack works again"])

    def test_shows_its_state_and_since_when(self) -> None:
        self.clock.advance(100)
        self.answers(TryAgain("500"), TryAgain("500"), TryAgain("429", after=50.0, limited=True), Hold("404"))
        self.record("a")
        self.start()
        self.clock.pump([2.0, 4.0, 50.0, PROBE_EVERY])
        self.assertEqual(
            self.states,
            [
                Ok(),
                Failing(100.0, "500"),
                Limited(156.0, "429", since=106.0),
                Held(156.0, "404"),
                Ok(),
            ],
        )


class AHeldDestination(LaneCase):
    def test_is_probed_every_five_minutes_with_its_oldest_message(self) -> None:
        self.answers(Hold("404"), Hold("404"))
        self.record("a", "b")
        self.start()
        self.clock.advance(PROBE_EVERY - 1)
        self.assertEqual(self.notifier.told, ["a-1"])
        self.clock.pump([1.0, PROBE_EVERY])
        self.assertEqual(self.notifier.told, ["a-1", "a-1", "a-1", "b-1"])

    def test_is_asked_at_once_after_a_restart(self) -> None:
        self.answers(Hold("404"))
        self.record("a")
        self.start()
        self.restart()
        self.assertEqual(self.notifier.told, ["a-1", "a-1"])


class ABrokenNotifier(LaneCase):
    def test_is_logged_with_its_traceback_and_loses_nothing(self) -> None:
        def broken(_: Message) -> Verdict:
            raise ZeroDivisionError

        self.notifier.answer = broken
        self.record("a", "b")
        self.start()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.notifier.answer = lambda _: Delivered()
        self.clock.advance(2)
        self.assertEqual(self.notifier.told, ["a-1", "a-1", "b-1"])


class AJournalThatCanNotBeRead(LaneCase):
    def test_is_asked_again_a_second_later(self) -> None:
        real = self.journal.pending
        self.journal.pending = lambda *_, **__: fail(JournalError("here", "no"))
        self.record("a")
        self.start()
        self.journal.pending = real
        self.clock.advance(1)
        self.assertEqual(self.notifier.told, ["a-1"])


class AJournalThatCanNotBeWritten(LaneCase):
    manners = Manners(at_once=5, unwritten=20)

    def setUp(self) -> None:
        super().setUp()
        self.writing: list[Deferred[None]] = []
        self.journal.settle = self.slow

    def slow(self, *_: Any) -> Deferred[None]:
        self.writing.append(Deferred())
        return self.writing[-1]

    def test_stops_the_telling_before_a_kill_would_repeat_too_much(self) -> None:
        self.record(*[f"n{number}" for number in range(30)])
        self.start()
        self.assertEqual(len(self.notifier.told), 20)
        self.writing[0].callback(None)
        self.assertEqual(len(self.notifier.told), 21)
        for each in self.writing[1:]:
            each.callback(None)
        self.assertEqual(len(self.notifier.told), 30)

    def test_gets_in_one_what_arrived_while_it_was_writing(self) -> None:
        real, settled = MemoryJournal.settle, list[int]()

        def slow(rows: Sequence[Pending], at: float) -> Deferred[None]:
            settled.append(len(rows))
            return self.slow().addCallback(lambda _: real(self.journal, rows, at))

        self.journal.settle = slow
        self.record(*"abcd")
        self.start()
        self.writing[0].callback(None)
        self.writing[1].callback(None)
        self.assertEqual(settled, [1, 3])
        self.assertEqual(self.left(), [])

    def test_does_not_keep_the_service_from_stopping_even_if_it_never_is_again(self) -> None:
        self.record("a", "b")
        self.start()
        stopped = self.lanes.stop()
        self.assertNoResult(stopped)
        self.clock.advance(GRACE)
        self.successResultOf(stopped)
        for each in self.writing:
            each.callback(None)

    def test_does_not_keep_the_service_from_stopping(self) -> None:
        self.record(*[f"n{number}" for number in range(30)])
        self.start()
        stopped = self.lanes.stop()
        for each in self.writing:
            each.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(len(self.notifier.told), 20)


class AStop(LaneCase):
    def setUp(self) -> None:
        super().setUp()
        self.notifier.hang = []

    def test_lets_what_is_in_flight_finish_and_begins_nothing_new(self) -> None:
        self.record("a", "b")
        self.start()
        stopped = self.lanes.stop()
        self.assertNoResult(stopped)
        assert self.notifier.hang is not None
        self.notifier.hang.pop().callback([Delivered()])
        self.successResultOf(stopped)
        self.assertEqual(self.left(), ["b"])

    def test_still_tells_what_is_urgent(self) -> None:
        self.record("a", "b")
        self.start()
        self.record("nobody listens any more", urgent=True)
        stopped = self.lanes.stop()
        assert self.notifier.hang is not None
        self.notifier.hang.pop().callback([Delivered()])
        self.assertEqual(self.notifier.told, ["a-1", "nobody listens any more-1"])
        self.assertNoResult(stopped)
        self.notifier.hang.pop().callback([Delivered()])
        self.successResultOf(stopped)
        self.assertEqual(self.left(), ["b"])

    def test_does_not_wait_for_what_is_urgent_and_can_not_go_now(self) -> None:
        self.notifier.hang = None
        self.answers(TryAgain("500"))
        self.start()
        self.record("urgent", "another", urgent=True)
        self.successResultOf(self.lanes.stop())
        self.assertEqual(self.left(), ["urgent", "another"])

    def test_lets_go_after_the_grace_and_leaves_the_rest_in_the_journal(self) -> None:
        self.record("a", "b")
        self.start()
        stopped = self.lanes.stop()
        self.clock.advance(GRACE)
        self.successResultOf(stopped)
        self.assertEqual(self.left(), ["a", "b"])

    def test_waits_until_it_is_written_what_was_refused(self) -> None:
        writing: Deferred[None] = Deferred()
        self.journal.bury = lambda _: writing  # type: ignore[method-assign]
        self.notifier.hang = None
        self.answers(Rejected("400"))
        self.start()
        self.record("a")
        stopped = self.lanes.stop()
        self.assertNoResult(stopped)
        writing.callback(None)
        self.successResultOf(stopped)

    def test_begins_nothing_after_the_grace_even_if_it_is_urgent(self) -> None:
        self.start()
        self.record("a", "b", urgent=True)
        self.lanes.stop()
        self.clock.advance(GRACE)
        assert self.notifier.hang is not None
        self.assertTrue(self.notifier.hang[0].called, "it is let go")
        self.assertEqual((self.notifier.told, self.left()), (["a-1"], ["a", "b"]))

    def test_reads_no_further(self) -> None:
        given_up: list[Any] = []
        self.journal.pending = lambda *_, **__: Deferred(given_up.append)  # type: ignore[method-assign]
        started = self.lanes.start()
        with capturedLogs() as logs:
            self.successResultOf(self.lanes.stop())
        self.successResultOf(started)
        self.assertEqual((len(given_up), logs), (1, []))

    def test_does_not_wait_for_a_destination_that_is_to_be_asked_later(self) -> None:
        self.notifier.hang = None
        self.answers(TryAgain("500", after=1000.0))
        self.record("a")
        self.start()
        self.successResultOf(self.lanes.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ignores_a_destination_that_does_not_exist(self) -> None:
        self.start()
        self.record("a", destination="nobody")
        self.assertEqual(self.notifier.told, [])


class OurOwnRate(LaneCase):
    manners = Manners(rate=Rate(1.0, burst=3), digests=True)

    def test_lets_a_burst_go_and_then_one_a_second(self) -> None:
        self.start()
        self.record(*"abcde")
        self.assertEqual(len(self.notifier.told), 3)
        self.clock.advance(1.0)
        self.assertEqual(len(self.notifier.told), 4)
        self.clock.advance(1.0)
        self.assertEqual(len(self.notifier.told), 5)

    def test_tells_a_backlog_of_more_than_a_minute_in_one_message(self) -> None:
        self.record(*[f"n{number}" for number in range(100)])
        self.start()
        self.assertEqual(len(self.notifier.messages), 1)
        self.assertIn("100 container events", self.notifier.messages[0].text)
        self.assertEqual(self.left(), [])

    def test_tells_them_one_by_one_where_no_digest_is_wanted_or_a_minute_is_enough(self) -> None:
        for manners in (replace(self.manners, digests=False), replace(self.manners, rate=Rate(2.0, burst=3))):
            self.setUp()
            self.manners = manners
            self.lanes = self.make_lanes()
            self.record(*[f"n{number}" for number in range(100)])
            self.start()
            self.assertEqual(self.notifier.told, ["n0-1", "n1-1", "n2-1"])

    def test_tells_what_is_urgent_on_its_own_even_then(self) -> None:
        self.record(*[f"n{number}" for number in range(100)])
        self.record("wake up", urgent=True)
        self.start()
        self.assertEqual(self.notifier.messages[0].text, "text")
        self.assertIn("100 container events", self.notifier.messages[1].text)

    def test_tells_no_digest_of_what_is_urgent_and_waits_behind_what_is_not(self) -> None:
        self.start()
        self.record(*"abc")
        self.record(*[f"n{number}" for number in range(100)], key="k")
        self.record("wake up", key="k", urgent=True)
        self.clock.pump([1.0] * 2)
        self.assertIn("100 container events", self.notifier.messages[3].text)
        self.assertEqual(self.notifier.told[4:], ["wake up-1"])

    def test_keeps_all_of_a_digest_that_did_not_arrive(self) -> None:
        self.answers(TryAgain("500"))
        self.record(*[f"n{number}" for number in range(100)])
        self.start()
        self.assertEqual(len(self.left()), 100)
        self.clock.advance(2.0)
        self.assertEqual(self.left(), [])

    def test_tells_a_digest_that_failed_in_one_piece_after_a_restart(self) -> None:
        self.keep_in_memory(100)
        self.notifier.answer = lambda _: TryAgain("500")
        self.record(*[f"n{number}" for number in range(90)])
        self.start()
        self.clock.pump([1.0] * 60)
        self.restart()
        self.assertIn("90 container events", self.notifier.messages[-1].text)
        self.notifier.messages.clear()
        self.notifier.answer = lambda _: Delivered()
        self.restart()
        self.clock.advance(1.0)
        told = [message.text.partition(" in ")[0] for message in self.notifier.messages]
        self.assertEqual(told, ["90 container events"])
        self.assertEqual(self.left(), [])

    def test_holds_up_a_stop_for_what_is_urgent(self) -> None:
        self.start()
        self.record(*"abcd", urgent=True)
        stopped = self.lanes.stop()
        self.assertNoResult(stopped)
        self.clock.advance(1.0)
        self.successResultOf(stopped)
        self.assertEqual(self.left(), [])


class Lingering(LaneCase):
    def setUp(self) -> None:
        super().setUp()
        self.notifier.batch = 3
        self.notifier.linger = 1.0
        self.lanes = self.make_lanes()
        self.start()

    def test_waits_for_a_full_batch_and_no_longer(self) -> None:
        self.record("a", "b")
        self.assertEqual(self.notifier.calls, [])
        self.record("c")
        self.assertEqual(self.notifier.calls, [["a-1", "b-1", "c-1"]])

    def test_sends_what_there_is_when_its_time_is_over(self) -> None:
        self.record("a")
        self.clock.advance(0.5)
        self.record("b")
        self.clock.advance(0.5)
        self.assertEqual(self.notifier.calls, [["a-1", "b-1"]])
        self.record("c")
        self.clock.advance(0.9)
        self.assertEqual(len(self.notifier.calls), 1, "each waits anew")


class AnIncident(LaneCase):
    def trigger(self, name: str, grace: float = 0.0) -> None:
        self.record(name, key="k", action="trigger", urgent=True, grace=grace)

    def resolve(self, name: str) -> None:
        self.record(name, key="k", action="resolve", urgent=True)

    def test_that_was_over_before_it_could_be_told_is_not_told(self) -> None:
        self.answers(Hold("401"))
        self.record("first")
        self.start()
        self.trigger("t")
        self.resolve("r")
        self.clock.advance(PROBE_EVERY)
        self.assertEqual(self.notifier.told, ["first-1", "first-1"])
        self.assertEqual(self.left(), [])

    def test_that_is_not_told_is_in_the_log_and_what_has_nothing_to_close_is_not(self) -> None:
        self.start()
        with capturedLogs() as logs:
            self.record("c", key="k", action="close")
            self.answers(Hold("401"))
            self.record("first")
            self.trigger("t")
            self.resolve("r")
        found = [(log["log_level"].name, log["id"]) for log in logs if "note" in log]
        self.assertEqual(found, [("debug", "c-1"), ("info", "t-1"), ("info", "r-1")])

    def test_is_resolved_where_the_trigger_may_have_arrived(self) -> None:
        self.answers(TryAgain("no answer"))
        self.start()
        self.trigger("t")
        self.resolve("r")
        self.clock.advance(2.0)
        self.assertEqual(self.notifier.told, ["t-1", "r-1"])

    def test_is_resolved_where_an_earlier_run_may_have_told_the_trigger_and_not_written_it_down(self) -> None:
        self.trigger("t")
        self.resolve("r")
        self.clock.advance(1.0)
        self.start()
        self.assertEqual(self.notifier.told, ["r-1"])

    def test_that_is_over_while_its_trigger_is_being_told_in_vain_is_not_triggered_again(self) -> None:
        self.notifier.hang = []
        self.start()
        self.trigger("t")
        self.resolve("r")
        trying, self.notifier.hang = self.notifier.hang[0], None
        trying.callback([TryAgain("500")])
        self.clock.advance(2.0)
        self.assertEqual(self.notifier.told, ["t-1", "r-1"])

    def test_is_closed_once_where_the_trigger_may_have_arrived_however_often_it_is_over(self) -> None:
        self.answers(TryAgain("no answer"))
        self.start()
        self.trigger("t")
        for name in ("r", "s"):
            self.record(name, key="k", action="close")
        self.clock.advance(2.0)
        self.assertEqual((self.notifier.told, self.left()), (["t-1", "r-1"], []))

    def test_that_opens_again_before_its_end_was_told_is_told_both(self) -> None:
        self.start()
        self.trigger("t")
        self.answers(Hold("401"))
        self.record("other")
        self.resolve("r")
        self.trigger("again")
        self.clock.advance(PROBE_EVERY)
        self.assertEqual(self.notifier.told[2:], ["r-1", "again-1", "other-1"])

    def test_is_closed_where_the_trigger_may_have_arrived_though_that_fails_at_first_too(self) -> None:
        self.answers(TryAgain("no answer"), TryAgain("no answer"))
        self.start()
        self.trigger("t")
        self.record("r", key="k", action="close")
        self.clock.pump([2.0, 4.0])
        self.assertEqual(self.notifier.told, ["t-1", "r-1", "r-1"])
        self.assertEqual(self.left(), [])

    def test_is_closed_where_the_trigger_may_have_arrived_before_a_restart(self) -> None:
        self.answers(TryAgain("no answer"))
        self.start()
        self.trigger("t")
        self.record("r", key="k", action="close")
        self.restart()
        self.assertEqual(self.notifier.told, ["t-1", "r-1"])
        self.assertEqual(self.left(), [])

    def test_is_known_over_a_restart(self) -> None:
        self.start()
        self.trigger("t")
        self.restart()
        self.assertTrue(self.incidents.is_open("slack", "k"))
        self.resolve("r")
        self.restart()
        self.assertFalse(self.incidents.is_open("slack", "k"))

    def test_with_a_grace_is_told_when_it_lasts(self) -> None:
        self.start()
        self.trigger("t", grace=30.0)
        self.clock.advance(29.0)
        self.assertEqual(self.notifier.told, [])
        self.clock.advance(1.0)
        self.assertEqual(self.notifier.told, ["t-1"])

    def test_with_a_grace_is_not_told_when_it_is_over_in_time(self) -> None:
        self.start()
        self.trigger("t", grace=30.0)
        self.clock.advance(29.0)
        self.resolve("r")
        self.clock.advance(100.0)
        self.assertEqual((self.notifier.told, self.left()), ([], []))

    def test_with_a_grace_waits_for_it_over_a_restart(self) -> None:
        self.start()
        self.trigger("t", grace=30.0)
        self.restart()
        self.clock.advance(29.0)
        self.assertEqual(self.notifier.told, [])
        self.clock.advance(1.0)
        self.assertEqual(self.notifier.told, ["t-1"])

    def test_with_a_grace_that_runs_out_while_nobody_listens_waits_for_what_is_heard_then(self) -> None:
        self.start()
        self.trigger("t", grace=30.0)
        self.clock.advance(20.0)
        self.incidents.blind_since = lambda: 20.0
        self.clock.pump([1.0] * 40)
        self.assertEqual(self.notifier.told, [])
        self.resolve("r")
        self.incidents.blind_since = lambda: 0.0
        self.clock.pump([1.0] * 40)
        self.assertEqual((self.notifier.told, self.left()), ([], []))

    def test_with_a_grace_is_told_when_it_lasts_and_somebody_listens_again(self) -> None:
        self.start()
        self.trigger("t", grace=30.0)
        self.incidents.blind_since = lambda: 20.0
        self.clock.pump([1.0] * 40)
        self.incidents.blind_since = lambda: 0.0
        self.clock.advance(LOOK_AGAIN)
        self.assertEqual(self.notifier.told, ["t-1"])

    def test_with_a_grace_does_not_wait_for_ever_for_somebody_to_listen(self) -> None:
        self.start()
        self.incidents.blind_since = lambda: 20.0
        self.trigger("t", grace=30.0)
        self.record("other")
        self.clock.pump([1.0] * int(30 + BLIND_PATIENCE - 1))
        self.assertEqual(self.notifier.told, ["other-1"])
        self.clock.advance(1.0)
        self.assertEqual(self.notifier.told, ["other-1", "t-1"])

    def test_with_a_grace_that_ran_out_while_we_were_away_is_not_told_before_somebody_looked(self) -> None:
        self.start()
        self.trigger("t", grace=30.0)
        self.successResultOf(self.lanes.stop())
        self.clock.advance(1000.0)
        self.incidents = Incidents()
        self.incidents.blind_since = lambda: 1000.0
        self.lanes = self.make_lanes()
        self.start()
        self.clock.advance(5.0)
        self.assertEqual(self.notifier.told, [])
        self.resolve("r")
        self.incidents.blind_since = lambda: 0.0
        self.clock.pump([1.0] * 100)
        self.assertNotIn("t-1", self.notifier.told)

    def test_without_a_grace_waits_for_nobody(self) -> None:
        self.start()
        self.incidents.blind_since = lambda: 1.0
        self.trigger("t")
        self.assertEqual(self.notifier.told, ["t-1"])

    def test_that_flaps_is_held_open_until_it_is_quiet(self) -> None:
        self.start()
        for number in range(10):
            self.trigger(f"t{number}")
            self.clock.advance(10.0)
            self.resolve(f"r{number}")
            self.clock.advance(10.0)
        told = [each for each in self.notifier.told if each.startswith("t")]
        self.assertEqual(told, [f"t{number}-1" for number in range(6)])
        self.assertTrue(self.incidents.is_open("slack", "k"))
        self.clock.advance(600.0)
        self.assertEqual(self.notifier.told[-1], "r9-1")
        self.assertFalse(self.incidents.is_open("slack", "k"))
        self.assertEqual(self.left(), [])

    def test_that_flaps_is_held_open_whatever_else_is_told_of_its_object(self) -> None:
        self.start()
        for number in range(6):
            self.trigger(f"t{number}")
            self.notifier.hang = [Deferred()]
            self.record("before", key="k")
            self.resolve(f"r{number}")
            self.record("after", key="k")
            hanging, self.notifier.hang = self.notifier.hang[-1], None
            hanging.callback([Delivered()])
        self.assertEqual(self.notifier.told[-4:], ["r4-1", "after-1", "t5-1", "before-1"])
        self.clock.advance(600.0)
        self.assertEqual(self.notifier.told[-2:], ["r5-1", "after-1"])

    def test_that_flaps_holds_back_its_resolve_and_nothing_before_that(self) -> None:
        self.start()
        for number in range(6):
            self.trigger(f"t{number}")
            if number < 5:
                self.resolve(f"r{number}")
        self.record("plain", key="k")
        self.assertEqual(self.notifier.told[-1], "plain-1")
        self.answers(TryAgain("503"))
        self.record("again", key="k")
        self.resolve("r5")
        self.clock.advance(10.0)
        self.assertEqual((self.notifier.told[-1], self.left()), ("again-1", ["r5"]))

    def test_that_flaps_and_opens_again_is_open_without_a_word(self) -> None:
        self.start()
        for number in range(7):
            self.trigger(f"t{number}")
            self.resolve(f"r{number}")
        self.trigger("last")
        self.assertEqual((self.notifier.told[-1], self.left()), ("t5-1", []))
        self.assertTrue(self.incidents.is_open("slack", "k"))

    def test_that_flaps_is_held_open_over_restarts_too(self) -> None:
        self.start()
        for number in range(8):
            self.trigger(f"t{number}")
            self.clock.advance(10.0)
            self.resolve(f"r{number}")
            self.clock.advance(10.0)
            self.restart()
        self.assertEqual([each for each in self.notifier.told if each.startswith("t")][-1], "t5-1")
        self.assertTrue(self.incidents.is_open("slack", "k"))
        self.clock.advance(600.0)
        self.assertEqual((self.notifier.told[-1], self.left()), ("r7-1", []))


class ATurnOfState(LaneCase):
    def test_is_told_once_each_way(self) -> None:
        self.answers(Hold("404"), Hold("404"))
        self.record("a")
        self.start()
        self.clock.pump([PROBE_EVERY] * 2)
        self.assertEqual(self.turns, ["ok > held: 404", "held: 404 > ok"])

    def test_is_told_once_however_often_it_asks_for_more_time(self) -> None:
        self.answers(*[TryAgain("429", after=5.0, limited=True)] * 3)
        self.record("a")
        self.start()
        self.clock.pump([5.0, 5.0, 8.0])
        self.assertEqual(len(self.states), 5)
        self.assertEqual([turn.partition(" ")[0] for turn in self.turns], ["ok", "limited"])

    def test_is_told_again_when_others_must_hear_of_it(self) -> None:
        self.notifier.answer = lambda _: TryAgain("500")
        self.record("a")
        self.start()
        self.clock.pump([300.0] * 4)
        self.assertEqual(self.turns, ["ok > failing: 500", "failing: 500 > failing: 500"])

    def test_is_not_told_again_after_a_restart(self) -> None:
        self.answers(Hold("404"), Hold("404"))
        self.record("a")
        self.start()
        self.restart()
        self.assertEqual(self.turns, ["ok > held: 404"])
        self.assertEqual(self.states[-1], Held(0.0, "404"))


class WhatIsTakenBackFromTheDeadLetters(LaneCase):
    def test_is_all_told_even_if_it_is_more_than_a_lane_keeps_in_memory(self) -> None:
        self.keep_in_memory(10)
        self.notifier.answer = lambda _: Rejected("400")
        self.start()
        self.record(*[f"n{number}" for number in range(25)])
        self.notifier.answer = lambda _: TryAgain("503")
        letters = self.successResultOf(self.journal.dead_letters(5000))
        seqs = sorted(letter.pending.seq for letter in letters)
        self.successResultOf(self.journal.revive(seqs, 0.0).addCallback(self.lanes.offer))
        self.notifier.answer = lambda _: Delivered()
        del self.notifier.calls[:]
        self.clock.pump([5.0] * 10)
        self.assertEqual(self.notifier.told, [f"n{number}-1" for number in range(25)])
        self.assertEqual(self.left(), [])
