from typing import Any

from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.net.certificates import pem, secured
from tests.net.servers import Says, answering
from tests.net.wire import Network
from tutumstream.errors import ExchangeError
from tutumstream.net.http import Answer
from tutumstream.net.proxy import Proxy
from tutumstream.net.tunnel import TunnelEndpoint

PROXY = "http://me:hidden@proxy.example:8080"
ENVIRON = {"HTTPS_PROXY": PROXY, "HTTP_PROXY": PROXY}
OPEN = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"


class Forwarding(Protocol):
    """A proxy: answers CONNECT, then hands the connection to another server."""

    def __init__(self, behind: Factory | Any, answer: bytes = OPEN) -> None:
        self.asked = b""
        self._answer = answer
        self._behind: Any = behind
        self._inner: Any = None

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        self.asked += data
        transport: Any = self.transport
        transport.write(self._answer)
        self._inner = self._behind.buildProtocol(None)
        self._inner.makeConnection(transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inner is not None:
            self._inner.connectionLost(reason)


class TunnelTests(SynchronousTestCase):
    way = "treq"

    def setUp(self) -> None:
        self.network = Network()

    def proxy(self, protocol: Protocol) -> None:
        self.network.host("proxy.example:8080", Factory.forProtocol(lambda: protocol))

    def exchange(self, url: str, trust: Any = None) -> Deferred[Answer]:
        exchanged = self.network.client(ENVIRON, trust, self.way).exchange("GET", url)
        self.network.settle()
        return exchanged

    def refusal(self, answer: bytes, close: bool = False) -> str:
        self.proxy(Says(answer, close))
        exchanged = self.exchange("http://sink.example/")
        problem = str(self.failureResultOf(exchanged, ExchangeError).value)
        self.network.settle()
        self.assertEqual(self.network.open_connections(), 0)
        self.assertNotIn("hidden", problem)
        self.assertTrue(problem.startswith("http://sink.example: http://proxy.example:8080: the proxy "), problem)
        return problem

    def test_tls_goes_through_the_proxy_and_is_checked_against_the_destination(self) -> None:
        inside = Factory.forProtocol(lambda: answering("200 OK", b"ok", length=2))
        trust = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(pem("one"))])
        proxy = Forwarding(secured(inside, self.network.clock, "sink.example"))
        self.proxy(proxy)
        self.assertEqual(self.successResultOf(self.exchange("https://sink.example/x", trust)).body, b"ok")
        self.assertEqual(self.network.dialled, ["proxy.example:8080"])
        lines = proxy.asked.split(b"\r\n")
        self.assertEqual(lines[:2], [b"CONNECT sink.example:443 HTTP/1.1", b"Host: sink.example:443"])
        self.assertIn(b"Proxy-Authorization: Basic bWU6aGlkZGVu", lines)
        self.network.kept.closeCachedConnections()

    def test_a_proxy_with_the_certificate_of_another_name_is_found_out(self) -> None:
        inside = Factory.forProtocol(lambda: answering("200 OK", b"ok", length=2))
        trust = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(pem("one"))])
        self.proxy(Forwarding(secured(inside, self.network.clock, "proxy.example")))
        problem = self.failureResultOf(self.exchange("https://sink.example/x", trust), ExchangeError).value
        self.assertEqual(str(problem), "https://sink.example: its certificate is not valid for this name")

    def test_plain_http_goes_through_a_tunnel_too_and_is_kept(self) -> None:
        self.proxy(Forwarding(Factory.forProtocol(lambda: answering("200 OK", b"ok", length=2))))
        http = self.network.client(ENVIRON, way=self.way)
        for _ in range(2):
            exchanged = http.exchange("GET", "http://sink.example/x")
            self.network.settle()
            self.assertEqual(self.successResultOf(exchanged).body, b"ok")
        self.assertEqual(self.network.dialled, ["proxy.example:8080"])
        self.network.kept.closeCachedConnections()

    def test_an_ipv6_destination_is_written_in_brackets(self) -> None:
        proxy = Forwarding(Factory.forProtocol(lambda: answering("204 No Content")))
        self.proxy(proxy)
        self.successResultOf(self.exchange("http://[2001:db8::1]:81/x"))
        self.assertTrue(proxy.asked.startswith(b"CONNECT [2001:db8::1]:81 HTTP/1.1\r\n"))

    def test_a_host_in_no_proxy_is_reached_directly(self) -> None:
        self.network.host("sink.example:80", Factory.forProtocol(lambda: answering("204 No Content")))
        http = self.network.client({**ENVIRON, "NO_PROXY": "sink.example"}, way=self.way)
        exchanged = http.exchange("GET", "http://sink.example")
        self.network.settle()
        self.successResultOf(exchanged)
        self.assertEqual(self.network.dialled, ["sink.example:80"])

    def test_refusals_are_told_with_the_way_out(self) -> None:
        for status, why in (
            (407, "user:password@"),
            (403, "does not allow"),
            (502, "can't reach"),
            (418, "answered 418"),
        ):
            self.assertIn(why, self.refusal(f"HTTP/1.1 {status} No\r\n\r\n".encode()))

    def test_what_is_no_answer_is_told_as_such(self) -> None:
        self.assertIn("did not answer in HTTP", self.refusal(b"SSH-2.0-x\r\n\r\n"))
        self.assertIn("did not answer in HTTP", self.refusal(b"HTTP/1.1 soon\r\n\r\n"))
        self.assertIn("did not answer in HTTP", self.refusal(b"HTTP/1.1 " + b"5" * 5000 + b"\r\n\r\n"))
        self.assertIn("did not answer in HTTP", self.refusal(b"x" * 20_000))
        self.assertIn("closed the connection before", self.refusal(b"HTTP/1.1 200", close=True))

    def test_a_proxy_that_cannot_be_reached_is_named(self) -> None:
        problem = self.failureResultOf(self.exchange("http://sink.example/"), ExchangeError).value
        self.assertEqual(
            str(problem),
            "http://sink.example: http://proxy.example:8080: the proxy can't be reached, it refused the connection",
        )

    def test_a_proxy_that_hangs_is_named_in_time_and_let_go(self) -> None:
        self.proxy(Says(b""))
        exchanged = self.exchange("http://sink.example/")
        self.network.settle(9.0)
        problem = str(self.failureResultOf(exchanged, ExchangeError).value)
        why = "http://proxy.example:8080: the proxy did not answer within 9 s"
        self.assertEqual(problem, f"http://sink.example: {why}")
        self.network.settle()
        self.assertEqual(self.network.open_connections(), 0)


