from typing import Any

from twisted.logger import Logger, LogLevel, eventAsText
from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_notifiers import Basics, message
from tutumstream.notifiers.interface import Delivered
from tutumstream.notifiers.log import LINE_LIMIT, LogNotifier
from tutumstream.routing.delivery import Incident


class LogTests(Basics, SynchronousTestCase):
    def setUp(self) -> None:
        self.seen: list[Any] = []

    def make(self) -> LogNotifier:
        notifier = LogNotifier()
        notifier.log = Logger(observer=self.seen.append)
        return notifier

    def line(self, text: str) -> str:
        self.seen.clear()
        self.told(self.make(), message(text))
        self.assertEqual([one["log_level"] for one in self.seen], [LogLevel.info])
        return eventAsText(self.seen[0], includeTimestamp=False, includeSystem=False)

    def test_a_message_is_one_line_of_its_text(self) -> None:
        text = "container:create:Starting:/api/v1/container/x/:[] {not} a %s format"
        self.assertEqual(self.line(text), text)

    def test_what_could_steer_a_terminal_is_escaped(self) -> None:
        self.assertEqual(
            self.line("a\nb\r\x1b[2J\x00\x9b\u2028\u202e ü🎉"), "a / b\\r\\x1b[2J\\x00\\x9b\\u2028\\u202e ü🎉"
        )

    def test_a_long_text_is_cut(self) -> None:
        self.assertEqual(self.line("x" * (LINE_LIMIT + 1)), "x" * (LINE_LIMIT - 1) + "…")
        self.assertEqual(len(self.line("\r" * LINE_LIMIT)), LINE_LIMIT)

    def test_a_label_tells_what_another_destination_would_have_got(self) -> None:
        notifier = LogNotifier("pagerduty")
        notifier.log = Logger(observer=self.seen.append)
        self.told(notifier, message("down", incident=Incident("trigger", "tutum-stream")), message("told"))
        lines = [one["text"] for one in self.seen]
        self.assertEqual(lines, ["[pagerduty trigger tutum-stream] down", "[pagerduty] told"])
        self.assertEqual(repr(notifier), "<log pagerduty>")

    def test_several_come_in_order(self) -> None:
        notifier = self.make()
        self.assertEqual(self.told(notifier, message("one"), message("two")), [Delivered(), Delivered()])
        self.assertEqual([one["text"] for one in self.seen], ["one", "two"])
        self.assertEqual(repr(notifier), "<log>")
