from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, DNSLookupError
from twisted.internet.task import Clock
from twisted.logger import LogLevel, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.destinations import Destinations, Scripted
from tests.net.wire import Network
from tutumstream.net.http import HttpClient
from tutumstream.resources.client import AT_ONCE, SPARED_FOR, LookUps, Resources, is_resource_uri

URI = "/api/v1/stack/f24bca18-e1dd-40aa-9b3c-064c0c26683e/"
KEY = "Basic c2VjcmV0OmtleQ=="
STACK = Scripted(status=200, body='{"name": "web", "state": "Running"}', times=-1)


class ResourcesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.network = Network()
        self.api = Destinations(self.network.clock, self.network.clock.seconds)
        self.network.host("api.example:80", self.api.site())
        self.resources = Resources(self.network.client(), "http://api.example/api/v1/", KEY, self.network.clock)
        self.logged: list[Any] = []
        globalLogPublisher.addObserver(self.logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged.append)

    def fetch(self, uri: str = URI) -> Deferred[Mapping[str, Any] | None]:
        fetched = self.resources.fetch(uri)
        self.network.settle()
        return fetched

    def lines(self) -> list[tuple[LogLevel, str]]:
        ours = [one for one in self.logged if one["log_namespace"].startswith("tutumstream.")]
        return [
            (one["log_level"], eventAsText(one, includeTimestamp=False, includeSystem=False))
            for one in ours
            if one["log_level"] != LogLevel.debug
        ]

    def test_a_resource_is_fetched_with_the_same_credentials(self) -> None:
        self.api.script(URI, STACK)
        self.assertEqual(self.successResultOf(self.fetch()), {"name": "web", "state": "Running"})
        received = self.api.requests[0]
        self.assertEqual((received.method, received.path), ("GET", URI))
        self.assertEqual(received.headers["authorization"], KEY)
        self.assertEqual(received.headers["accept"], "application/json")

    def test_without_credentials_none_are_sent(self) -> None:
        self.resources = Resources(self.network.client(), "http://api.example", None, self.network.clock)
        self.api.script(URI, STACK)
        self.successResultOf(self.fetch())
        self.assertNotIn("authorization", self.api.requests[0].headers)

    def test_an_answer_is_used_again_for_five_seconds(self) -> None:
        self.api.script(URI, STACK)
        for seconds, requests in ((0.0, 1), (4.9, 1), (0.2, 2)):
            self.network.settle(seconds)
            self.successResultOf(self.fetch())
            self.assertEqual(len(self.api.requests), requests)

    def test_a_404_is_final_for_as_long(self) -> None:
        self.api.script(URI, Scripted(status=404, times=-1))
        for seconds, requests in ((0.0, 1), (4.9, 1), (0.2, 2)):
            self.network.settle(seconds)
            self.assertIsNone(self.successResultOf(self.fetch()))
            self.assertEqual(len(self.api.requests), requests)
        self.assertEqual(self.lines(), [])

    def test_a_failure_is_tried_again_after_a_second(self) -> None:
        self.api.script(URI, Scripted(status=500), STACK)
        self.assertIsNone(self.successResultOf(self.fetch()))
        self.network.settle(0.9)
        self.assertIsNone(self.successResultOf(self.fetch()))
        self.assertEqual(len(self.api.requests), 1)
        self.network.settle(0.2)
        self.assertEqual(self.successResultOf(self.fetch()), {"name": "web", "state": "Running"})

    def test_identical_look_ups_share_one_request(self) -> None:
        self.api.script(URI, Scripted(status=200, body="{}", delay=1.0))
        fetched = [self.fetch() for _ in range(5)]
        self.network.settle(1.0)
        self.assertEqual([self.successResultOf(one) for one in fetched], [{}] * 5)
        self.assertEqual(len(self.api.requests), 1)

    def test_whoever_gives_up_leaves_the_others_their_answer(self) -> None:
        self.api.script(URI, Scripted(status=200, body="{}", delay=1.0))
        first, second = self.fetch(), self.fetch()
        first.addErrback(lambda _: None)
        first.cancel()
        self.network.settle(1.0)
        self.assertEqual(self.successResultOf(second), {})

    def test_no_more_than_ten_are_under_way_at_once(self) -> None:
        uris = [f"/api/v1/service/{number}/" for number in range(AT_ONCE + 5)]
        for uri in uris:
            self.api.script(uri, Scripted(status=200, body="{}", delay=1.0))
        fetched = [self.fetch(uri) for uri in uris]
        self.assertEqual(len(self.api.requests), AT_ONCE)
        self.network.settle(1.0)
        self.network.settle(1.0)
        self.assertEqual([self.successResultOf(one) for one in fetched], [{}] * len(uris))

    def test_five_seconds_are_all_that_a_look_up_takes_its_wait_for_a_place_included(self) -> None:
        uris = [f"/api/v1/service/{number}/" for number in range(AT_ONCE + 1)]
        for uri in uris:
            self.api.script(uri, Scripted(hang="before"))
        fetched = [self.fetch(uri) for uri in uris]
        self.network.settle(4.9)
        for one in fetched:
            self.assertNoResult(one)
        self.network.settle(0.2)
        self.assertEqual([self.successResultOf(one) for one in fetched], [None] * len(uris))
        self.network.settle()
        self.assertEqual(self.network.open_connections(), 0)
        self.network.settle(SPARED_FOR)
        self.api.script(URI, STACK)
        self.assertIsNotNone(self.successResultOf(self.fetch()), "the places are free again")

    def test_an_api_that_hangs_costs_one_message_its_patience_and_not_all_of_them(self) -> None:
        self.api.script(URI, Scripted(hang="before"))
        self.fetch()
        self.network.settle(5.0)
        for number in range(20):
            self.assertIsNone(self.successResultOf(self.fetch(f"/api/v1/stack/{number}/")))
        self.assertEqual(len(self.api.requests), 1)
        self.api.script(URI, STACK)
        self.network.settle(SPARED_FOR)
        self.assertIsNotNone(self.successResultOf(self.fetch()))

    def test_what_waits_for_a_place_is_told_at_once_when_the_api_turns_out_to_be_out_of_reach(self) -> None:
        dials = self.network.hang("api.example:80")
        fetched = [self.fetch(f"/api/v1/service/{number}/") for number in range(30)]
        self.network.host("api.example:80", ConnectionRefusedError())
        dials[0].fail(ConnectionRefusedError())
        self.assertEqual([self.successResultOf(one) for one in fetched[AT_ONCE:]], [None] * (30 - AT_ONCE))
        self.assertEqual(len(self.network.dialled), AT_ONCE)
        self.assertEqual(self.resources.lookups, LookUps(failed=1, spared=30 - AT_ONCE))

    def test_what_waits_for_a_place_is_not_asked_for_any_more_once_the_api_hangs(self) -> None:
        uris = [f"/api/v1/service/{number}/" for number in range(30)]
        for uri in uris:
            self.api.script(uri, Scripted(hang="before"))
        fetched = [self.fetch(uri) for uri in uris[:AT_ONCE]]
        self.network.settle(1.0)
        fetched += [self.fetch(uri) for uri in uris[AT_ONCE:]]
        self.network.settle(4.0)
        self.assertEqual([self.successResultOf(one) for one in fetched], [None] * len(uris))
        self.assertEqual(len(self.api.requests), AT_ONCE)

    def test_an_object_that_changed_is_asked_for_anew(self) -> None:
        self.api.script(URI, STACK)
        self.successResultOf(self.fetch())
        self.resources.forget(URI)
        self.successResultOf(self.fetch())
        self.assertEqual(len(self.api.requests), 2)

    def test_an_object_that_changes_while_it_is_asked_for_is_asked_for_anew(self) -> None:
        self.api.script(URI, Scripted(status=200, body='{"state": "Starting"}', delay=1.0), STACK)
        before = self.fetch()
        self.resources.forget(URI)
        after = self.fetch()
        self.assertEqual(self.successResultOf(after), {"name": "web", "state": "Running"})
        self.network.settle(1.0)
        self.network.settle()
        self.assertEqual(self.successResultOf(before), {"state": "Starting"})
        self.assertEqual(self.successResultOf(self.fetch()), {"name": "web", "state": "Running"})

    def test_what_is_no_json_object_is_a_failure(self) -> None:
        bodies = ("", "[]", "null", '"x"', "{", "[" * 200_000, '{"a": "' + "x" * 1_100_000 + '"}')
        for number, body in enumerate(bodies):
            uri = f"/api/v1/stack/{number}/"
            self.api.script(uri, Scripted(status=200, body=body))
            self.assertIsNone(self.successResultOf(self.fetch(uri)))
        self.assertEqual(self.resources.lookups, LookUps(failed=len(bodies)))

    def test_a_body_of_a_mebibyte_is_still_read(self) -> None:
        self.api.script(URI, Scripted(status=200, body='{"a": "' + "x" * 1_000_000 + '"}'))
        self.assertIsNotNone(self.successResultOf(self.fetch()))

    def test_a_redirect_is_a_failure_and_the_key_stays_here(self) -> None:
        self.api.script(URI, Scripted(status=302, headers={"Location": "http://thief.example/"}))
        self.assertIsNone(self.successResultOf(self.fetch()))
        self.assertEqual(set(self.network.dialled), {"api.example:80"})

    def test_a_uri_that_is_no_resources_is_never_asked_for(self) -> None:
        bad = ("", "http://thief.example/api/v1/stack/x/", "//thief.example/api/v1/stack/x/", "/api/v1/../../x/")
        for uri in bad:
            self.assertIsNone(self.successResultOf(self.fetch(uri)))
        self.assertEqual((self.network.dialled, self.resources.lookups), ([], LookUps(refused=len(bad))))

    def test_trouble_is_told_once_and_so_is_its_end(self) -> None:
        self.network.host("api.example:80", DNSLookupError("api.example"))
        for number in range(3):
            self.assertIsNone(self.successResultOf(self.fetch(f"/api/v1/stack/{number}/")))
        self.assertEqual([level for level, _ in self.lines()], [LogLevel.warn])
        self.assertIn("http://api.example fail (its name could not be looked up)", self.lines()[0][1])
        self.network.host("api.example:80", self.api.site())
        self.api.script(URI, STACK)
        self.network.settle(SPARED_FOR)
        self.successResultOf(self.fetch())
        self.assertEqual(self.lines()[1:], [(LogLevel.info, "look-ups at http://api.example work again")])
        self.assertNotIn(KEY, repr(self.logged))

    def test_every_look_up_is_counted(self) -> None:
        self.api.script(URI, STACK)
        self.api.script("/api/v1/stack/gone/", Scripted(status=404))
        self.api.script("/api/v1/stack/broken/", Scripted(status=401))
        for uri in (URI, URI, "/api/v1/stack/gone/", "/api/v1/stack/broken/", "/etc/passwd"):
            self.fetch(uri)
        self.assertEqual(self.resources.lookups, LookUps(found=1, missing=1, failed=1, spared=1, refused=1))

    def test_a_bug_ends_the_look_up_and_is_logged_as_one(self) -> None:
        self.network.host("api.example:80", KeyError("a bug"))
        self.assertIsNone(self.successResultOf(self.fetch()))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_neither_key_nor_path_is_shown(self) -> None:
        resources = Resources(HttpClient(None, None), "http://me:hidden@api.example/x/", KEY, Clock())  # type: ignore[arg-type]  # not used
        self.assertEqual(repr(resources), "<resources of http://api.example>")

    def test_a_base_that_is_no_url_is_refused(self) -> None:
        self.assertRaises(ValueError, Resources, None, "dashboard.example", None, None)


