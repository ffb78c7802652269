"""What every notifier promises, whoever wrote it: mix `NotifierContract` into a test case."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from twisted.internet.error import DNSLookupError, TCPTimedOutError
from twisted.logger import eventAsText, globalLogPublisher
from zope.interface.verify import verifyObject

from tests.destinations import Destinations, Scripted
from tests.net.wire import Network
from tutumstream.event import Event
from tutumstream.net.http import HttpClient
from tutumstream.notifiers.interface import (
    ANSWER_LIMIT,
    Delivered,
    Hold,
    INotifier,
    Message,
    Rejected,
    TryAgain,
    Verdict,
)
from tutumstream.rendering import RESOURCE_NAMES
from tutumstream.routing.delivery import Incident

NOW = 1441108800.0
"""2015-09-01 12:00:00 UTC."""

URI = "/api/v1/container/fa159860-9048-4d1e-8655-6285fa9e3fa2/"
EVENT = Event(
    id="01JABCDEFGHJKMNPQRSTVWXYZ0",
    received_at=NOW - 2.5,
    type="container",
    action="create",
    state="Starting",
    resource_uri=URI,
    parents=("/api/v1/service/d0b1eb62-7662-4a81-8a10-d5a74b07811e/",),
)

Outcome = Literal["delivered", "again", "limited", "hold", "rejected"]

USUAL: Mapping[int, Outcome] = {
    200: "again",
    201: "again",
    202: "again",
    204: "again",
    301: "hold",
    302: "hold",
    304: "hold",
    307: "hold",
    308: "hold",
    400: "rejected",
    401: "hold",
    402: "hold",
    403: "hold",
    404: "hold",
    405: "hold",
    406: "hold",
    407: "hold",
    408: "again",
    409: "rejected",
    410: "hold",
    411: "rejected",
    413: "rejected",
    414: "rejected",
    415: "hold",
    418: "rejected",
    421: "hold",
    422: "rejected",
    425: "again",
    429: "limited",
    431: "rejected",
    451: "rejected",
    500: "again",
    501: "hold",
    502: "again",
    503: "again",
    504: "again",
    507: "again",
    599: "again",
}
"""Outcome by status where a destination has no dialect of its own; 2xx with a body that proves nothing."""


def message(text: str = "Your container was created on Tutum!", **fields: Any) -> Message:
    """A message with the fields that matter to a test."""
    given: dict[str, Any] = {"id": "01JABCDEFGHJKMNPQRSTVWXYZ0-0", "event": EVENT, "text": text, "route": "containers"}
    return Message(**{**given, **fields})


def outcome(verdict: Verdict) -> Outcome:
    """The verdict's class in a word."""
    if isinstance(verdict, TryAgain):
        return "limited" if verdict.limited else "again"
    names: dict[type, Outcome] = {Delivered: "delivered", Hold: "hold", Rejected: "rejected"}
    return names[type(verdict)]


class Basics:
    """For notifiers that speak no HTTP too. Expects `make()`."""

    def make(self: Any) -> INotifier:
        raise AssertionError("a test case says how to make its notifier")

    def told(self: Any, notifier: Any, *messages: Message) -> list[Verdict]:
        """The verdicts on these messages."""
        return self.successResultOf(notifier.notify(messages))

    def test_it_is_a_notifier(self: Any) -> None:
        notifier = self.make()
        self.assertTrue(verifyObject(INotifier, notifier))
        self.assertGreaterEqual(notifier.batch, 1)
        self.assertGreaterEqual(notifier.linger, 0.0)
        self.assertLessEqual(notifier.needs, set(RESOURCE_NAMES))

    def test_no_message_gets_no_verdict(self: Any) -> None:
        self.assertEqual(self.told(self.make()), [])

    def test_every_kind_of_text_and_incident_is_taken(self: Any) -> None:
        notifier = self.make()
        for text in ("", "  \n", "x" * 1_000_000, "&" * 50_000, "\x00\x1b[2J\r\n", "\ud800 lone", "grüße 🎉" * 9000):
            for incident in (None, Incident("trigger", "k"), Incident("acknowledge", "k"), Incident("resolve", "k")):
                verdicts = self.told(notifier, message(text, incident=incident))
                self.assertEqual([outcome(one) for one in verdicts], ["delivered"], (text[:9], incident))

    def test_every_kind_of_event_is_taken(self: Any) -> None:
        notifier = self.make()
        for event in (
            Event(id="e", received_at=0.0, type="stream", action="open"),
            Event(id="e", received_at=NOW, type="user-notification", message="x" * 700_000),
            Event(
                id="e", received_at=NOW, type="stack", action="ü\n", resource_uri="/" * 700_000, parents=("",) * 9000
            ),
        ):
            self.assertEqual([outcome(one) for one in self.told(notifier, message(event=event))], ["delivered"])

    def test_what_it_escapes_stays_text_and_plain_text_stays_as_it_is(self: Any) -> None:
        self.assertEqual(self.make().escape("plain text, 1 / 2"), "plain text, 1 / 2")


