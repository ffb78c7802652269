"""The commands over both ways to the same dead letters: through the API, and in a journal."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
import msgspec
from click.testing import CliRunner, Result
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.operators.dead import NOW, a_journal, bury
from tests.operators.test_office import upper
from tutumstream import __version__
from tutumstream.cli.in_journal import DoneInJournal
from tutumstream.cli.main import main
from tutumstream.cli.offices import DeadLetters
from tutumstream.cli.through_service import AskedOfService
from tutumstream.cli.wire import HEADERS
from tutumstream.journal.interface import Pending
from tutumstream.operators.api import OperatorsResource
from tutumstream.operators.letters import STEP, Chosen, Filter, Listing
from tutumstream.operators.office import ONLY_RUNNING, Office
from tutumstream.routing.delivery import Incident
from tutumstream.status.pages import Pages

SCAN = 15
"""So many letters does the office look at in one request."""


class Commands:
    """What holds for both; mixed into a TestCase."""

    letters: DeadLetters
    when: str
    text: str

    def setUp(self) -> None:
        self.journal = a_journal("a", "b", "c")
        self.offered: list[Pending] = []
        self.variables: Mapping[str, str] = {}
        self.letters = self.way()

    def way(self) -> DeadLetters:
        raise AssertionError("each way says what it is")

    def run_(self, *arguments: str, typed: str = "") -> Result:
        @contextmanager
        def opened(variables: Mapping[str, str]) -> Iterator[DeadLetters]:
            self.variables = variables
            yield self.letters

        return CliRunner().invoke(main, ["dead-letters", *arguments], obj=opened, input=typed)

    def do(self: Any, *arguments: str, typed: str = "") -> str:
        done = self.run_(*arguments, typed=typed)
        self.assertEqual(done.exit_code, 0, done.output)
        return str(done.stdout)

    def fails(self: Any, *arguments: str) -> str:
        done = self.run_(*arguments)
        self.assertEqual(done.exit_code, 1, done.output)
        return str(done.stderr)

    def dead(self: Any) -> list[str]:
        return [each.pending.id for each in self.successResultOf(self.journal.dead_letters(99999))]

    def listed(self: Any, *arguments: str) -> list[str]:
        return [line.split("\t")[0] for line in self.do("list", *arguments).splitlines()]

    def test_list_shows_the_newest_first(self: Any) -> None:
        self.assertEqual(self.listed(), ["c-1", "b-1", "a-1"])

    def test_list_says_when_there_are_more(self: Any) -> None:
        done = self.run_("list", "--limit", "2")
        self.assertEqual([line.split("\t")[0] for line in done.stdout.splitlines()], ["c-1", "b-1"])
        self.assertIn("There are more", done.stderr)
        self.assertEqual(self.run_("list", "--limit", "3").stderr, "")

    def test_list_filters(self: Any) -> None:
        bury(self.journal, "d", destination="webhook", cause="expired")
        self.assertEqual(self.listed("--destination", "webhook"), ["d-1"])
        self.assertEqual(self.listed("--cause", "expired"), ["d-1"])
        self.assertEqual(self.listed("--reason", "rejected", "--destination", "slack"), ["c-1", "b-1", "a-1"])
        self.assertEqual(self.run_("list", "--destination", "log").stderr, "There are none.\n")

    def test_list_finds_what_lies_behind_many_others(self: Any) -> None:
        bury(self.journal, "wanted", destination="webhook")
        for number in range(SCAN + 1):
            bury(self.journal, str(number))
        self.assertEqual(self.listed("--destination", "webhook"), ["wanted-1"])
        self.assertEqual(len(self.listed("--limit", "1200")), SCAN + 5)

    def test_list_gives_one_json_object_a_line(self: Any) -> None:
        lines = [json.loads(line) for line in self.do("list", "--json").splitlines()]
        self.assertEqual([line["id"] for line in lines], ["c-1", "b-1", "a-1"])
        self.assertEqual(lines[0]["event"]["resource_uri"], "/api/v1/container/c/")

    def test_show_tells_all_that_is_known(self: Any) -> None:
        told = self.do("show", "b-1")
        for part in (
            "b-1 (seq 2)",
            "container update Running /api/v1/container/b/",
            "slack",
            "containers: event.type == 'container'",
            "rejected",
            "it answered 400",
            "attempts     1",
            "answer\n  invalid_payload\n",
            f"what a retry sends\n  {self.text}\n",
        ):
            self.assertIn(part, told)
        self.assertEqual(json.loads(self.do("show", "b-1", "--json"))["letter"]["id"], "b-1")

    def test_show_of_what_is_not_there_fails(self: Any) -> None:
        self.assertIn("there is no dead letter x-1", self.fails("show", "x-1"))
        for name in ("../find", "../find-1", "find", "retry", "", "é-1", "a-1/", "a", "?-1"):
            self.assertIn(f"there is no dead letter {name}\n", self.fails("show", name))

    def test_what_is_no_text_names_nothing(self: Any) -> None:
        odd = b"\xff-1".decode("utf-8", "surrogateescape")
        for arguments in (
            ("show", odd),
            ("retry", odd),
            ("drop", "a-1", odd),
            ("list", "--destination", odd),
            ("retry", "--all", "--destination", odd),
        ):
            self.assertIn("it is not UTF-8 text", self.fails(*arguments))
        self.assertEqual(len(self.dead()), 3)

    def test_retry_takes_back_what_is_named(self: Any) -> None:
        self.assertEqual(self.do("retry", "a-1", "c-1", "a-1"), f"2 dead letters {self.when}.\n")
        self.assertEqual(self.dead(), ["b-1"])
        self.assertEqual([row.id for row in self.successResultOf(self.journal.pending("slack", 0, 9))], ["a-1", "c-1"])

    def test_retry_says_where_it_opens_incidents(self: Any) -> None:
        bury(self.journal, "d", destination="pagerduty", incident=Incident("trigger", "k"))
        self.assertIn("opens incidents at pagerduty", self.run_("retry", "--all").stderr)
        self.assertNotIn("incident", self.run_("retry", "--all").stderr)

    def test_what_is_unknown_fails_and_the_rest_is_done(self: Any) -> None:
        self.assertIn("there is no dead letter x-1, y-1", self.fails("retry", "x-1", "a-1", "y-1"))
        self.assertIn("there is no dead letter x-1", self.fails("drop", "x-1", "b-1"))
        self.assertEqual(self.dead(), ["c-1"])

    def test_retry_all_goes_in_steps_the_oldest_first(self: Any) -> None:
        for number in range(2 * STEP):
            bury(self.journal, str(number))
        asked: list[Chosen] = []
        retry: Callable[[Chosen], Any] = self.letters.retry
        self.letters.retry = lambda chosen: (asked.append(chosen), retry(chosen))[1]
        self.assertEqual(self.do("retry", "--all"), f"{2 * STEP + 3} dead letters {self.when}.\n")
        seqs = [seq for chosen in asked for seq in chosen.seqs]
        self.assertEqual((len(asked), seqs, self.dead()), (3, sorted(seqs), []))

    def test_retry_all_takes_what_the_filters_leave(self: Any) -> None:
        bury(self.journal, "d", cause="expired")
        self.do("retry", "--all", "--reason", "expired")
        self.assertEqual(self.dead(), ["c-1", "b-1", "a-1"])
        self.do("retry", "--all", "--destination", "log")
        self.assertEqual(self.dead(), ["c-1", "b-1", "a-1"])

    def test_drop_throws_away_what_is_named_without_asking(self: Any) -> None:
        self.assertEqual(self.do("drop", "a-1"), "1 dead letter dropped.\n")
        self.assertEqual(self.dead(), ["c-1", "b-1"])

    def test_drop_all_asks_first(self: Any) -> None:
        refused = self.run_("drop", "--all", typed="n\n")
        self.assertEqual((refused.exit_code, len(self.dead())), (1, 3))
        self.assertIn("Drop 3 dead letters for good?", refused.stderr)
        self.assertEqual(self.do("drop", "--all", typed="y\n"), "3 dead letters dropped.\n")
        self.assertEqual(self.dead(), [])

    def test_drop_all_does_not_ask_with_yes_or_for_nothing(self: Any) -> None:
        self.assertEqual(self.do("drop", "--all", "--destination", "log"), "0 dead letters dropped.\n")
        self.assertEqual(self.do("drop", "--all", "--yes"), "3 dead letters dropped.\n")

    def test_mistakes_of_the_command_line_end_with_one(self: Any) -> None:
        for words, arguments in (
            ("either ids or --all", ("retry",)),
            ("either ids or --all", ("drop", "a-1", "--all")),
            ("go with --all", ("retry", "a-1", "--cause", "bug")),
            ("boredom", ("list", "--cause", "boredom")),
            ("--limit", ("list", "--limit", "0")),
            ("--nonsense", ("list", "--nonsense")),
            ("Usage", ("show",)),
        ):
            self.assertIn(words, self.fails(*arguments))
        self.assertEqual(len(self.dead()), 3)

    def test_a_journal_that_does_not_work_is_told_in_its_own_words(self: Any) -> None:
        self.journal.close()
        for arguments in (("list",), ("show", "a-1"), ("retry", "a-1"), ("drop", "--all")):
            self.assertIn("is not open", self.fails(*arguments))

    def test_options_are_written_over_the_environment(self: Any) -> None:
        self.do("list", "--listen", "tcp:1", "--state-dir", "/there")
        self.assertEqual(self.variables["TUTUMSTREAM_LISTEN"], "tcp:1")
        self.assertEqual(self.variables["TUTUMSTREAM_STATE_DIR"], "/there")
        self.assertIn("PATH", self.variables)


class ThroughTheService(Commands, SynchronousTestCase):
    when = "taken up again"
    text = "B"

    def way(self) -> DeadLetters:
        office = Office(self.journal, lambda: NOW, self.offered.extend, {"log": upper, "slack": upper}, SCAN)
        client = StubTreq(Pages(lambda: self.fail("no probe"), OperatorsResource(office)).app.resource())

        def ask(method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
            headers = HEADERS if body is not None else {}
            url = f"http://127.0.0.1:8788{path}"
            answer = self.successResultOf(client.request(method, url, headers=headers, data=body))
            return answer.code, self.successResultOf(answer.content())

        return AskedOfService("http://127.0.0.1:8788", ask)

    def test_knows_no_destination_with_a_slip_in_its_name(self) -> None:
        for command in ("list",), ("retry", "--all"), ("drop", "--all", "--yes"):
            said = self.fails(*command, "--destination", "slakc")
            self.assertIn("there is no destination slakc: there are log, slack", said)
        bury(self.journal, "d", destination="fax")
        self.assertEqual(self.listed("--destination", "fax"), ["d-1"])

    def test_says_which_destinations_nobody_serves(self) -> None:
        bury(self.journal, "d", destination="fax")
        self.assertIn("no destination fax", self.run_("retry", "d-1").stderr)


class InAJournal(Commands, SynchronousTestCase):
    when = "to be sent when the service starts"
    text = f"({ONLY_RUNNING})"

    def way(self) -> DeadLetters:
        return DoneInJournal(self.journal, Office(self.journal, lambda: NOW, self.offered.extend, None, SCAN))

    def test_does_not_wait_for_a_disk_that_refuses(self) -> None:
        class Waiting(Office):
            def retry(self, chosen: Chosen) -> Deferred[Any]:
                return Deferred()

        self.letters = DoneInJournal(self.journal, Waiting(self.journal, lambda: NOW, self.offered.extend, None))
        self.assertIn("nothing of this step may be done yet", self.fails("retry", "a-1"))


class AnAnswerThatIsNotOurs(SynchronousTestCase):
    def test_is_told_apart_from_a_letter_that_is_not_there(self) -> None:
        for status, body, words in (
            (404, b"<html>", "it answered 404: is that a tutumstream of this version?"),
            (404, b'{"detail": "Not Found"}', "it answered 404"),
            (200, b"<html>", "its answer is not understood"),
            (200, b"\xff", "its answer is not understood"),
            (503, msgspec.json.encode({"error": "journal: is full"}), "http://there: journal: is full"),
        ):
            letters = AskedOfService("http://there", lambda *_, s=status, b=body: (s, b))  # type: ignore[misc]
            for ask, what in ((letters.show, "a-1"), (letters.page, Listing()), (letters.find, Filter())):
                with self.assertRaises(click.ClickException) as caught:
                    ask(what)  # type: ignore[operator]
                self.assertIn(words, caught.exception.message)


class TheCommand(SynchronousTestCase):
    def test_says_its_version_and_what_it_can_do(self) -> None:
        self.assertEqual(CliRunner().invoke(main, ["--version"]).output, f"tutumstream {__version__}\n")
        told = CliRunner().invoke(main, ["--help"])
        self.assertEqual(told.exit_code, 0)
        self.assertIn("dead-letters", told.output)
        for command in ("list", "show", "retry", "drop"):
            self.assertEqual(CliRunner().invoke(main, ["dead-letters", command, "--help"]).exit_code, 0)

    def test_refuses_what_it_does_not_know(self) -> None:
        for arguments in (["--nonsense"], ["nonsense"], ["dead-letters", "nonsense"]):
            self.assertEqual(CliRunner().invoke(main, arguments).exit_code, 1)
