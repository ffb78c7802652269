from base64 import b64encode
from socket import socket, socketpair

from tests.gateway.wire import CLOSE, GOOD, SiteCase, Wire
from tutumstream.gateway.backlog import not_yet_taken
from tutumstream.gateway.platform import Change, LogLine
from tutumstream.gateway.streaming import CLOSE_TIMEOUT, PING_TIMEOUT
from tutumstream.gateway.upgrade import TAIL, TAIL_LIMIT
from tutumstream.testing import ScriptedPlatform

CONTAINER = {"uuid": "c1", "resource_uri": "/api/v1/container/c1/", "name": "web-1", "state": "Running"}
SERVICE = {"uuid": "a1", "resource_uri": "/api/v1/service/a1/", "name": "web", "state": "Running"}
CHANGE = Change(
    type="container",
    action="update",
    state="Running",
    resource_uri="/api/v1/container/c1/",
    parents=("/api/v1/service/a1/",),
)
LINE = LogLine(text="hello\n", stream="stdout", timestamp=1433779324, source="web-1")
CLOUD_GOOD = "Authorization: Basic " + b64encode(b"alice:k3y").decode()


class UpgradeCase(SiteCase):
    def setUp(self) -> None:
        self.platform = ScriptedPlatform()
        self.platform.put("container", CONTAINER)
        self.platform.put("service", SERVICE)
        self.serve(self.platform, frozenset({"logs"}))

    def open(self, path: str, header: str = GOOD) -> Wire:
        wire = Wire(self.site)
        self.assertIn(" 101 ", wire.upgrade(path, header))
        return wire