class Credentials:
    """For each way to give a notifier what lets it in. A test case says: `url`, `secrets` and `create(http, url)`.

    `patience` is how many seconds one of its requests may take, `way` how it speaks HTTP in the service: see `Network`.
    """

    url: ClassVar[str]
    secrets: ClassVar[tuple[str, ...]]
    webhook_secret: ClassVar[str] = ""
    patience: ClassVar[float] = 10.0
    way: ClassVar[str] = "treq"

    def setUp(self: Any) -> None:
        self.network = Network()
        self.server = Destinations(self.network.clock, lambda: NOW, self.webhook_secret)
        self.network.host("sink.example:80", self.server.site())
        self.path = "/" + "".join(self.url.partition("?")[0].split("/", 3)[3:])
        self.logged: list[str] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)

    def _observe(self: Any, event: Any) -> None:
        self.logged.append(eventAsText(event) + repr(event))

    def create(self, http: HttpClient, url: str) -> INotifier:
        raise AssertionError("a test case says how to make its notifier")

    def make(self: Any) -> INotifier:
        notifier: INotifier = self.create(self.network.client(way=self.way), self.url)
        return notifier

    def told(self: Any, notifier: Any, *messages: Message, seconds: float = 0.0) -> list[Verdict]:
        pending = notifier.notify(messages)
        self.network.settle()
        if seconds:
            self.network.settle(seconds)
        verdicts: list[Verdict] = self.successResultOf(pending)
        self.assertEqual(len(verdicts), len(messages))
        for verdict in verdicts:
            self.assert_discreet(repr(verdict))
            self.assertLessEqual(len(getattr(verdict, "answer", "")), ANSWER_LIMIT)
        return verdicts

    def assert_discreet(self: Any, shown: str) -> None:
        for secret in self.secrets:
            self.assertNotIn(secret, shown)

    def after(self: Any, answer: Scripted, seconds: float = 0.0) -> Verdict:
        """The verdict when the destination answers like that."""
        self.server.forget()
        self.server.script(self.path, answer)
        verdict: Verdict = self.told(self.make(), message(), seconds=seconds)[0]
        return verdict

    def test_it_keeps_the_destinations_contract(self: Any) -> None:
        self.assertEqual(outcome(self.told(self.make(), message())[0]), "delivered")
        self.assertEqual([problem for one in self.server.requests for problem in one.problems], [])

    def test_no_secret_is_ever_shown(self: Any) -> None:
        echo = " ".join([self.url, *self.secrets])
        notifier = self.make()
        self.assert_discreet(f"{notifier} {notifier!r}")
        for status in (200, 302, 400, 403, 404, 429, 500):
            self.after(Scripted(status=status, body=echo, headers={"Location": self.url, "Retry-After": echo}))
            self.after(Scripted(status=status, body=json.dumps({"ok": False, "error": echo})))
        self.network.host("sink.example:80", ValueError(self.url))
        self.told(self.make(), message())
        for line in self.logged:
            self.assert_discreet(line)


class NotifierContract(Credentials, Basics):
    """For notifiers that speak HTTP: a test case says how its `dialect` differs from what is usual."""

    dialect: ClassVar[Mapping[int, Outcome]] = {}

    def test_every_status_has_its_verdict(self: Any) -> None:
        for status, usual in USUAL.items():
            expected = self.dialect.get(status, usual)
            verdict = self.after(Scripted(status=status, body="" if status in (204, 304) else "<html>whatever"))
            self.assertEqual(outcome(verdict), expected, status)
            if expected in ("hold", "rejected") and status not in (204, 304):
                self.assertEqual(verdict.answer, "<html>whatever")
            if expected != "delivered":
                self.assertIn(str(status), verdict.reason)

    def test_redirects_are_not_followed(self: Any) -> None:
        self.after(Scripted(status=307, headers={"Location": "http://elsewhere.example/"}))
        self.assertEqual(set(self.network.dialled), {"sink.example:80"})

    def test_what_it_asks_us_to_wait_is_handed_on_in_full(self: Any) -> None:
        for status in (429, 503):
            for header, seconds in (("2", 2.0), ("86400", 86400.0), ("Tue, 01 Sep 2015 12:01:00 GMT", 60.0)):
                verdict = self.after(Scripted(status=status, headers={"Retry-After": header}))
                self.assertEqual((outcome(verdict), verdict.after), ("limited", seconds))

    def test_a_wait_that_nobody_understands_leaves_it_to_us(self: Any) -> None:
        self.assertIsNone(self.after(Scripted(status=429, headers={"Retry-After": "soon"})).after)

    def test_a_connection_that_breaks_means_try_again(self: Any) -> None:
        # Twice: one that was kept may have been closed before.
        for answer in (Scripted(cut="before", times=2), Scripted(status=200, cut="during")):
            self.assertEqual(outcome(self.after(answer)), "again")

    def test_silence_means_try_again_when_its_patience_ends(self: Any) -> None:
        for answer in (Scripted(hang="before"), Scripted(status=200, hang="during"), Scripted(delay=2 * self.patience)):
            verdict = self.after(answer, seconds=self.patience + 0.1)
            self.assertEqual(outcome(verdict), "again")
            self.assertIn(f"within {self.patience:g} s", verdict.reason)
            self.network.settle()
            self.assertEqual(self.network.open_connections(), 0)

    def test_an_endless_answer_is_cut_and_judged_by_its_status(self: Any) -> None:
        verdict = self.after(Scripted(status=400, body="x" * 1_000_000))
        self.assertEqual((outcome(verdict), len(verdict.answer)), ("rejected", ANSWER_LIMIT))

    def test_a_destination_that_cannot_be_reached_means_try_again(self: Any) -> None:
        for problem in (DNSLookupError("sink.example"), TCPTimedOutError(), ValueError("bad name"), OSError(1, "x")):
            self.network.host("sink.example:80", problem)
            verdict = self.told(self.make(), message())[0]
            self.assertEqual(outcome(verdict), "again")
            self.assertIn("http://sink.example", verdict.reason)

    def test_verdicts_come_one_a_message_in_their_order(self: Any) -> None:
        self.server.script(self.path, Scripted(status=500), Scripted(), Scripted(status=400))
        verdicts = self.told(self.make(), message("one"), message("two"), message("three"))
        self.assertEqual([outcome(one) for one in verdicts], ["again", "delivered", "rejected"])
