import json
from typing import Any

from twisted.logger import LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.logs import LineObserver


def lines(log_format: str, *events: dict[str, Any], level: str = "info") -> list[str]:
    written: list[str] = []
    observer = LineObserver(written.append, log_format, level)
    for event in events:
        observer({"log_time": 1.5, "log_namespace": "tutumstream.stream", "log_level": LogLevel.info, **event})
    return written


class JsonLines(SynchronousTestCase):
    def test_hold_the_sentence_and_the_fields_it_was_made_of(self) -> None:
        (line,) = lines("json", {"log_format": "told {who} {times} times", "who": "ops", "times": 3})
        self.assertTrue(line.endswith("}\n"))
        self.assertEqual(
            json.loads(line),
            {
                "time": "1970-01-01T00:00:01.500+00:00",
                "level": "info",
                "logger": "tutumstream.stream",
                "event": "told ops 3 times",
                "who": "ops",
                "times": 3,
            },
        )

    def test_are_one_line_whatever_is_in_the_fields(self) -> None:
        (line,) = lines("json", {"log_format": "{text}", "text": "a\nb\x1b[31m\u2028c"})
        self.assertEqual(len(line.splitlines()), 1)
        self.assertEqual(json.loads(line)["text"], "a\nb\x1b[31m\u2028c")

    def test_show_what_json_does_not_know_as_text(self) -> None:
        (line,) = lines("json", {"log_format": "{problem}", "problem": ValueError("no")})
        self.assertEqual(json.loads(line)["problem"], "no")

    def test_carry_the_traceback_of_a_failure_without_the_frames_variables(self) -> None:
        def broken() -> None:
            password = "hunter2".upper()
            raise ZeroDivisionError(len(password))

        try:
            broken()
        except ZeroDivisionError:
            event = {"log_format": "oh", "log_failure": Failure(captureVars=True), "log_level": LogLevel.critical}
        (line,) = lines("json", event)
        self.assertIn("ZeroDivisionError", json.loads(line)["traceback"])
        self.assertNotIn("HUNTER2", line)


class ConsoleLines(SynchronousTestCase):
    def test_are_short(self) -> None:
        self.assertEqual(
            lines("console", {"log_format": "Connected"}, {"log_format": "Closed", "log_level": LogLevel.warn}),
            ["00:00:01 info  Connected\n", "00:00:01 warn  Closed\n"],
        )

    def test_can_not_be_forged_from_outside(self) -> None:
        (line,) = lines("console", {"log_format": "{text}", "text": "a\n00:00:01 info  all is well\x1b[2J"})
        self.assertEqual(line, "00:00:01 info  a\\n00:00:01 info  all is well\\x1b[2J\n")

    def test_show_a_traceback_below(self) -> None:
        event = {"log_format": "oh", "log_failure": Failure(ZeroDivisionError("0"))}
        (line,) = lines("console", event)
        self.assertTrue(line.startswith("00:00:01 info  oh\nTraceback"))


class Levels(SynchronousTestCase):
    def test_below_the_chosen_one_are_left_out(self) -> None:
        events = [{"log_format": level.name, "log_level": level} for level in LogLevel.iterconstants()]
        self.assertEqual(
            [line.split()[-1] for line in lines("console", *events, level="warn")], ["warn", "error", "critical"]
        )

    def test_of_twisteds_own_chatter_are_shown_from_warnings_on(self) -> None:
        chatter = {"log_format": "Starting factory", "log_namespace": "twisted.internet.protocol"}
        self.assertEqual(lines("console", chatter, level="info"), [])
        self.assertEqual(len(lines("console", {**chatter, "log_level": LogLevel.warn}, level="info")), 1)

    def test_of_the_websocket_library_are_shown_for_its_bugs_only(self) -> None:
        echo = {"log_format": "SSL error: certificate verify failed", "log_namespace": "autobahn.twisted.websocket"}
        self.assertEqual(lines("console", {**echo, "log_level": LogLevel.error}, level="debug"), [])
        self.assertEqual(len(lines("console", {**echo, "log_level": LogLevel.critical})), 1)
