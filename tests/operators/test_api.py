from typing import Any

import msgspec
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.operators.dead import NOW, a_journal, bury
from tests.operators.test_office import upper
from tutumstream.journal.interface import Pending
from tutumstream.operators.api import OperatorsResource
from tutumstream.operators.letters import PAGE, Listing, Page
from tutumstream.operators.office import Office
from tutumstream.status.pages import Pages

HOST = "http://127.0.0.1:8788"
MARKED = {"X-Tutumstream": "1", "Content-Type": "application/json"}


class TheApi(SynchronousTestCase):
    def setUp(self) -> None:
        self.journal = a_journal("a", "b", "c")
        self.offered: list[Pending] = []
        self.serve(Office(self.journal, lambda: NOW, self.offered.extend, {"slack": upper}))

    def serve(self, office: Office) -> None:
        pages = Pages(lambda: self.fail("no probe was asked"), OperatorsResource(office))
        self.client = StubTreq(pages.app.resource())

    def ask(self, method: str, path: str, host: str = HOST, **more: Any) -> tuple[int, Any]:
        url = f"{host}/api/v1/dead-letters/{path}"
        answer = self.successResultOf(self.client.request(method, url, **more))
        self.assertEqual(answer.headers.getRawHeaders("content-type"), ["application/json"])
        self.assertEqual(answer.headers.getRawHeaders("cache-control"), ["no-store"])
        return answer.code, msgspec.json.decode(self.successResultOf(answer.content()))

    def post(self, path: str, body: object, **more: Any) -> tuple[int, Any]:
        return self.ask("POST", path, headers=MARKED, data=msgspec.json.encode(body), **more)

    def dead(self) -> list[str]:
        return [each.pending.id for each in self.successResultOf(self.journal.dead_letters(9))]

    def test_lists(self) -> None:
        bury(self.journal, "d", destination="webhook", cause="expired")
        status, body = self.ask("GET", "?limit=2")
        self.assertEqual((status, [each["id"] for each in body["letters"]], body["next"]), (200, ["d-1", "c-1"], 3))
        status, body = self.ask("GET", "?destination=webhook&cause=expired&before=")
        self.assertEqual((status, [each["id"] for each in body["letters"]], body["next"]), (200, ["d-1"], None))
        self.assertEqual(msgspec.convert(body, Page).letters[0].event.type, "container")

    def test_finds(self) -> None:
        self.assertEqual(
            self.ask("GET", "find/?cause=rejected&before=3"),
            (200, {"seqs": [2, 1], "next": None, "destinations": ["slack"]}),
        )

    def test_shows_with_or_without_the_last_slash(self) -> None:
        for path in ("b-1/", "b-1", "b-1//"):
            status, body = self.ask("GET", path)
            self.assertEqual((status, body["letter"]["id"], body["text"]), (200, "b-1", "B"))

    def test_says_what_it_does_not_have(self) -> None:
        self.assertEqual(self.ask("GET", "x-1/"), (404, {"error": "there is no dead letter x-1"}))
        self.assertEqual(self.ask("GET", "x-1/more/"), (404, {"error": "there is nothing here"}))

    def test_retries(self) -> None:
        done = {"done": 1, "unknown": ["x-1"], "absent": [], "opening": []}
        self.assertEqual(self.post("retry/", {"ids": ["a-1", "x-1"]}), (200, done))
        self.assertEqual([row.id for row in self.offered], ["a-1"])

    def test_drops(self) -> None:
        done = {"done": 2, "unknown": [], "absent": [], "opening": []}
        self.assertEqual(self.post("drop/", {"seqs": [1, 2]}), (200, done))
        self.assertEqual(self.dead(), ["c-1"])

    def test_says_what_is_wrong_with_a_request(self) -> None:
        for method, path, body, words in (
            ("GET", f"?limit={PAGE + 1}", None, "$.limit"),
            ("GET", "?limit=many", None, "$.limit"),
            ("GET", "?sort=id", None, "sort"),
            ("GET", "find/?cause=boredom", None, "$.cause"),
            ("POST", "drop/", b"{}", "either ids or seqs"),
            ("POST", "drop/", b"{", "truncated"),
            ("POST", "drop/", b"\xff", "malformed"),
        ):
            status, answer = self.ask(method, path, headers=MARKED, data=body)
            self.assertEqual(status, 400, path)
            self.assertIn(words, answer["error"])
        self.assertEqual(len(self.dead()), 3)

    def test_refuses_what_a_browser_was_made_to_ask(self) -> None:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        foreign = {**MARKED, "Origin": "http://evil.example"}
        for status, more in (
            (403, {"headers": form, "data": b"ids=a-1"}),
            (415, {"headers": {**form, "X-Tutumstream": "1"}, "data": b"ids=a-1"}),
            (403, {"headers": foreign, "data": b'{"ids": ["a-1"]}'}),
            (403, {"headers": MARKED, "data": b'{"ids": ["a-1"]}', "host": "http://evil.example:8788"}),
        ):
            self.assertEqual(self.ask("POST", "drop/", **more)[0], status, more)
        self.assertEqual(self.ask("GET", "", host="http://evil.example:8788")[0], 403)
        self.assertEqual(len(self.dead()), 3)

    def test_changes_nothing_by_looking(self) -> None:
        self.assertEqual(self.ask("GET", "drop/?ids=a-1"), (404, {"error": "there is no dead letter drop"}))
        self.assertEqual(self.post("a-1/", {}), (405, {"error": "this path does not take that method"}))
        self.assertEqual(len(self.dead()), 3)

    def test_says_when_the_journal_does_not_work(self) -> None:
        self.journal.close()
        status, body = self.ask("GET", "")
        self.assertEqual((status, body), (503, {"error": "journal in memory: is not open"}))

    def test_a_bug_is_logged_and_not_shown(self) -> None:
        class Broken(Office):
            def page(self, listing: Listing) -> Deferred[Page]:
                raise ZeroDivisionError("a secret")

        self.serve(Broken(self.journal, lambda: NOW, self.offered.extend, None))
        self.assertEqual(self.ask("GET", ""), (500, {"error": "the service failed; its log says why"}))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
