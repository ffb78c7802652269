import json
from typing import Any

from treq.testing import StubTreq
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyRequest

from tutumstream.delivery.state import Held
from tutumstream.status.board import Board
from tutumstream.status.pages import Pages, site
from tutumstream.stream.connection import Connected


class Api(Resource):
    """Tells what of the path is left for it."""

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return json.dumps([part.decode() for part in request.postpath or []]).encode()


class TheProbes(SynchronousTestCase):
    def setUp(self) -> None:
        self.board = Board(lambda: "", lambda _: None)
        self.client = StubTreq(Pages(self.board.snapshot, Api()).app.resource())

    def get(self, path: str) -> tuple[int, Any]:
        answer = self.successResultOf(self.client.get(f"http://probe.example{path}"))
        self.assertEqual(answer.headers.getRawHeaders("content-type"), ["application/json"])
        self.assertEqual(answer.headers.getRawHeaders("cache-control"), ["no-store"])
        return answer.code, json.loads(self.successResultOf(self.client.content(answer)))

    def test_healthz_is_good_for_as_long_as_anything_answers(self) -> None:
        self.assertEqual(self.get("/healthz"), (200, {"status": "ok"}))

    def test_readyz_says_why_not(self) -> None:
        status, body = self.get("/readyz")
        self.assertEqual((status, body["ready"]), (503, False))
        self.assertEqual(body["reasons"], ["stream: not begun yet", "journal: not open yet"])

    def test_readyz_is_good_when_the_stream_is_connected_and_the_journal_open(self) -> None:
        self.board.stream_is(Connected(1.0))
        self.board.journal_is_open()
        self.board.destination_is("slack", Held(1.0, "404 no_service"))
        self.board.counted("events")
        self.assertEqual(
            self.get("/readyz"),
            (
                200,
                {
                    "ready": True,
                    "reasons": [],
                    "stream": "connected",
                    "journal": "ok",
                    "destinations": {"slack": "held: 404 no_service"},
                    "counts": {"events": 1, "malformed": 0},
                },
            ),
        )

    def test_there_is_nothing_else(self) -> None:
        answer = self.successResultOf(self.client.get("http://probe.example/metricz"))
        self.assertEqual(answer.code, 404)

    def test_the_api_stands_beside_them(self) -> None:
        answer = self.successResultOf(self.client.get("http://probe.example/api/v1/whatever/it/is"))
        self.assertEqual(self.successResultOf(self.client.json_content(answer)), ["whatever", "it", "is"])

    def test_a_path_that_is_no_text_is_refused_without_a_word_in_the_log(self) -> None:
        pages = site(self.board.snapshot, Api())
        for path in ([b"\xff"], [b"api", b"v1", b"a\xc3"]):
            request: Any = DummyRequest(path)
            pages.getResourceFor(request).render(request)
            self.assertEqual(request.responseCode, 400)

    def raw(self, head: bytes, ours: IAddress) -> bytes:
        """The status line for a request as it is on the wire."""
        channel = site(self.board.snapshot, Api()).buildProtocol(ours)
        self.addCleanup(channel.setTimeout, None)
        transport = StringTransport(hostAddress=ours)
        channel.makeConnection(transport)
        channel.dataReceived(head)
        return transport.value().partition(b"\r\n")[0]

    def test_a_host_that_is_no_name_is_refused_without_a_word_in_the_log(self) -> None:
        for host, code in ((b"localhost", 200), (b"\xff", 400), (b".0.1:8788", 400), (b"x" * 60, 400)):
            head = b"GET /healthz HTTP/1.1\r\nHost: %b\r\n\r\n" % host
            self.assertIn(b" %d " % code, self.raw(head, IPv4Address("TCP", "127.0.0.1", 8788)), host)

    def test_no_host_needs_to_be_named(self) -> None:
        for ours in (IPv4Address("TCP", "127.0.0.1", 8788), UNIXAddress("/run/x")):
            self.assertEqual(self.raw(b"GET /healthz HTTP/1.0\r\n\r\n", ours), b"HTTP/1.0 200 OK")

    def test_are_read_only(self) -> None:
        answer = self.successResultOf(self.client.post("http://probe.example/healthz"))
        self.assertEqual(answer.code, 405)

    def test_are_not_written_down_each_time(self) -> None:
        self.assertIsNone(site(self.board.snapshot, Api()).log(object()))
