from twisted.internet.address import UNIXAddress
from twisted.logger import capturedLogs, formatEvent

from tests.gateway.wire import GOOD, PONG, TEXT, SiteCase, Wire
from tutumstream.channel import TIMEOUT
from tutumstream.testing import ScriptedPlatform

STACK = {"uuid": "5a", "resource_uri": "/api/v1/stack/5a/", "name": "shop", "state": "Running"}


class TestSite(SiteCase):
    def setUp(self) -> None:
        self.platform = ScriptedPlatform()
        self.serve(self.platform)
        self.successResultOf(self.platform.start())
        self.platform.put("stack", STACK)

    def ask(self, *lines: str) -> bytes:
        wire = Wire(self.site)
        wire.write("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n")
        return wire.read()

    def test_one_port_serves_both_apis(self) -> None:
        self.assertIn(b'"name":"shop"', self.ask("GET /api/v1/stack/ HTTP/1.1", "Host: x", GOOD))
        self.join()

    def test_the_stream_without_an_upgrade_is_426_with_the_reason_in_words(self) -> None:
        answer = self.ask("GET /v1/events HTTP/1.1", "Host: x", GOOD)
        self.assertTrue(answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\n"), answer)
        self.assertIn(b"connect with a WebSocket client", answer)

    def test_frames_that_come_with_the_request_for_an_upgrade_are_taken(self) -> None:
        wire = Wire(self.site)
        wire.upgrade("/v1/events", GOOD, then=b"\x89\x81\0\0\0\0!")
        self.assertEqual(wire.frames(), [(TEXT, b'{"type": "auth"}'), (PONG, b"!")])

    def test_an_upgrade_elsewhere_is_answered_by_the_rest_api(self) -> None:
        self.assertIn(" 401 ", Wire(self.site).upgrade("/api/v1/stack/"))
        self.assertIn(" 404 ", Wire(self.site).upgrade("/api/v2/events", GOOD))

    def test_the_probes_need_no_credentials_and_tell_nothing(self) -> None:
        self.assertIn(b" 200 ", self.ask("GET /healthz HTTP/1.1", "Host: x"))
        self.assertIn(b'{"ready":true,"reasons":[]}', self.ask("GET /readyz HTTP/1.1", "Host: x"))
        self.platform.lose("tcp://10.0.0.7:2375: no such host", everything=False)
        one = b'{"ready":true,"reasons":["1 engine can\'t be seen; the log says why"]}'
        self.assertIn(one, self.ask("GET /readyz HTTP/1.1", "Host: x"))
        self.platform.lose("ssh://root@bastion: refused")
        both = self.ask("GET /readyz HTTP/1.1", "Host: x")
        self.assertIn(b" 503 ", both)
        self.assertIn(b"2 engines can't be seen", both)
        for address in (b"10.0.0.7", b"bastion"):
            self.assertNotIn(address, both)
        self.platform.find()
        self.keeps = False
        forgetful = b'{"ready":true,"reasons":["the state can\'t be kept; the log says why"]}'
        self.assertIn(forgetful, self.ask("GET /readyz HTTP/1.1", "Host: x"))
        self.keeps = True
        self.platform.synced = False
        answer = self.ask("GET /readyz/ HTTP/1.1", "Host: x")
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)

    def test_a_line_without_a_colon_is_dropped_on_the_streams_path_only(self) -> None:
        lines = ("Host: x", GOOD, "User-Agent")
        self.assertIn(b" 426 ", self.ask("GET //v1/events?x=y HTTP/1.1", *lines))
        self.assertIn(b" 400 ", self.ask("GET /api/v1/stack/ HTTP/1.1", *lines))

    def test_a_broken_handshake_is_400_and_shows_no_credentials_in_the_log(self) -> None:
        with capturedLogs() as logs:
            answer = self.ask(
                "GET //[v1/events?user=alice&token=s3cret HTTP/1.1", "Host: x", "Upgrade: websocket", GOOD
            )
            broken = self.ask(
                "GET /v1/events?user=alice&token=s3cret HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: x"
            )
        self.assertIn(b" 400 ", answer)
        self.assertIn(b" 400 ", broken)
        self.assertNotIn("s3cret", repr(logs))
        self.assertNotIn("k3y", repr(logs))

    def test_the_access_log_has_paths_without_queries(self) -> None:
        for method in ("GET", "HEAD"):
            with capturedLogs() as logs:
                self.ask(f"{method} /api/v1/stack/?user=alice&token=s3cret HTTP/1.1", "Host: x")
            (line,) = logs
            self.assertEqual((line["path"], line["code"]), ("/api/v1/stack/", 401))
            self.assertNotIn("s3cret", formatEvent(line))

    def test_a_client_on_a_unix_socket_is_served(self) -> None:
        wire = Wire(self.site)
        wire.transport.peerAddr = UNIXAddress("/run/x")
        wire.write(b"GET /api/v1/auth/ HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b" 401 ", wire.read())

    def test_an_idle_http_connection_is_closed_and_an_idle_stream_is_not(self) -> None:
        idle, wire = Wire(self.site), self.join()
        for _ in range(int(TIMEOUT) + 20):
            self.clock.advance(1.0)
            for opcode, payload in wire.frames():
                wire.send(opcode + 1, payload)
        self.assertFalse(idle.transport.connected)
        self.assertEqual(self.stream.clients, 1)

    def test_a_body_that_nobody_wants_is_ignored(self) -> None:
        wire = Wire(self.site)
        wire.write(f"GET /api/v1/stack/ HTTP/1.1\r\nHost: x\r\n{GOOD}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        self.assertIn(b" 200 ", wire.read())

    def test_a_whole_url_may_be_asked_for(self) -> None:
        self.assertIn(b" 200 ", self.ask("GET http://stream.tutum.co/healthz HTTP/1.1", "Host: x"))