class ResourceUriTests(SynchronousTestCase):
    def test_tutums_and_docker_clouds_uris_are_resources(self) -> None:
        for uri in (
            URI,
            "/api/v1/image/tutum.co/user/image_1.2/",
            "/api/app/v1/user_namespace/stack/f24bca18/",
            "/api/app/v1/stack/f24bca18/",
            "/api/infra/v1/node/f24bca18/",
            "/api/audit/v1/action/f24bca18/",
        ):
            self.assertTrue(is_resource_uri(uri), uri)

    def test_everything_else_is_none(self) -> None:
        for uri in (
            "/api/v1/stack/",
            "/api/v1/stack/x",
            "api/v1/stack/x/",
            "/api/v2/stack/x/",
            "/api/repo/v1/repository/x/",
            "/api/v1/Stack/x/",
            "/api/v1/stack/x/?a=b/",
            "/api/v1/stack/%2e%2e/",
            "/api/v1/stack/../auth/",
            "/api/v1/stack/x/\n",
            "/api/v1/stack/x y/",
            "/api/v1/stack/ü/",
            "@thief.example/api/v1/stack/x/",
            ".thief.example/api/v1/stack/x/",
            "/api/v1/stack/" + "x" * 1000 + "/",
        ):
            self.assertFalse(is_resource_uri(uri), uri)

    @given(st.text())
    def test_no_text_makes_it_raise(self, text: str) -> None:
        for uri in (text, f"/api/v1/stack/{text}/"):
            if is_resource_uri(uri):
                self.assertTrue(uri.startswith("/api/"))
                self.assertNotIn("..", uri)
