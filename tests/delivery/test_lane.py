from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tutumstream.delivery.decision import GIVE_UP_AFTER, PROBE_EVERY
from tutumstream.delivery.lane import Lane
from tutumstream.delivery.service import GRACE, Lanes
from tutumstream.delivery.state import DestinationState, Failing, Held, Limited, Ok
from tutumstream.errors import JournalError
from tutumstream.event import Event
from tutumstream.journal.interface import Pending
from tutumstream.journal.memory import MemoryJournal
from tutumstream.notifiers.interface import Delivered, Hold, INotifier, Message, Rejected, TryAgain, Verdict
from tutumstream.routing.delivery import Delivery

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
        self.answer: Answer = lambda _: Delivered()
        self.hang: list[Deferred[list[Verdict]]] | None = None

    def escape(self, text: str) -> str:
        return text

    def notify(self, messages: Sequence[Message]) -> Deferred[list[Verdict]]:
        self.calls.append([message.id for message in messages])
        if self.hang is not None:
            self.hang.append(Deferred())
            return self.hang[-1]
        return succeed([self.answer(message) for message in messages])

    @property
    def told(self) -> list[str]:
        return [each for call in self.calls for each in call]


async def compose(pending: Pending) -> Message:
    return Message(pending.id, pending.event, "text", pending.delivery.route)


class LaneCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.journal = MemoryJournal()
        self.journal.open()
        self.notifier = ScriptedNotifier()
        self.states: list[DestinationState] = []
        self.lane = self.make_lane()

    def make_lane(self) -> Lane:
        return Lane(
            "slack",
            self.notifier,
            self.journal,
            compose,
            lambda _, state: self.states.append(state),
            self.clock,
            self.clock.seconds,
            lambda: 1.0,
        )

    def record(self, *names: str, destination: str = "slack") -> None:
        for name in names:
            event = Event(id=name, received_at=self.clock.seconds(), type="container")
            self.journal.record(event, [Delivery(destination, "r", "r: true", name)])
        self.lane.wake()

    def left(self) -> list[str]:
        return [each.event.id for each in self.successResultOf(self.journal.pending("slack", 0, 1000))]

    def answers(self, *verdicts: Verdict) -> None:
        """These first, then everything is taken."""
        script = iter(verdicts)
        self.notifier.answer = lambda _: next(script, Delivered())


class ALane(LaneCase):
    def test_tells_in_order_what_was_there_and_what_comes(self) -> None:
        self.record("a", "b")
        self.lane.start()
        self.record("c")
        self.assertEqual(self.notifier.told, ["a-1", "b-1", "c-1"])
        self.assertEqual(self.left(), [])

    def test_leaves_other_destinations_alone(self) -> None:
        self.lane.start()
        self.record("a", destination="pagerduty")
        self.assertEqual(self.notifier.told, [])

    def test_takes_more_than_one_window_of_rows(self) -> None:
        names = [f"n{number}" for number in range(501)]
        self.record(*names)
        self.lane.start()
        self.assertEqual(self.notifier.told, [f"{name}-1" for name in names])

    def test_fills_the_notifiers_batches(self) -> None:
        self.notifier.batch = 3
        self.record(*"abcdefg")
        self.lane.start()
        self.assertEqual([len(call) for call in self.notifier.calls], [3, 3, 1])

    def test_tells_one_at_a_time(self) -> None:
        self.notifier.hang = []
        self.record("a", "b")
        self.lane.start()
        self.assertEqual(self.notifier.told, ["a-1"])
        self.notifier.hang.pop().callback([Delivered()])
        self.assertEqual(self.notifier.told, ["a-1", "b-1"])

    def test_hears_of_what_is_recorded_while_the_journal_is_being_read(self) -> None:
        reading: list[Deferred[list[Pending]]] = []
        real = self.journal.pending

        def slow(*_: Any) -> Deferred[list[Pending]]:
            reading.append(Deferred())
            return reading[-1]

        self.journal.pending = slow
        self.lane.start()
        self.record("a")
        self.journal.pending = real
        reading.pop().callback([])
        self.assertEqual(self.notifier.told, ["a-1"])


