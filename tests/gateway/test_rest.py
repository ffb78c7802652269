import json
import re
from base64 import b64encode
from typing import Any

import treq
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from tests.gateway.wire import ACCESS
from tutumstream.gateway.concealment import NOTHING, Concealment
from tutumstream.gateway.failures import FAILURES, WINDOW
from tutumstream.gateway.gate import Gate
from tutumstream.gateway.platform import OrderError, Taken
from tutumstream.gateway.rest import RestResource
from tutumstream.gateway.settings import Permission
from tutumstream.testing import ScriptedPlatform

STACK = {"uuid": "5a", "resource_uri": "/api/v1/stack/5a/", "name": "shop", "state": "Running"}
SERVICE = {"uuid": "a1", "resource_uri": "/api/v1/service/a1/", "name": "web", "stack": STACK["resource_uri"]}
REGION = {"name": "here", "resource_uri": "/api/v1/region/demo/here/", "provider": "/api/v1/provider/demo/"}
GOOD = {b"authorization": b"ApiKey alice:k3y"}


class RestCase(SynchronousTestCase):
    allow: frozenset[Permission] = frozenset()
    conceal = NOTHING

    def setUp(self) -> None:
        self.platform = ScriptedPlatform()
        self.successResultOf(self.platform.start())
        self.platform.put("stack", STACK)
        self.platform.put("service", SERVICE)
        self.platform.put("region", REGION)
        self.clock = Clock()
        self.agent = RequestTraversalAgent(
            RestResource(self.platform, Gate(ACCESS, self.clock), self.allow, self.conceal)
        )

    def ask(self, path: str, headers: dict[bytes, bytes] = GOOD, method: bytes = b"GET") -> tuple[IResponse, bytes]:
        asked = self.agent.request(
            method, b"http://dashboard.tutum.co" + path.encode(), Headers({name: [headers[name]] for name in headers})
        )
        self.agent.flush()
        response = self.successResultOf(asked)
        body: list[bytes] = []
        collected = treq.collect(response, body.append)
        self.agent.flush()
        self.successResultOf(collected)
        return response, b"".join(body)

    def get(self, path: str, headers: dict[bytes, bytes] = GOOD) -> tuple[int, Any]:
        response, body = self.ask(path, headers)
        return response.code, json.loads(body)


class TestLookUps(RestCase):
    def test_a_list_comes_in_tutums_envelope(self) -> None:
        self.assertEqual(
            self.get("/api/v1/stack/"),
            (
                200,
                {
                    "meta": {"limit": 25, "next": None, "offset": 0, "previous": None, "total_count": 1},
                    "objects": [STACK],
                },
            ),
        )

    def test_an_object_comes_by_uuid(self) -> None:
        self.assertEqual(self.get("/api/v1/stack/5a/"), (200, STACK))

    def test_an_object_with_a_name_instead_of_a_uuid_comes_by_its_path(self) -> None:
        self.assertEqual(self.get("/api/v1/region/demo/here/"), (200, REGION))

    def test_slashes_at_the_end_or_doubled_make_no_difference(self) -> None:
        for path in ("/api/v1/stack/5a", "//api//v1/stack//5a//", "/api/v1//stack/5a/"):
            self.assertEqual(self.get(path), (200, STACK), path)
        self.assertEqual(self.get("/api/v1/stack")[0], 200)

    def test_filters_reach_across_objects(self) -> None:
        self.assertEqual(self.get("/api/v1/service/?stack__name=shop")[1]["objects"], [SERVICE])
        self.assertEqual(self.get("/api/v1/service/?stack__name=blog")[1]["objects"], [])

    def test_a_parent_uri_of_another_form_matches_nothing(self) -> None:
        self.platform.put("service", {**SERVICE, "stack": "/api/app/v1/stack/5a/"})
        self.assertEqual(self.get("/api/v1/service/?stack__name=shop")[1]["objects"], [])

    def test_a_collection_without_objects_is_empty(self) -> None:
        self.assertEqual(self.get("/api/v1/volume/")[1]["objects"], [])

    def test_a_service_has_no_triggers(self) -> None:
        self.assertEqual(self.get("/api/v1/service/a1/trigger/")[1]["objects"], [])

    def test_auth_answers_with_an_object(self) -> None:
        code, body = self.get("/api/v1/auth/")
        self.assertEqual((code, type(body)), (200, dict))
        self.assertNotIn("k3y", json.dumps(body))

    def test_an_answer_waits_until_the_platform_has_caught_up(self) -> None:
        for path in (b"/api/v1/stack/", b"/api/v1/stack/5a/"):
            catching_up: Deferred[None] = Deferred()
            self.platform.catching_up = lambda known=catching_up: known  # type: ignore[misc]  # of this turn
            asked = self.agent.request(b"GET", b"http://x" + path, Headers({b"authorization": ["ApiKey alice:k3y"]}))
            self.agent.flush()
            self.assertNoResult(asked)
            catching_up.callback(None)
            self.agent.flush()
            self.assertEqual(self.successResultOf(asked).code, 200)

    def test_answers_are_not_sniffed_and_not_stored(self) -> None:
        for path in ("/api/v1/stack/", "/api/v1/nothing/"):
            headers = self.ask(path)[0].headers
            self.assertEqual(headers.getRawHeaders(b"content-type"), [b"application/json"])
            self.assertEqual(headers.getRawHeaders(b"x-content-type-options"), [b"nosniff"])
            self.assertEqual(headers.getRawHeaders(b"cache-control"), [b"no-store"])

    def test_a_get_with_a_body_is_answered_as_go_tutum_sends_one(self) -> None:
        self.assertEqual(self.ask("/api/v1/stack/", {**GOOD, b"content-length": b"0"})[0].code, 200)

    def test_head_has_no_body(self) -> None:
        response, body = self.ask("/api/v1/stack/", method=b"HEAD")
        self.assertEqual((response.code, body), (200, b""))


