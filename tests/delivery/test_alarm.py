"""What is told without the journal, and what is told with it again."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.delivery.alarm import EVERY, PATIENCE, JournalAlarm
from tutumstream.errors import JournalError, JournalInUseError
from tutumstream.event import Event
from tutumstream.journal.interface import Health
from tutumstream.notifiers.interface import Delivered, Hold, Message, Rejected, TryAgain, Verdict
from tutumstream.routing.delivery import Incident

FULL = "can't grow, the disk is full: free some space"


class Journal:
    """In any health."""

    health = Health()


class Notifier:
    """Answers what it is told to, at once or never."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.answers: list[Verdict | Deferred[list[Verdict]]] = []

    def escape(self, text: str) -> str:
        return text.replace("&", "&amp;")

    def notify(self, messages: Sequence[Message]) -> Deferred[list[Verdict]]:
        (message,) = messages
        self.messages.append(message)
        answer = self.answers.pop(0) if self.answers else Delivered()
        return answer if isinstance(answer, Deferred) else succeed([answer])


class AnAlarm(SynchronousTestCase):
    def setUp(self) -> None:
        self.journal: Any = Journal()
        self.pagerduty, self.slack = Notifier(), Notifier()
        self.taken: list[Event] = []
        self.connected = True
        self.clock = Clock()
        notifiers: Any = {"pagerduty": self.pagerduty, "slack": self.slack}
        self.alarm, self.unused = (
            JournalAlarm(
                self.journal, notifiers, lambda: self.connected, self.taken.append, self.clock, self.clock.seconds
            )
            for _ in range(2)
        )
        self.alarm.start()
        self.addCleanup(self.alarm.stop)

    def looks(self, times: int) -> None:
        self.clock.pump([EVERY] * times)

    def told(self, notifier: Notifier) -> list[str]:
        return [message.text for message in notifier.messages]

    def test_is_silent_while_the_journal_is_well(self) -> None:
        self.looks(100)
        self.assertEqual((self.pagerduty.messages, self.slack.messages, self.taken), ([], [], []))

    def test_tells_everybody_once_what_lasts_for_a_minute(self) -> None:
        self.journal.health = Health(FULL, waiting=51)
        self.looks(PATIENCE - 1)
        self.assertEqual(self.pagerduty.messages, [])
        self.looks(20)
        words = f"The journal {FULL}. Changes that wait to be written: 51; nobody is told of them before."
        self.assertEqual(self.told(self.pagerduty), [words])
        self.assertEqual(self.told(self.slack), [words])
        self.assertEqual(self.pagerduty.messages[0].incident, Incident("trigger", "tutum-stream"))

    def test_does_not_tell_of_what_is_soon_over(self) -> None:
        for _ in range(5):
            self.journal.health = Health(FULL)
            self.looks(PATIENCE - 1)
            self.journal.health = Health()
            self.looks(1)
        self.assertEqual((self.pagerduty.messages, self.taken), ([], []))

    def test_tries_again_until_each_was_told_and_repeats_nothing(self) -> None:
        self.pagerduty.answers = [TryAgain("500"), Rejected("400"), Hold("401")]
        self.journal.health = Health(FULL)
        self.looks(PATIENCE + 10)
        self.assertEqual(len(self.pagerduty.messages), 4)
        self.assertEqual(len({message.id for message in self.pagerduty.messages}), 1)
        self.assertEqual(len(self.slack.messages), 1)

    def test_goes_on_after_a_notifiers_bug(self) -> None:
        self.pagerduty.answers = [Deferred()]
        self.journal.health = Health(FULL)
        asked: Any = self.pagerduty.answers[0]
        self.looks(PATIENCE)
        asked.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.slack.messages), 1)
        self.looks(1)
        self.assertEqual(len(self.pagerduty.messages), 2)

    def test_goes_on_after_a_bug_of_its_own(self) -> None:
        self.journal.health = None
        self.looks(1)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        self.journal.health = Health(FULL)
        self.looks(PATIENCE)
        self.assertEqual(len(self.pagerduty.messages), 1)

    def test_makes_the_text_harmless(self) -> None:
        self.journal.health = Health("is <&>")
        self.looks(PATIENCE)
        self.assertEqual(self.told(self.slack), ["The journal is <&amp;>."])

    def test_tells_by_the_journal_that_it_is_well_again(self) -> None:
        self.journal.health = Health(FULL)
        self.looks(PATIENCE)
        self.journal.health = Health()
        self.looks(3)
        (event,) = self.taken
        self.assertEqual((event.type, event.action, event.state), ("journal", "recovered", "Connected"))
        self.assertEqual(event.message, "The journal can be written again: what waited is told now.")

    def test_says_so_where_the_stream_is_lost_meanwhile(self) -> None:
        self.journal.health = Health(FULL)
        self.looks(PATIENCE)
        self.connected = False
        self.journal.health = Health()
        self.looks(1)
        self.assertEqual([event.state for event in self.taken], [""])

    def test_tells_of_the_next_trouble_anew(self) -> None:
        for _ in range(2):
            self.journal.health = Health(FULL)
            self.looks(PATIENCE)
            self.journal.health = Health()
            self.looks(1)
        self.assertEqual((len(self.pagerduty.messages), len(self.taken)), (2, 2))

    def test_waits_for_the_end_of_what_is_being_told_before_it_tells_more(self) -> None:
        answer: Deferred[list[Verdict]] = Deferred()
        self.pagerduty.answers = [answer]
        self.journal.health = Health(FULL)
        self.looks(PATIENCE)
        self.journal.health = Health()
        self.looks(5)
        self.assertEqual(self.taken, [])
        answer.callback([Delivered()])
        self.looks(1)
        self.assertEqual(len(self.taken), 1)

    def test_lets_what_is_in_flight_finish_at_a_stop_and_then_tells_the_others(self) -> None:
        answer: Deferred[list[Verdict]] = Deferred()
        self.pagerduty.answers = [answer]
        self.journal.health = Health(FULL)
        self.looks(PATIENCE)
        self.alarm.stop()
        stopped = self.alarm.last_words()
        self.assertNoResult(stopped)
        answer.callback([Delivered()])
        self.successResultOf(stopped)
        self.looks(5)
        words = f"The journal {FULL}."
        self.assertEqual((self.told(self.pagerduty), self.told(self.slack)), ([words], [words]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_tells_at_a_stop_of_a_trouble_that_is_younger_than_a_minute_once(self) -> None:
        self.pagerduty.answers = [TryAgain("500")]
        self.journal.health = Health(FULL, waiting=2)
        self.alarm.stop()
        self.successResultOf(self.alarm.last_words())
        words = f"tutumstream is stopped, and its journal {FULL}. Changes not written by now: 2."
        self.assertEqual((self.told(self.pagerduty), self.told(self.slack)), ([words], [words]))
        self.assertEqual(self.pagerduty.messages[0].incident, Incident("trigger", "tutum-stream"))

    def test_repeats_nothing_at_a_stop(self) -> None:
        self.journal.health = Health(FULL)
        self.looks(PATIENCE)
        self.alarm.stop()
        self.successResultOf(self.alarm.last_words())
        self.assertEqual((len(self.pagerduty.messages), len(self.slack.messages)), (1, 1))

    def test_has_nothing_to_say_at_a_stop_with_a_journal_that_is_well(self) -> None:
        for _ in range(2):
            self.alarm.stop()
            self.successResultOf(self.alarm.last_words())
        self.assertEqual(self.pagerduty.messages, [])

    def test_has_nothing_to_say_at_a_stop_of_a_journal_that_was_never_open(self) -> None:
        self.journal.health = Health("is not open")
        self.unused.stop()
        self.successResultOf(self.unused.last_words())
        self.assertEqual(self.pagerduty.messages, [])

    def test_does_not_hold_up_a_stop_by_a_bug(self) -> None:
        self.journal.health = None
        self.alarm.stop()
        self.successResultOf(self.alarm.last_words())
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_tells_only_the_pager_of_a_service_that_can_not_begin(self) -> None:
        self.successResultOf(self.alarm.cannot_begin(JournalError("/state/journal", FULL)))
        self.assertEqual(self.told(self.pagerduty), [f"tutumstream can't begin: journal /state/journal: {FULL}."])
        self.assertEqual(self.pagerduty.messages[0].incident, Incident("trigger", "tutum-stream"))
        self.assertEqual(self.slack.messages, [])

    def test_tells_nobody_of_a_service_that_can_not_begin_where_there_is_no_pager(self) -> None:
        notifiers: Any = {"slack": self.slack}
        alarm = JournalAlarm(self.journal, notifiers, lambda: True, self.taken.append, self.clock, self.clock.seconds)
        self.successResultOf(alarm.cannot_begin(JournalError("/state/journal", FULL)))
        self.assertEqual(self.slack.messages, [])

    def test_is_silent_about_a_second_service_on_the_same_journal(self) -> None:
        self.successResultOf(self.alarm.cannot_begin(JournalInUseError("/state/journal", "is in use")))
        self.assertEqual(self.pagerduty.messages, [])
