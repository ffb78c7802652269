from typing import cast

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tutumstream.channel import BODY_LIMIT, TIMEOUT, BoundedChannel, BoundedSite


class Echo(Resource):
    """Says who was asked for what, and how much came with it."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Request] = []

    def render(self, request: Request) -> bytes | int:
        """The answer; never for `/later`."""
        if request.path == b"/later":
            self.waiting.append(request)
            return NOT_DONE_YET
        host = request.getHeader(b"host") or b""
        return b"<%b %b %d>" % (host, request.uri, len(request.content.read()))


class BoundedSiteCase(SynchronousTestCase):
    transport_class = StringTransportWithDisconnection

    def setUp(self) -> None:
        self.clock = Clock()
        self.echo = Echo()
        self.site = BoundedSite(self.echo, self.clock)
        self.connect()

    def connect(self) -> None:
        peer = IPv4Address("TCP", "192.0.2.1", 4711)
        self.transport = self.transport_class(peerAddress=peer)
        self.transport.protocol = self.site.buildProtocol(peer)
        self.transport.protocol.makeConnection(self.transport)

    def send(self, *lines: str, body: bytes = b"") -> bytes:
        """Send the lines, an empty one and the body; what was answered since the last time."""
        return self.write("".join(f"{line}\r\n" for line in (*lines, "")).encode() + body)

    def write(self, data: bytes) -> bytes:
        self.transport.protocol.dataReceived(data)
        answer = self.transport.value()
        self.transport.clear()
        return answer


class TheTime(BoundedSiteCase):
    def drip(self, data: bytes, seconds: float) -> None:
        for _ in range(int(seconds)):
            if self.transport.connected:
                self.write(data)
            self.clock.advance(1.0)

    def test_a_dripped_head_has_to_end_in_time(self) -> None:
        self.write(b"GET / HTTP/1.1\r\n")
        self.drip(b"x: y\r\n", TIMEOUT - 1)
        self.assertTrue(self.transport.connected)
        self.drip(b"x: y\r\n", 2)
        self.assertFalse(self.transport.connected)

    def test_so_has_a_dripped_body(self) -> None:
        self.send("POST / HTTP/1.1", "Content-Length: 1000")
        self.drip(b"x", TIMEOUT + 1)
        self.assertFalse(self.transport.connected)

    def test_each_answer_gives_the_same_time_again(self) -> None:
        for _ in range(3):
            self.clock.advance(TIMEOUT - 1)
            self.assertIn(b" 200 ", self.send("GET / HTTP/1.1"))
        with capturedLogs() as logs:
            self.clock.advance(TIMEOUT + 1)
        self.assertFalse(self.transport.connected)
        self.assertEqual([line["log_namespace"] for line in logs], ["twisted.web.http.HTTPChannel"])


class TheBody(BoundedSiteCase):
    def test_is_taken_up_to_the_limit(self) -> None:
        answer = self.send("POST /a HTTP/1.1", "Host: x", f"Content-Length: {BODY_LIMIT}", body=b"x" * BODY_LIMIT)
        self.assertIn(b"<x /a %d>" % BODY_LIMIT, answer)
        chunk = b"%x\r\n%b\r\n" % (BODY_LIMIT, b"x" * BODY_LIMIT)
        answer = self.send("POST /b HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", body=chunk + b"0\r\n\r\n")
        self.assertIn(b"<x /b %d>" % BODY_LIMIT, answer)

    def test_is_refused_where_it_is_to_be_longer_before_the_client_is_told_to_send_it(self) -> None:
        for more in ((), ("Expect: 100-continue",)):
            self.connect()
            head, _, body = self.send("POST / HTTP/1.1", f"Content-Length: {BODY_LIMIT + 1}", *more).partition(
                b"\r\n\r\n"
            )
            self.assertTrue(head.startswith(b"HTTP/1.1 413 "), head)
            self.assertIn(b"Content-Length: %d" % len(body), head)
            self.assertEqual(body, b'{"error": "the body is longer than %d bytes"}' % BODY_LIMIT)

    def test_is_refused_as_soon_as_it_has_become_longer(self) -> None:
        chunk = b"10000\r\n%b\r\n" % (b"x" * 0x10000)
        answer = self.send("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=chunk * 5 + b"0\r\n\r\n")
        self.assertEqual(answer.count(b"HTTP/1.1"), 1)
        self.assertIn(b" 413 ", answer)

    def test_what_still_comes_of_it_is_dropped_until_the_time_is_over(self) -> None:
        self.send("POST / HTTP/1.1", "Content-Length: 1000000000")
        for _ in range(int(TIMEOUT) - 1):
            self.assertEqual(self.write(b"GET / HTTP/1.1\r\n\r\n" * 10_000), b"")
            self.clock.advance(1.0)
        self.assertTrue(self.transport.connected)
        self.clock.advance(2.0)
        self.assertFalse(self.transport.connected)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class TheHead(BoundedSiteCase):
    def test_with_a_line_that_is_too_long_is_refused_in_words(self) -> None:
        for line in ("GET /" + "a" * 17_000 + " HTTP/1.1", "GET / HTTP/1.1\r\nx: " + "a" * 17_000):
            for end in ("", "\r\n\r\nGET / HTTP/1.1\r\n\r\n"):
                self.connect()
                answer = self.write(f"{line}{end}".encode())
                self.assertTrue(answer.startswith(b"HTTP/1.1 431 "), answer)
                self.assertTrue(answer.endswith(b'{"error": "a line is longer than 16384 bytes"}'), answer)
                self.assertEqual(self.write(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), b"")

    def test_with_a_length_that_is_no_number_to_python_is_that_of_a_body_that_is_too_long(self) -> None:
        for more in ("", "x: y\r\n"):
            self.connect()
            length = "9" * 5000
            answer = self.write(f"POST / HTTP/1.1\r\nContent-Length: {length}\r\n{more}\r\nGET / HTTP/1.1\r\n".encode())
            self.assertEqual((answer[:13], answer.count(b"HTTP/1.1")), (b"HTTP/1.1 413 ", 1))


class TheMethod(BoundedSiteCase):
    def test_head_is_answered_as_get_without_a_body_and_without_a_word_in_the_log(self) -> None:
        whole, _, body = self.send("GET /?a=b HTTP/1.1", "Host: x").partition(b"\r\n\r\n")
        with capturedLogs() as logs:
            head, _, rest = self.send("HEAD /?a=b HTTP/1.1", "Host: x").partition(b"\r\n\r\n")
        self.assertIn(b"Content-Length: %d" % len(body), whole)
        self.assertIn(b"Content-Length: %d" % len(body), head)
        self.assertEqual((rest, [line["log_format"] for line in logs if "HEAD" in line["log_format"]]), (b"", []))
        self.assertEqual(self.send("HEAD /later HTTP/1.1", "Host: x"), b"")


class Full(StringTransportWithDisconnection):
    """Has no room for anything until the client reads."""

    def write(self, data: bytes) -> None:
        """Take it, and say that it is too much."""
        super().write(data)
        self.producer.pauseProducing()


class TheAnswers(BoundedSiteCase):
    transport_class = Full

    def test_that_are_not_read_are_followed_by_no_more(self) -> None:
        request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        self.assertEqual(self.write(request * 3).count(b"HTTP/1.1 200 "), 1)
        self.assertEqual(self.transport.producerState, "paused")
        self.transport.protocol.resumeProducing()
        self.assertEqual(self.write(b"").count(b"HTTP/1.1 200 "), 1)
        for _ in range(2):
            self.transport.protocol.resumeProducing()
        self.assertEqual((self.write(b"").count(b"HTTP/1.1 200 "), self.transport.producerState), (1, "producing"))


class Stuck(StringTransportWithDisconnection):
    """Something waits to be written to a client that reads nothing."""

    def loseConnection(self) -> None:
        """Not before that is written, unless it is cut."""
        if self.disconnected:
            super().loseConnection()


class TheEnd(BoundedSiteCase):
    transport_class = Stuck

    def test_comes_in_time_though_the_last_answer_is_never_taken(self) -> None:
        self.assertIn(b" 200 ", self.send("GET / HTTP/1.1", "Host: x", "Connection: close"))
        self.clock.advance(TIMEOUT - 1)
        self.assertFalse(self.transport.disconnected)
        for _ in range(30):
            self.clock.advance(1.0)
        self.assertTrue(self.transport.disconnected)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class TheTarget(BoundedSiteCase):
    def test_may_be_a_whole_url_whose_host_counts(self) -> None:
        for target, meant in (
            ("http://h:1/a/b?c=/d", b"<h:1 /a/b?c=/d 0>"),
            ("HTTPS://h/", b"<h / 0>"),
            ("http://h", b"<h / 0>"),
            ("http://h?a=b", b"<h /?a=b 0>"),
            ("http://h//a", b"<h //a 0>"),
            ("/http://h/a", b"<x /http://h/a 0>"),
        ):
            self.assertIn(meant, self.send(f"GET {target} HTTP/1.1", "Host: x"))


class Echoing(Protocol):
    """Sends everything back."""

    def dataReceived(self, data: bytes) -> None:
        """Send it back."""
        cast(ITransport, self.transport).write(data)


class TheSuccessor(BoundedSiteCase):
    def test_hears_what_came_before_it_was_there_and_what_comes_then(self) -> None:
        self.write(b"GET /later HTTP/1.1\r\n\r\na")
        self.write(b"b")
        successor = Echoing()
        successor.makeConnection(self.transport)
        cast(BoundedChannel, self.echo.waiting[0].channel).hand_over(successor)
        self.assertEqual(self.write(b"c"), b"abc")


class TheSite(BoundedSiteCase):
    def test_http_2_is_not_offered_over_tls(self) -> None:
        self.assertEqual(self.site.acceptableProtocols(), [b"http/1.1"])