class TestConcealment(RestCase):
    conceal = Concealment(re.compile("token"), commands=True)
    allow = frozenset({"control"})

    def test_what_is_hidden_is_hidden_everywhere(self) -> None:
        shown = {**STACK, "labels": {"a": "b", "token": "s3cret"}, "run_command": "s3cret"}
        self.platform.put("stack", shown)
        for method, path in ((b"GET", "stack/"), (b"GET", "stack/5a/"), (b"POST", "stack/5a/stop/")):
            _, body = self.ask(f"/api/v1/{path}", method=method)
            self.assertNotIn(b"s3cret", body, path)
            self.assertIn(b'"labels":{"a":"b"}', body, path)


class TestOrders(RestCase):
    allow: frozenset[Permission] = frozenset({"control"})

    def order(self, method: bytes, path: str) -> tuple[IResponse, Any]:
        response, body = self.ask(path, method=method)
        return response, json.loads(body)

    def test_an_order_is_taken_with_202_and_names_its_action(self) -> None:
        response, body = self.order(b"POST", "/api/v1/stack/5a/redeploy/?reuse_volumes=True")
        self.assertEqual((response.code, body), (202, STACK))
        self.assertEqual(response.headers.getRawHeaders("X-Tutum-Action-URI"), ["/api/v1/action/5c/"])
        self.assertEqual(
            [(one.verb, one.kind, one.uuid) for one in self.platform.orders], [("redeploy", "stack", "5a")]
        )

    def test_docker_clouds_clients_hear_it_in_their_own_words(self) -> None:
        response, body = self.order(b"DELETE", "/api/app/v1/team/stack/5a/")
        self.assertEqual(body["resource_uri"], "/api/app/v1/team/stack/5a/")
        self.assertEqual(response.headers.getRawHeaders("X-DockerCloud-Action-URI"), ["/api/audit/v1/action/5c/"])
        self.assertEqual(self.platform.orders[0].verb, "terminate")

    def test_what_the_state_does_not_allow_or_is_not_there_is_never_asked(self) -> None:
        for method, path, code in (
            (b"POST", "/api/v1/stack/5a/start/", 409),
            (b"POST", "/api/v1/stack/5b/stop/", 404),
            (b"POST", "/api/v1/container/5a/exec/", 405),
        ):
            with capturedLogs() as logs:
                response, body = self.order(method, path)
            self.assertEqual((response.code, list(body)), (code, ["error"]), path)
            self.assertIn(f" ({code}): {body['error']}", formatEvent(logs[-1]))
        self.assertEqual(self.order(b"POST", "/api/v1/")[0].code, 404)
        self.assertEqual(self.platform.orders, [])

    def test_a_refusal_of_the_platform_is_told(self) -> None:
        self.platform.performing = lambda _: fail(OrderError(503, "the engine is away"))
        with capturedLogs() as logs:
            response, body = self.order(b"POST", "/api/v1/stack/5a/stop/")
        self.assertEqual((response.code, body), (503, {"error": "the engine is away"}))
        self.assertRegex(
            formatEvent(logs[-1]),
            r"^alice at \S+ is refused POST /api/v1/stack/5a/stop/ \(503\): the engine is away$",
        )

    def test_an_answer_that_takes_its_time_comes_when_it_is_known(self) -> None:
        taking: Deferred[Taken] = Deferred()
        self.platform.performing = lambda _: taking
        asked = self.agent.request(
            b"POST", b"http://x/api/v1/stack/5a/stop/", Headers({b"authorization": ["ApiKey alice:k3y"]})
        )
        self.agent.flush()
        self.assertNoResult(asked)
        taking.callback(Taken(STACK, "/api/v1/action/5c/"))
        self.agent.flush()
        self.assertEqual(self.successResultOf(asked).code, 202)

    def test_a_bug_is_500_and_logged(self) -> None:
        self.platform.performing = lambda _: fail(ZeroDivisionError())
        self.assertEqual(self.order(b"POST", "/api/v1/stack/5a/stop/")[0].code, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_another_sites_page_can_change_nothing(self) -> None:
        response, _ = self.ask("/api/v1/stack/5a/stop/", {**GOOD, b"origin": b"https://evil.example"}, b"POST")
        self.assertEqual((response.code, self.platform.orders), (403, []))


class TestDockerCloud(RestCase):
    def test_lists_and_objects_are_in_its_own_form(self) -> None:
        _, body = self.get("/api/app/v1/service/?stack=/api/app/v1/stack/5a/&limit=1")
        self.assertEqual([one["stack"] for one in body["objects"]], ["/api/app/v1/stack/5a/"])
        self.platform.put("service", {**SERVICE, "uuid": "a2"})
        self.assertEqual(
            self.get("/api/app/v1/team/service/?limit=1")[1]["meta"]["next"],
            "/api/app/v1/team/service/?limit=1&offset=1",
        )
        self.assertEqual(self.get("/api/infra/v1/region/demo/here/")[1]["provider"], "/api/infra/v1/provider/demo/")
        self.assertEqual(self.get("/api/infra/v1/stack/")[0], 404)


class TestErrors(RestCase):
    def test_what_is_not_there_is_404(self) -> None:
        for path in ("/api/v1/stack/5b/", "/api/v1/nothing/", "/api/v1/nothing/5a/", "/api/v1/", "/", "/api/app/v1/x/"):
            code, body = self.get(path)
            self.assertEqual((code, list(body)), (404, ["error"]), path)

    def test_a_path_that_is_not_utf_8_is_400(self) -> None:
        self.assertEqual(self.ask("/api/v1/stack/%ff/")[0].code, 400)

    def test_a_number_that_is_none_is_400(self) -> None:
        self.assertEqual(
            self.get("/api/v1/stack/?offset=x"), (400, {"error": "offset must be a number that is not negative"})
        )

    def test_writing_is_405_and_says_that_the_gateway_is_read_only(self) -> None:
        for method in (b"POST", b"PATCH", b"DELETE", b"PUT"):
            response, body = self.ask("/api/v1/stack/5a/", method=method)
            self.assertEqual(response.code, 405)
            self.assertEqual(response.headers.getRawHeaders(b"allow"), [b"GET, HEAD"])
            self.assertIn("read-only", json.loads(body)["error"])

    def test_before_the_platform_is_synced_everything_but_auth_is_503(self) -> None:
        self.platform.synced = False
        self.assertEqual(self.get("/api/v1/stack/")[0], 503)
        self.assertEqual(self.get("/api/v1/stack/5a/")[0], 503)
        self.assertEqual(self.get("/api/v1/auth/")[0], 200)

    def test_a_bug_is_500_and_logged_without_credentials(self) -> None:
        self.platform.put("stack", {**STACK, "name": object()})
        with capturedLogs() as logs:
            code, body = self.get("/api/v1/stack/?user=alice&token=k3y", {})
        self.assertEqual((code, list(body)), (500, ["error"]))
        failures = [log for log in logs if log["log_level"] is LogLevel.critical]
        self.assertEqual(len(failures), 1)
        self.assertNotIn("k3y", str([log.get("path") for log in logs]))
        self.flushLoggedErrors(TypeError)


class TestAuthentication(RestCase):
    def test_every_form_of_credentials_is_taken(self) -> None:
        basic = b64encode(b"alice:k3y")
        for path, headers in (
            ("/api/v1/stack/", GOOD),
            ("/api/v1/stack/", {b"authorization": b"Basic " + basic}),
            ("/api/v1/stack/?user=alice&token=k3y", {}),
            ("/api/v1/stack/?auth=ApiKey%20alice:k3y", {}),
            ("/api/v1/stack/?auth=Basic%20" + basic.decode(), {}),
        ):
            self.assertEqual(self.get(path, headers)[0], 200, path)

    def test_bad_credentials_are_401_everywhere(self) -> None:
        for path in ("/api/v1/auth/", "/api/v1/stack/", "/api/audit/v1/events", "/nothing", "/"):
            response, body = self.ask(path, {b"authorization": b"ApiKey alice:wrong"})
            self.assertEqual((response.code, list(json.loads(body))), (401, ["error"]), path)
            self.assertEqual(response.headers.getRawHeaders(b"www-authenticate"), [b'Basic realm="Tutum"'])

    def test_after_many_failures_within_a_minute_it_is_429_until_the_minute_is_over(self) -> None:
        bad = {b"authorization": b"ApiKey alice:wrong"}
        codes = [self.ask("/api/v1/auth/", bad)[0].code for _ in range(FAILURES)]
        self.assertEqual(codes, [401] * FAILURES)
        response, _ = self.ask("/api/v1/auth/", GOOD)
        self.assertEqual(response.code, 429)
        self.assertEqual(response.headers.getRawHeaders(b"retry-after"), [b"60"])
        self.clock.advance(WINDOW)
        self.assertEqual(self.ask("/api/v1/auth/", GOOD)[0].code, 200)

    def test_failures_of_one_user_do_not_lock_out_another(self) -> None:
        for _ in range(FAILURES + 1):
            self.ask("/api/v1/auth/", {b"authorization": b"ApiKey mallory:wrong"})
        self.assertEqual(self.ask("/api/v1/auth/", GOOD)[0].code, 200)