class TestDockerCloud(UpgradeCase):
    def test_wrong_credentials_are_401_before_the_upgrade(self) -> None:
        for path in ("/api/audit/v1/events", "/api/audit/v1/team/events/", "/api/app/v1/container/c1/logs/"):
            head = Wire(self.site).upgrade(path, "Authorization: Basic eDp5")
            self.assertTrue(head.startswith("HTTP/1.1 401 "), head)
            self.assertIn("WWW-Authenticate", head)

    def test_events_have_a_uuid_a_time_and_the_clouds_uris(self) -> None:
        wires = [self.open(path, CLOUD_GOOD) for path in ("/api/audit/v1/events", "/api/audit/v1/team/events")]
        for wire in wires:
            self.assertEqual(wire.messages(), [{"type": "auth"}])
        self.tell(CHANGE)
        (plain,), (team,) = (wire.messages() for wire in wires)
        self.assertEqual(plain["resource_uri"], "/api/app/v1/container/c1/")
        self.assertEqual(team["parents"], ["/api/app/v1/team/service/a1/"])
        self.assertRegex(plain["datetime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(plain["uuid"], team["uuid"])
        self.assertEqual(plain["uuid"][14], "4")

    def test_events_can_be_filtered(self) -> None:
        paths = {
            "type=container": True,
            "type=node": False,
            "object=/api/app/v1/container/c1/": True,
            "object=/api/app/v1/container/c2/": False,
            "parents=/api/app/v1/stack/1/,/api/app/v1/service/a1/": True,
            "parents=/api/app/v1/service/a2/": False,
        }
        for query, heard in paths.items():
            wire = self.open(f"/api/audit/v1/events?{query}", CLOUD_GOOD)
            wire.messages()
            self.tell(CHANGE)
            self.assertEqual(len(wire.messages()), int(heard), query)

    def test_what_is_not_there_is_404_before_the_upgrade(self) -> None:
        for path in ("/api/app/v1/container/c2/logs/", "/api/app/v1/container/c1/exec/", "/api/infra/v1/events"):
            self.assertIn(" 404 ", Wire(self.site).upgrade(path, CLOUD_GOOD), path)


class TestLogs(UpgradeCase):
    def test_lines_come_as_they_are_with_their_source_for_a_service(self) -> None:
        for path, source in (("/v1/container/c1/logs/", {}), ("/v1/service/a1/logs", {"source": "web-1"})):
            wire = self.open(path)
            self.assertEqual(wire.messages(), [])
            self.platform.readings[-1].reader.line(LINE)
            body = {"type": "log", "log": "hello\n", "streamType": "stdout", "timestamp": 1433779324}
            self.assertEqual(wire.messages(), [{**body, **source}])

    def test_tail_and_follow_are_read_as_every_client_writes_them(self) -> None:
        for query, tail, follow in (
            ("", TAIL, True),
            ("?follow=false&tail=5", 5, False),
            ("?tail=0&follow=False", 0, False),
            ("?follow=true&tail=all", TAIL_LIMIT, True),
            ("?tail=99999999999999", TAIL, True),
            ("?tail=-1&tail=9999999999", TAIL_LIMIT, True),
        ):
            self.open(f"/v1/container/c1/logs/{query}")
            self.assertEqual(
                (self.platform.readings[-1].tail, self.platform.readings[-1].follow), (tail, follow), query
            )

    def test_an_action_has_a_log_too_for_who_may_read_logs_or_act(self) -> None:
        self.platform.put("action", {"uuid": "ac", "resource_uri": "/api/v1/action/ac/", "state": "Success"})
        for permission in ("logs", "control"):
            self.serve(self.platform, frozenset({permission}))
            wire = self.open("/v1/action/ac/logs/?follow=false")
            self.platform.readings[-1].reader.line(LINE)
            self.assertEqual(wire.messages(), [{"type": "log", "log": "hello\n", "timestamp": 1433779324}])
        self.assertIn(" 101 ", Wire(self.site).upgrade("/api/audit/v1/action/ac/logs/", CLOUD_GOOD))
        error = {"type": "error", "data": {"errorMessage": "NOT_FOUND"}}
        self.assertEqual(self.open("/v1/action/ad/logs/").messages(), [error])
        self.serve(self.platform)
        error = {"type": "error", "data": {"errorMessage": "NOT_ALLOWED"}}
        self.assertEqual(self.open("/v1/action/ac/logs/").messages(), [error])

    def test_the_end_of_the_log_closes_the_connection(self) -> None:
        wire = self.open("/v1/container/c1/logs/?follow=false")
        reader = self.platform.readings[0].reader
        reader.line(LINE)
        reader.ended()
        self.assertEqual([opcode for opcode, _ in wire.frames()], [1, CLOSE])

    def test_a_client_that_leaves_ends_the_reading(self) -> None:
        wire = self.open("/v1/container/c1/logs/")
        wire.transport.loseConnection()
        self.assertEqual(self.platform.readings[0].state, "closed")
        self.platform.readings[0].reader.line(LINE)
        self.platform.readings[0].reader.ended()

    def test_a_slow_client_holds_the_reading_up_and_loses_nothing(self) -> None:
        wire = self.open("/v1/container/c1/logs/")
        (reading,) = self.platform.readings
        producer = wire.transport.producer
        assert producer is not None
        producer.pauseProducing()
        self.assertEqual(reading.state, "paused")
        reading.reader.line(LINE)
        reading.reader.ended()
        self.assertEqual(wire.frames(), [])
        producer.resumeProducing()
        self.assertEqual(reading.state, "running")
        self.assertEqual([opcode for opcode, _ in wire.frames()], [1, CLOSE])

    def test_the_end_of_a_log_is_waited_for_as_long_as_the_client_takes_what_is_before_it(self) -> None:
        wire, client = self.at_the_end_of_a_log()
        for _ in range(3):
            client.recv(1000)
            self.clock.pump([1.0] * PING_TIMEOUT)
            self.assertTrue(wire.transport.connected)
        self.clock.pump([1.0] * (PING_TIMEOUT + CLOSE_TIMEOUT))
        self.assertFalse(wire.transport.connected, "it takes nothing more")

    def test_who_has_taken_all_of_a_log_has_to_answer_our_close_at_once(self) -> None:
        wire, client = self.at_the_end_of_a_log()
        while not_yet_taken(wire.transport):
            client.recv(1000)
        self.clock.pump([1.0] * CLOSE_TIMEOUT)
        self.assertFalse(wire.transport.connected)

    def test_the_end_of_a_log_is_not_waited_for_where_the_gateway_stops_or_the_client_leaves(self) -> None:
        wire, _ = self.at_the_end_of_a_log()
        self.clock.pump([1.0] * CLOSE_TIMEOUT)
        self.assertTrue(wire.transport.connected)
        self.successResultOf(self.stream.end())
        self.assertFalse(wire.transport.connected)
        wire, _ = self.at_the_end_of_a_log()
        wire.transport.loseConnection()
        self.clock.pump([1.0] * (PING_TIMEOUT + CLOSE_TIMEOUT))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def at_the_end_of_a_log(self) -> tuple[Wire, socket]:
        """A client that was sent all of it and took nothing yet, and its socket."""
        self.serve(self.platform, frozenset({"logs"}))
        kernel, client = socketpair()
        self.addCleanup(kernel.close)
        self.addCleanup(client.close)
        for _ in range(10):
            kernel.send(b"x" * 1000)
        wire = self.open("/v1/container/c1/logs/?follow=false")
        wire.transport.fileno = kernel.fileno  # type: ignore[attr-defined]
        self.platform.readings[-1].reader.ended()
        return wire, client

    def test_without_permission_there_are_none(self) -> None:
        self.serve(self.platform)
        error = {"type": "error", "data": {"errorMessage": "NOT_ALLOWED"}}
        self.assertEqual(self.open("/v1/container/c1/logs/").messages(), [error])
        self.assertIn(" 403 ", Wire(self.site).upgrade("/api/app/v1/container/c1/logs/", CLOUD_GOOD))
        self.assertEqual(self.platform.readings, [])

    def test_exec_and_other_streams_are_never_there(self) -> None:
        error = {"type": "error", "data": {"errorMessage": "NOT_FOUND"}}
        for path in (
            "/v1/container/c1/exec/?command=sh",
            "/v1/container/c2/logs/",
            "/v1/node/n/events/",
            "/v1/container/c1/logs/x",
            "/v1/",
        ):
            self.assertEqual(self.open(path).messages(), [error], path)
        self.assertEqual(self.platform.readings, [])
