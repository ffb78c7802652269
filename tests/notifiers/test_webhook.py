import msgspec
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.contracts_notifiers import EVENT, NOW, Credentials, NotifierContract, message, outcome
from tests.destinations import Scripted
from tutumstream.docker_details import DockerDetails
from tutumstream.event import Event
from tutumstream.net.http import HttpClient
from tutumstream.notifiers.webhook import WebhookNotifier, body

TWO_XX = {200: "delivered", 201: "delivered", 202: "delivered", 204: "delivered"}


class UnsignedContractTests(NotifierContract, SynchronousTestCase):
    way = "fast"
    url = "http://sink.example/webhook/tokentokentoken?sig=signature1"
    secrets = ("tokentokentoken", "signature1")
    dialect = TWO_XX  # type: ignore[assignment]  # a dict of literals is one of str

    def create(self, http: HttpClient, url: str) -> WebhookNotifier:
        return WebhookNotifier(http, url, lambda: NOW)

    def test_without_a_secret_nothing_is_signed(self) -> None:
        self.told(self.make(), message())
        self.assertNotIn("webhook-signature", self.server.requests[0].headers)


class SignedTests(Credentials, SynchronousTestCase):
    way = "fast"
    webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    url = "http://someone:passwords@sink.example/webhook"
    secrets = (webhook_secret, webhook_secret[6:], "passwords")

    def create(self, http: HttpClient, url: str) -> WebhookNotifier:
        return WebhookNotifier(http, url, lambda: self.time, secret=self.webhook_secret)

    def setUp(self) -> None:
        super().setUp()
        self.time = NOW

    def test_the_receiver_gets_the_event_signed(self) -> None:
        self.assertEqual(outcome(self.told(self.make(), message())[0]), "delivered")
        received = self.server.requests[0]
        self.assertEqual(received.headers["webhook-id"], message().id)
        self.assertEqual(received.headers["webhook-timestamp"], "1441108800")
        self.assertEqual(received.headers["authorization"], "Basic c29tZW9uZTpwYXNzd29yZHM=")
        self.assertEqual(received.body["type"], "tutum.container.create")
        self.assertEqual(received.body["data"]["id"], EVENT.id)

    def test_a_repeat_has_the_same_id_and_its_own_time(self) -> None:
        notifier = self.make()
        self.server.script(self.path, Scripted(status=500))
        self.told(notifier, message())
        self.time += 90.0
        self.assertEqual(outcome(self.told(notifier, message())[0]), "delivered")
        ids, times = zip(
            *[(one.headers["webhook-id"], one.headers["webhook-timestamp"]) for one in self.server.requests],
            strict=True,
        )
        self.assertEqual(ids, (message().id,) * 2)
        self.assertEqual(times, ("1441108800", "1441108890"))


class PlainSecretTests(SignedTests):
    webhook_secret = "any text at all, grüße"
    secrets = (webhook_secret, "passwords")


class BodyTests(SynchronousTestCase):
    def test_the_body_is_the_event_in_standard_form(self) -> None:
        self.assertEqual(
            msgspec.json.decode(body(EVENT)),
            {
                "type": "tutum.container.create",
                "timestamp": "2015-09-01T11:59:57.500Z",
                "data": {
                    "id": EVENT.id,
                    "received_at": "2015-09-01T11:59:57.500Z",
                    "type": "container",
                    "action": "create",
                    "state": "Starting",
                    "resource_uri": EVENT.resource_uri,
                    "parents": list(EVENT.parents),
                },
            },
        )

    def test_what_the_stream_sent_besides_is_there_too(self) -> None:
        event = Event(id="u", received_at=0.0, type="error", uuid="u", datetime="Tue", message="why")
        found = msgspec.json.decode(body(event))
        self.assertEqual(found["type"], "tutum.error")
        self.assertEqual(found["timestamp"], "1970-01-01T00:00:00.000Z")
        self.assertEqual([found["data"][name] for name in ("uuid", "datetime", "message")], ["u", "Tue", "why"])

    def test_what_docker_knows_is_there_too(self) -> None:
        event = Event(id="e", received_at=1.0, type="container", docker=DockerDetails(event="stop", name="web"))
        data = msgspec.json.decode(body(event))["data"]
        self.assertEqual((data["docker"]["event"], data["docker"]["expected"]), ("stop", True))
        self.assertNotIn("docker", msgspec.json.decode(body(Event(id="e", received_at=1.0, type="container")))["data"])

    def test_a_secret_that_breaks_its_own_promise_is_refused_without_showing_it(self) -> None:
        for secret in ("whsec_not base64!", "whsec_"):
            problem = self.assertRaises(
                ValueError,
                WebhookNotifier,
                None,
                "http://x/",
                lambda: 0.0,
                secret=secret,
            )
            self.assertNotIn("not base64!", str(problem))


class WhatWasMissed(SynchronousTestCase):
    def test_is_marked_and_says_when_it_was_and_nothing_else_is(self) -> None:
        missed = replace(EVENT, synthetic=True, missed_from=1448287200.0, missed_to=1448287242.5)
        data = msgspec.json.decode(body(missed))["data"]
        self.assertIs(data["synthetic"], True)
        self.assertEqual(
            (data["missed_from"], data["missed_to"]), ("2015-11-23T14:00:00.000Z", "2015-11-23T14:00:42.500Z")
        )
        self.assertEqual(
            set(data) - set(msgspec.json.decode(body(EVENT))["data"]), {"synthetic", "missed_from", "missed_to"}
        )
