from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_notifiers import EVENT, NOW, URI, NotifierContract, message, outcome
from tests.destinations import Scripted
from tutumstream.event import Event
from tutumstream.net.http import Answer, HttpClient
from tutumstream.notifiers.interface import Delivered, Message
from tutumstream.notifiers.pagerduty import V1_URL, V2_URL, PagerDutyNotifier
from tutumstream.notifiers.pagerduty_events import (
    BODY_LIMIT,
    DEFAULT_DESCRIPTION,
    Origin,
    judge_v1,
    judge_v2,
    short_key,
    v1_body,
    v2_body,
)
from tutumstream.routing.delivery import Incident

KEY = "0123456789abcdef0123456789abcdef"
ORIGIN = Origin(client="Tutum", client_url="https://dashboard.example/")

DETAILS = {
    "id": EVENT.id,
    "received_at": "2015-09-01T11:59:57.500Z",
    "type": "container",
    "action": "create",
    "state": "Starting",
    "resource_uri": URI,
    "parents": list(EVENT.parents),
}


class V1ContractTests(NotifierContract, SynchronousTestCase):
    url = "http://sink.example/generic/2010-04-15/create_event.json"
    secrets = (KEY,)
    dialect = {403: "limited"}  # noqa: RUF012  # ClassVar in the contract

    def create(self, http: HttpClient, url: str) -> PagerDutyNotifier:
        return PagerDutyNotifier(http, KEY, lambda: NOW, url=url, origin=ORIGIN)

    def test_pagerdutys_name_for_the_incident_is_kept(self) -> None:
        verdict = self.told(self.make(), message(incident=Incident("trigger", "tutum-stream")))
        self.assertEqual(verdict, [Delivered("tutum-stream")])

    def test_a_key_that_is_not_taken_holds_the_destination(self) -> None:
        said = '{"status":"invalid event","message":"Event object is invalid","errors":["Service key is invalid"]}'
        self.assertEqual(outcome(self.after(Scripted(status=400, body=said))), "hold")

    def test_slow_down_comes_as_403_with_its_wait(self) -> None:
        verdict = self.after(Scripted(status=403, headers={"Retry-After": "7"}))
        self.assertEqual((outcome(verdict), verdict.after), ("limited", 7.0))


class V2ContractTests(NotifierContract, SynchronousTestCase):
    url = "http://sink.example/v2/enqueue"
    secrets = (KEY,)

    def create(self, http: HttpClient, url: str) -> PagerDutyNotifier:
        return PagerDutyNotifier(http, KEY, lambda: NOW, api="v2", url=url, origin=ORIGIN)

    def test_pagerdutys_name_for_the_incident_is_kept(self) -> None:
        verdict = self.told(self.make(), message(incident=Incident("resolve", "tutum-stream")))
        self.assertEqual(verdict, [Delivered("tutum-stream")])

    def test_a_key_that_is_not_taken_holds_the_destination(self) -> None:
        said = '{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}'
        self.assertEqual(outcome(self.after(Scripted(status=400, body=said))), "hold")


class AddressTests(SynchronousTestCase):
    def test_without_a_url_it_is_pagerdutys_own(self) -> None:
        for api, url in (("v1", V1_URL), ("v2", V2_URL)):
            asked: list[str] = []

            class Http:
                def exchange(self, _method: str, url: str, *_: Any, asked: list[str] = asked, **__: Any) -> None:
                    asked.append(url)
                    raise KeyError

            notifier = PagerDutyNotifier(Http(), KEY, lambda: NOW, api=api)  # type: ignore[arg-type]
            self.failureResultOf(notifier.notify([message()]), KeyError)
            self.assertEqual(asked, [url])
            self.assertEqual(repr(notifier), f"<PagerDuty {api} at https://events.pagerduty.com>")