class FastClientTunnelTests(TunnelTests):
    way = "fast"


class FastAgentTunnelTests(TunnelTests):
    way = "agent"


class EndpointTests(SynchronousTestCase):
    """The endpoint by itself: what Agent never shows."""

    def setUp(self) -> None:
        self.network = Network()
        way = self.network.reach("proxy.example", 8080)
        self.endpoint = TunnelEndpoint(way, Proxy("proxy.example", 8080), "a.example", 22, "us/1", self.network.clock)

    def test_bytes_behind_the_answer_belong_to_the_tunnel_and_so_does_its_end(self) -> None:
        self.network.host("proxy.example:8080", Factory.forProtocol(lambda: Says(OPEN + b"hello", close=True)))
        heard: list[object] = []

        class Inner(Protocol):
            def dataReceived(self, data: bytes) -> None:
                heard.append(data)

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                heard.append("lost")

        connected = self.endpoint.connect(Factory.forProtocol(Inner))
        self.network.settle()
        self.assertIsInstance(self.successResultOf(connected), Inner)
        self.assertEqual(heard, [b"hello", "lost"])

    def test_an_answer_in_pieces_is_put_together(self) -> None:
        server = Says(b"")
        self.network.host("proxy.example:8080", Factory.forProtocol(lambda: server))
        connected = self.endpoint.connect(Factory.forProtocol(Protocol))
        transport: Any = server.transport
        for byte in OPEN:
            self.assertNoResult(connected)
            transport.write(bytes([byte]))
            self.network.settle()
        self.successResultOf(connected)

    def test_a_factory_that_wants_no_protocol_ends_the_connection(self) -> None:
        self.network.host("proxy.example:8080", Factory.forProtocol(lambda: Says(OPEN)))

        class Nobody(Factory):
            def buildProtocol(self, addr: object) -> None:
                return None

        connected = self.endpoint.connect(Nobody())
        self.network.settle()
        self.failureResultOf(connected, ExchangeError)
        self.assertEqual(self.network.open_connections(), 0)

    def test_its_text_names_both_ends_and_no_credentials(self) -> None:
        self.assertEqual(repr(self.endpoint), "<tunnel through proxy.example:8080 to a.example:22>")