class AFailingDestination(LaneCase):
    def test_gets_the_same_message_again_before_any_other(self) -> None:
        self.answers(TryAgain("500"), TryAgain("500"))
        self.record("a", "b")
        self.lane.start()
        self.assertEqual(self.notifier.told, ["a-1"])
        self.clock.advance(2)
        self.assertEqual(self.notifier.told, ["a-1", "a-1"])
        self.clock.advance(4)
        self.assertEqual(self.notifier.told, ["a-1", "a-1", "a-1", "b-1"])
        self.assertEqual(self.left(), [])

    def test_is_not_asked_sooner_because_something_new_came(self) -> None:
        self.answers(TryAgain("500"))
        self.record("a")
        self.lane.start()
        self.record("b", "c")
        self.clock.advance(1.9)
        self.assertEqual(self.notifier.told, ["a-1"])

    def test_is_remembered_over_a_restart(self) -> None:
        self.answers(TryAgain("slow down", after=100.0, limited=True))
        self.record("a", "b")
        self.lane.start()
        self.successResultOf(self.lane.stop())
        again = self.make_lane()
        again.start()
        self.clock.advance(99)
        self.assertEqual(self.notifier.told, ["a-1"])
        self.clock.advance(1)
        self.assertEqual(self.notifier.told, ["a-1", "a-1", "b-1"])

    def test_keeps_reasons_and_attempts_in_the_row(self) -> None:
        self.notifier.answer = lambda _: TryAgain("500 oops", answer="oops")
        self.record("a")
        self.lane.start()
        self.clock.pump([2.0, 4.0])
        (row,) = self.successResultOf(self.journal.pending("slack", 0, 10))
        self.assertEqual((row.attempts, row.reason, row.answer), (3, "500 oops", "oops"))

    def test_settles_those_of_a_batch_that_arrived_and_repeats_the_others_in_order(self) -> None:
        self.notifier.batch = 4
        self.answers(Delivered(), TryAgain("429", after=5.0, limited=True), Rejected("400", "bad"), Delivered())
        self.record(*"abcd")
        self.lane.start()
        self.assertEqual(self.left(), ["b"])
        self.clock.advance(5)
        self.assertEqual(self.notifier.calls, [["a-1", "b-1", "c-1", "d-1"], ["b-1"]])

    def test_loses_a_message_to_the_dead_letters_after_a_day(self) -> None:
        self.notifier.answer = lambda _: TryAgain("no answer", answer="x")
        self.record("a")
        self.lane.start()
        self.clock.pump([300.0] * int(GIVE_UP_AFTER / 300 + 2))
        self.assertEqual(self.left(), [])
        (dead,) = self.successResultOf(self.journal.dead_letters(10))
        self.assertEqual((dead.cause, dead.answer), ("expired", "x"))

    def test_is_logged_once_when_it_turns_bad_and_once_when_it_recovers(self) -> None:
        lines: list[str] = []

        def see(event: Any) -> None:
            lines.append(f"{event['log_level'].name} {formatEvent(event)}")

        globalLogPublisher.addObserver(see)
        self.addCleanup(globalLogPublisher.removeObserver, see)
        self.answers(*[TryAgain("500 oops")] * 5)
        self.record("a", "b")
        self.lane.start()
        self.clock.pump([300.0] * 6)
        self.assertEqual(lines, ["warn slack is failing: 500 oops", "info slack works again"])

    def test_shows_its_state_and_since_when(self) -> None:
        self.clock.advance(100)
        self.answers(TryAgain("500"), TryAgain("500"), TryAgain("429", after=50.0, limited=True), Hold("404"))
        self.record("a")
        self.lane.start()
        self.clock.pump([2.0, 4.0, 50.0, PROBE_EVERY])
        self.assertEqual(
            self.states,
            [
                Ok(),
                Failing(100.0, "500"),
                Failing(100.0, "500"),
                Limited(156.0, "429"),
                Held(156.0, "404"),
                Ok(),
            ],
        )


class AHeldDestination(LaneCase):
    def test_is_probed_every_five_minutes_with_its_oldest_message(self) -> None:
        self.answers(Hold("404"), Hold("404"))
        self.record("a", "b")
        self.lane.start()
        self.clock.advance(PROBE_EVERY - 1)
        self.assertEqual(self.notifier.told, ["a-1"])
        self.clock.pump([1.0, PROBE_EVERY])
        self.assertEqual(self.notifier.told, ["a-1", "a-1", "a-1", "b-1"])

    def test_is_asked_at_once_after_a_restart(self) -> None:
        self.answers(Hold("404"))
        self.record("a")
        self.lane.start()
        self.successResultOf(self.lane.stop())
        self.make_lane().start()
        self.assertEqual(self.notifier.told, ["a-1", "a-1"])


class ABrokenNotifier(LaneCase):
    def test_is_logged_with_its_traceback_and_loses_nothing(self) -> None:
        def broken(_: Message) -> Verdict:
            raise ZeroDivisionError

        self.notifier.answer = broken
        self.record("a", "b")
        self.lane.start()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.notifier.answer = lambda _: Delivered()
        self.clock.advance(2)
        self.assertEqual(self.notifier.told, ["a-1", "a-1", "b-1"])


class AJournalThatCanNotBeRead(LaneCase):
    def test_is_asked_again_a_second_later(self) -> None:
        real = self.journal.pending
        self.journal.pending = lambda *_: fail(JournalError("here", "no"))
        self.record("a")
        self.lane.start()
        self.journal.pending = real
        self.clock.advance(1)
        self.assertEqual(self.notifier.told, ["a-1"])


class AStop(LaneCase):
    def setUp(self) -> None:
        super().setUp()
        self.notifier.hang = []
        self.lanes = Lanes([self.lane], self.clock)

    def test_lets_what_is_in_flight_finish_and_begins_nothing_new(self) -> None:
        self.record("a", "b")
        self.lanes.startService()
        stopped = self.lanes.stopService()
        self.assertNoResult(stopped)
        assert self.notifier.hang is not None
        self.notifier.hang.pop().callback([Delivered()])
        self.successResultOf(stopped)
        self.assertEqual(self.left(), ["b"])

    def test_lets_go_after_the_grace_and_leaves_the_rest_in_the_journal(self) -> None:
        self.record("a", "b")
        self.lanes.startService()
        stopped = self.lanes.stopService()
        self.clock.advance(GRACE)
        self.successResultOf(stopped)
        self.assertEqual(self.left(), ["a", "b"])

    def test_does_not_wait_for_a_destination_that_is_to_be_asked_later(self) -> None:
        self.notifier.hang = None
        self.answers(TryAgain("500", after=1000.0))
        self.record("a")
        self.lanes.startService()
        self.successResultOf(self.lanes.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ignores_a_destination_that_does_not_exist(self) -> None:
        self.lanes.startService()
        self.lanes.wake("nobody")
        self.assertEqual(self.notifier.told, [])