class BodyTests(SynchronousTestCase):
    def v1(self, given: Message, origin: Origin = ORIGIN) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(v1_body(given, KEY, origin))
        return found

    def v2(self, given: Message, origin: Origin = ORIGIN) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(v2_body(given, KEY, origin))
        return found

    def test_a_trigger_in_v1(self) -> None:
        self.assertEqual(
            self.v1(message("stack x was deleted on Tutum.", incident=Incident("trigger", URI))),
            {
                "service_key": KEY,
                "event_type": "trigger",
                "incident_key": URI,
                "description": "stack x was deleted on Tutum.",
                "client": "Tutum",
                "client_url": "https://dashboard.example/",
                "details": DETAILS,
            },
        )

    def test_a_trigger_in_v2(self) -> None:
        self.assertEqual(
            self.v2(message("stack x was deleted on Tutum.", incident=Incident("trigger", URI))),
            {
                "routing_key": KEY,
                "event_action": "trigger",
                "dedup_key": URI,
                "client": "Tutum",
                "client_url": "https://dashboard.example/",
                "payload": {
                    "summary": "stack x was deleted on Tutum.",
                    "source": URI,
                    "severity": "critical",
                    "timestamp": "2015-09-01T11:59:57.500Z",
                    "custom_details": DETAILS,
                },
            },
        )

    def test_all_actions_keep_their_names_and_only_a_trigger_names_the_client(self) -> None:
        for action in ("acknowledge", "resolve"):
            given = message(incident=Incident(action, "k"))
            self.assertEqual((self.v1(given)["event_type"], self.v2(given)["event_action"]), (action, action))
            for found in (self.v1(given), self.v2(given)):
                self.assertFalse(found.keys() & {"client", "client_url"})

    def test_a_message_without_incident_opens_one_of_its_own(self) -> None:
        given = message()
        self.assertEqual((self.v1(given)["event_type"], self.v1(given)["incident_key"]), ("trigger", given.id))
        self.assertEqual((self.v2(given)["event_action"], self.v2(given)["dedup_key"]), ("trigger", given.id))

    def test_nothing_to_say_becomes_the_tutorials_default(self) -> None:
        self.assertEqual(DEFAULT_DESCRIPTION, "Tutum Stream Issue")
        self.assertEqual(self.v1(message(" "))["description"], DEFAULT_DESCRIPTION)
        self.assertEqual(self.v2(message(""))["payload"]["summary"], DEFAULT_DESCRIPTION)

    def test_the_client_may_be_left_out(self) -> None:
        self.assertFalse(self.v1(message(), Origin()).keys() & {"client", "client_url"})
        self.assertEqual(self.v1(message(), Origin(client="x")).get("client"), "x")

    def test_severity_is_what_was_set(self) -> None:
        self.assertEqual(self.v2(message(), Origin(severity="warning"))["payload"]["severity"], "warning")

    def test_an_event_of_our_own_connection_has_a_source_too(self) -> None:
        event = Event(id="e", received_at=NOW, type="stream", action="close", message="1006 the connection was cut")
        found = self.v2(message(event=event))["payload"]
        self.assertEqual(found["source"], "tutum-stream")
        self.assertEqual(found["custom_details"]["message"], "1006 the connection was cut")

    def test_a_long_description_is_cut_to_1024_characters(self) -> None:
        given = message("ü" * 5000)
        for text in (self.v1(given)["description"], self.v2(given)["payload"]["summary"]):
            self.assertEqual(text, "ü" * 1023 + "…")

    def test_details_that_are_too_long_are_left_out(self) -> None:
        event = Event(id="e", received_at=NOW, type="stack", resource_uri="/" * 600_000)
        given = message(event=event)
        self.assertNotIn("details", self.v1(given))
        found = self.v2(given)["payload"]
        self.assertNotIn("custom_details", found)
        self.assertEqual(len(found["source"]), 255)
        self.assertLess(len(v2_body(given, KEY, ORIGIN)), BODY_LIMIT)

    def test_a_long_key_is_hashed_and_always_to_the_same(self) -> None:
        self.assertEqual(short_key("k" * 255), "k" * 255)
        self.assertEqual(len(short_key("k" * 256)), 255)
        self.assertEqual(short_key("k" * 256), short_key("k" * 256))
        self.assertNotEqual(short_key("k" * 256), short_key("k" * 257))
        self.assertEqual(self.v2(message(incident=Incident("resolve", "k" * 999)))["dedup_key"], short_key("k" * 999))


class JudgeTests(SynchronousTestCase):
    def test_only_errors_about_the_key_hold_the_destination(self) -> None:
        for judge in (judge_v1, judge_v2):
            for said, expected in (
                (b'{"errors":["Service key is the wrong length (should be 32 characters)"]}', "hold"),
                (b'{"errors":["\'routing_key\' is missing or blank"]}', "hold"),
                (b'{"errors":["\'payload.summary\' is missing or blank"]}', "rejected"),
                (b'{"errors":"routing key"}', "rejected"),
                (b"not JSON", "rejected"),
            ):
                self.assertEqual(outcome(judge(Answer(400, {}, said), NOW)), expected, said)

    def test_a_success_is_what_says_so(self) -> None:
        for judge, status, name in ((judge_v1, 200, "incident_key"), (judge_v2, 202, "dedup_key"), (judge_v2, 200, "")):
            said = {"status": "success", "message": "Event processed", name: "k"}
            expected = Delivered("k" if name else "")
            self.assertEqual(judge(Answer(status, {}, msgspec.json.encode(said)), NOW), expected)
            for other in (b"<html>Please log in</html>", b"", b"ok", b"null", b"[]", b'{"status":"ok"}'):
                verdict = judge(Answer(status, {}, other), NOW)
                self.assertEqual(outcome(verdict), "again", other)
                self.assertIn(f"it answered {status}, but not as a success looks", str(verdict))

    def test_a_success_may_be_the_status_of_a_refusal(self) -> None:
        for judge in (judge_v1, judge_v2):
            for errors, expected in ((["Service key is invalid"], "hold"), (["description is missing"], "rejected")):
                said = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
                verdict = judge(Answer(200, {}, msgspec.json.encode(said)), NOW)
                self.assertEqual(outcome(verdict), expected)
